"""The work of `noria_flow.py` in ZenML: the argument is `chain` or `fan`."""

import sys

from zenml import pipeline, step


@step
def zero() -> int:
    """Give what the line begins with."""
    return 0


@step
def add_one(x: int) -> int:
    """Count up."""
    return x + 1


@pipeline(enable_cache=True)
def chain():
    """Run ten steps in a line."""
    x = zero()
    for _ in range(9):
        x = add_one(x)


@pipeline(enable_cache=True)
def fan():
    """Run a hundred steps at once."""
    for number in range(100):
        add_one(number, id=f"add_{number}")


(chain if sys.argv[1] == "chain" else fan)()
