"""Find the value that a model raises on: the row, the input, and where in it, by trying parts of the request.

An engine's own text says what it could not do, and rarely with what. A row that the model is known to answer tells: of
the request's values so many take the place of its values that the model raises, and one fewer does not. Two bisections,
over rows and over values, need about twenty calls for 1,000 rows of 1,000 values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_SHOWN: Final = 100


class Culprit(NamedTuple):
    """The value that a model raises on.

    Attributes
    ----------
    row
        Of the request, from 0.
    field
        Name of the input, with the place in it where a row of it has several values: `x[3]`.
    value
        As JSON has it; texts are cut off where they are long.
    """

    row: int
    field: str
    value: Any


def n_tries(inputs: Arrays, n_rows: int) -> int:
    """Give how many calls `find_culprit` needs at most."""
    n_values = sum(math.prod(array.shape[1:]) for array in inputs.values())
    return 4 + math.ceil(math.log2(n_rows + 1)) + math.ceil(math.log2(n_values + 1))


def find_culprit(
    raises: Callable[[Arrays], bool], inputs: Arrays, n_rows: int, known: Arrays
) -> Culprit | None:
    """Find a value without which the model would not raise; None where there is no single one, or it raises no more.

    Parameters
    ----------
    raises
        Tells whether the model raises on some rows.
    inputs
        Of the request, shape (n_rows, ...).
    known
        One row that the model answers, shape (1, ...), of the same inputs.
    """
    if n_rows < 1 or not _are_alike(inputs, known) or raises(known):
        return None

    def rows(first: int, end: int) -> Arrays:
        return {name: array[first:end] for name, array in inputs.items()}

    # The smallest number of rows that raises has its last row to blame.
    row = _first(lambda n: raises(rows(0, n)), n_rows)
    if row is None or not raises(rows(row, row + 1)):
        return None
    one = rows(row, row + 1)
    sizes = [(name, math.prod(array.shape[1:])) for name, array in inputs.items()]
    place = _first(lambda n: raises(_mixed(one, known, sizes, n)), sum(size for _, size in sizes))
    return None if place is None else _named(one, sizes, place, row)


def _first(raises: Callable[[int], bool], n: int) -> int | None:
    """Give the place of what makes the first so many raise when it joins those before; None if all of them do not."""
    if n < 1 or not raises(n):
        return None
    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if raises(middle) else (middle, high)
    return high - 1


def _are_alike(inputs: Arrays, known: Arrays) -> bool:
    return inputs.keys() == known.keys() and all(
        known[name].shape == (1, *array.shape[1:]) for name, array in inputs.items()
    )


def _mixed(one: Arrays, known: Arrays, sizes: list[tuple[str, int]], n: int) -> Arrays:
    """Give the first `n` values of a row, and those of the known one behind them."""
    made: dict[str, NDArray[Any]] = {}
    for name, size in sizes:
        taken = max(0, min(n, size))
        n -= size
        flat = [one[name].reshape(-1)[:taken], known[name].reshape(-1)[taken:]]
        made[name] = np.concatenate(flat).reshape(one[name].shape)
    return made


def _named(one: Arrays, sizes: list[tuple[str, int]], place: int, row: int) -> Culprit:
    for name, size in sizes:
        if place < size:
            array = one[name]
            value = array.reshape(-1)[place].item()
            told = value[:_SHOWN] if isinstance(value, str) else value
            index = np.unravel_index(place, array.shape[1:]) if array.shape[1:] else ()
            field = f"{name}[{', '.join(str(int(each)) for each in index)}]" if size > 1 else name
            return Culprit(row, field, told)
        place -= size
    raise AssertionError("a place outside of all values")
