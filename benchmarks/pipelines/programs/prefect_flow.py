"""The work of `noria_flow.py` in Prefect, with a server of its own: the arguments are `chain` or `fan`, and a start."""

import sys

from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE

KEPT = {"cache_policy": INPUTS + TASK_SOURCE, "persist_result": True}


@task(**KEPT)
def zero(start):
    """Give what the line begins with."""
    return start


@task(**KEPT)
def add_one(x):
    """Count up."""
    return x + 1


@task(**KEPT)
def add_up(numbers):
    """Add."""
    return sum(numbers)


@flow
def chain(start):
    """Run ten tasks in a line."""
    x = zero(start)
    for _ in range(9):
        x = add_one(x)
    return x


@flow
def fan(start):
    """Run a hundred tasks at once."""
    return add_up([found.result() for found in [add_one.submit(start + number) for number in range(100)]])


if __name__ == "__main__":
    chosen, begin = (chain if sys.argv[1] == "chain" else fan), int(sys.argv[2])
    assert chosen(begin) == (begin + 9 if chosen is chain else 100 * begin + 5050)
