"""Sums over the rows that were counted: by row and by block, by class, and by pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

Key = TypeVar("Key", str, int)

BLOCK_ROWS = (10, 100, 1000)
"""Lengths of blocks that are counted."""

MAX_CLASSES = 200
"""Classes of one version that are told apart; more are counted together as `OTHERS`."""

OTHERS = "(others)"

_BINS_PER_DOUBLING = 4
_SMALLEST_BIN = -256


class Blocks(msgspec.Struct, frozen=True, array_like=True):
    """Means of blocks of rows in the order of their arrival.

    Attributes
    ----------
    n, total, squares
        Blocks that are full, the sum of their means and of the squares of these.
    open_n, open_total
        Rows of the block that is not full yet, and the sum of their values.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    open_n: int = 0
    open_total: float = 0.0

    def plus(self, other: Blocks, rows: int) -> Blocks:
        """Give both together; what was open in both is a block as soon as it has the rows."""
        open_n, open_total = self.open_n + other.open_n, self.open_total + other.open_total
        n, total, squares = self.n + other.n, self.total + other.total, self.squares + other.squares
        if open_n < rows:
            return Blocks(n, total, squares, open_n, open_total)
        mean = open_total / open_n
        return Blocks(n + 1, total + mean, squares + mean * mean)


class Form(msgspec.Struct, frozen=True, array_like=True):
    """Values of rows: how many, their sum, the sum of their squares, and the same of blocks of `BLOCK_ROWS`."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    blocks: list[Blocks] = []

    @classmethod
    def of(cls, values: Sequence[float]) -> Form:
        """Sum the values of rows in the order of their arrival."""
        blocks = [_blocks_of(values, rows) for rows in BLOCK_ROWS]
        return cls(len(values), math.fsum(values), math.fsum(value * value for value in values), blocks)

    def plus(self, other: Form) -> Form:
        """Give both together, the other one behind."""
        if not self.n:
            return other
        blocks = [
            one.plus(another, rows)
            for one, another, rows in zip(self.blocks, other.blocks, BLOCK_ROWS, strict=False)
        ]
        return Form(self.n + other.n, self.total + other.total, self.squares + other.squares, blocks)

    def by(self, rows: int) -> tuple[int, float, float]:
        """Give size, sum and sum of squares of the rows, or of the means of blocks of that many."""
        if rows == 1:
            return self.n, self.total, self.squares
        place = BLOCK_ROWS.index(rows)
        found = self.blocks[place] if place < len(self.blocks) else Blocks()
        return found.n, found.total, found.squares


class ClassSums(msgspec.Struct, frozen=True, array_like=True):
    """Labelled rows of one class: in truth, predicted as it, and both."""

    n_true: int = 0
    n_predicted: int = 0
    n_both: int = 0

    def plus(self, other: ClassSums) -> ClassSums:
        """Give both together."""
        return ClassSums(
            self.n_true + other.n_true, self.n_predicted + other.n_predicted, self.n_both + other.n_both
        )


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Labelled rows of one class that wait for one of the other, to be compared by their scores."""

    truth: str | int | float | bool | None = None
    scores: list[float] = []


def class_name(value: Any) -> str:
    """Write a class; truth values and whole numbers as one number, however the model types them.

    Examples
    --------
    >>> class_name(True), class_name(1.0), class_name("a")
    ('1', '1', 'a')
    """
    if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)[:200]


def number_bin(value: float) -> int:
    """Give the bin of a predicted number: four for each doubling of its size, those of negative numbers mirrored.

    Bins are in the order of the numbers.

    Examples
    --------
    >>> bins = [number_bin(x) for x in (-3.0, -2.0, 0.0, 1e-30, 1.0, 2.0)]
    >>> bins == sorted(bins)
    True
    """
    size = abs(value)
    if size < 2.0 ** (_SMALLEST_BIN / _BINS_PER_DOUBLING):
        return 0
    place = min(math.floor(_BINS_PER_DOUBLING * math.log2(size)) - _SMALLEST_BIN + 1, 10_000)
    return place if value > 0 else -place


def add_named(
    first: dict[Key, Any], second: dict[Key, Any], add: Callable[[Any, Any], Any]
) -> dict[Key, Any]:
    """Add what has the same name."""
    found = dict(first)
    for key, value in second.items():
        found[key] = add(found[key], value) if key in found else value
    return found


def _blocks_of(values: Sequence[float], rows: int) -> Blocks:
    n_full = len(values) // rows
    means = [math.fsum(values[at : at + rows]) / rows for at in range(0, n_full * rows, rows)]
    left = values[n_full * rows :]
    squares = math.fsum(mean * mean for mean in means)
    return Blocks(n_full, math.fsum(means), squares, len(left), math.fsum(left))
