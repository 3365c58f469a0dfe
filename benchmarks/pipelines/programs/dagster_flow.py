"""The work of `noria_flow.py` in Dagster: the argument is `chain` or `fan`."""

import sys

from dagster import DagsterInstance, DynamicOut, DynamicOutput, job, op


@op
def zero():
    """Give what the line begins with."""
    return 0


@op
def add_one(x):
    """Count up."""
    return x + 1


@op(out=DynamicOut())
def numbers():
    """Give a hundred numbers."""
    for number in range(100):
        yield DynamicOutput(number, mapping_key=f"n{number}")


@op
def add_up(found):
    """Add."""
    return sum(found)


@job
def chain():
    """Run ten ops in a line."""
    x = zero()
    for number in range(9):
        x = add_one.alias(f"add_{number}")(x)


@job
def fan():
    """Run a hundred ops at once."""
    add_up(numbers().map(add_one).collect())


if __name__ == "__main__":
    chosen = chain if sys.argv[1] == "chain" else fan
    assert chosen.execute_in_process(instance=DagsterInstance.get()).success
