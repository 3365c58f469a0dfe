"""Ten steps in a line, and as many at once as asked for."""

from noria import pipeline, step


@step
def zero(start: int) -> int:
    """Give what the line begins with."""
    return start


@step
def add_one(x: int) -> int:
    """Count up."""
    return x + 1


@step
def add_up(numbers: list[int]) -> int:
    """Add."""
    return sum(numbers)


@pipeline
def chain(start: int = 0, length: int = 10) -> int:
    """Call steps one after the other."""
    x = zero(start)
    for _ in range(length - 1):
        x = add_one(x)
    return x


@pipeline
def fan(start: int = 0, width: int = 100) -> int:
    """Call steps that do not wait for each other, and add up what they give."""
    return add_up([add_one(start + number) for number in range(width)])
