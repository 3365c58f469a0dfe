"""Sums over the rows that were counted: by row and by block, by class, and by pair."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeVar

import msgspec

Key = TypeVar("Key", str, int)

BLOCK_ROWS = (10, 100, 1000)
"""Lengths of blocks that are counted."""

MAX_CLASSES = 200
"""Classes of one version that are told apart; more are counted together as `OTHERS`."""

OTHERS = "(others)"

MAX_WAITING = 256
"""Labelled rows that wait for one of the other class; older ones are let go of."""

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


class RowSums(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is counted of the rows of one version, beside its requests.

    Attributes
    ----------
    forms
        Name of a form → its sums. Of requests `error` (1 where it failed) and `latency` (microseconds, of those that
        did not); of labelled rows `correct`, `abs_error`, `squared_error`, `relative_error` (the absolute error as a
        share of the truth, at most 1), and of pairs of labelled rows of two classes `auc` (1 where the row of the
        greater class has the higher score, a half where both have the same).
    classes
        Class → labelled rows of it.
    waiting
        Labelled rows that have no other to be compared with yet.
    predicted, bins
        Class → how often it was predicted; bin of a number (see `number_bin`) → how often. Of first rows of requests.
    """

    forms: dict[str, Form] = {}
    classes: dict[str, ClassSums] = {}
    waiting: Waiting = Waiting()
    predicted: dict[str, int] = {}
    bins: dict[int, int] = {}

    def form(self, name: str) -> Form:
        """Give the sums of a form; of nothing where there are none."""
        return self.forms.get(name) or Form()

    def plus(self, other: RowSums) -> RowSums:
        """Give both together, the other one behind."""
        compared, waiting = pair_off(self.waiting, other.waiting)
        forms = add_named(self.forms, other.forms, Form.plus)
        if compared:
            forms["auc"] = forms.get("auc", Form()).plus(Form.of(compared))
        return RowSums(
            forms=forms,
            classes=_bounded(add_named(self.classes, other.classes, ClassSums.plus), ClassSums.plus),
            waiting=waiting,
            predicted=_bounded(add_named(self.predicted, other.predicted, operator.add), operator.add),
            bins=add_named(self.bins, other.bins, operator.add),
        )


class PairStats(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sums over rows that a new and an old version both predicted.

    Attributes
    ----------
    n, n_agreed
        Pairs, and those that predicted the same without error.
    n_only_new_failed, n_only_old_failed
        Pairs of which one raised and the other did not.
    n_judged, n_only_new_right, n_only_old_right
        Labelled pairs of classifiers, and those of which one was right and the other was not.
    n_measured
        Labelled pairs of regressors.
    new_error_sum, new_error_squares, old_error_sum, old_error_squares, error_products
        Of their absolute errors.
    """

    n: int = 0
    n_agreed: int = 0
    n_only_new_failed: int = 0
    n_only_old_failed: int = 0
    n_judged: int = 0
    n_only_new_right: int = 0
    n_only_old_right: int = 0
    n_measured: int = 0
    new_error_sum: float = 0.0
    new_error_squares: float = 0.0
    old_error_sum: float = 0.0
    old_error_squares: float = 0.0
    error_products: float = 0.0

    def plus(self, other: PairStats) -> PairStats:
        """Give both together."""
        names = self.__struct_fields__
        return PairStats(**{name: getattr(self, name) + getattr(other, name) for name in names})


def pair_off(first: Waiting, second: Waiting) -> tuple[list[float], Waiting]:
    """Compare rows of two classes by their scores, each row once, in the order of arrival; give what is left waiting.

    Returns
    -------
    list of float
        For each pair 1 where the row of the greater class has the higher score, 0 where the other one has, a half
        where both have the same.
    """
    if not first.scores or not second.scores:
        return [], first if first.scores else second
    if first.truth == second.truth or isinstance(first.truth, str) != isinstance(second.truth, str):
        return [], Waiting(second.truth, [*first.scores, *second.scores][-MAX_WAITING:])
    n = min(len(first.scores), len(second.scores))
    sign = 1 if first.truth > second.truth else -1  # type: ignore[operator]  # of one kind
    pairs = zip(first.scores[:n], second.scores[:n], strict=True)
    values = [(1 + sign * ((one > other) - (one < other))) / 2 for one, other in pairs]
    longer = first if len(first.scores) > n else second
    return values, Waiting(longer.truth, longer.scores[n:])


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


def _bounded(found: dict[str, Any], add: Callable[[Any, Any], Any]) -> dict[str, Any]:
    if len(found) <= MAX_CLASSES:
        return found
    kept = {name: found[name] for name in list(found)[: MAX_CLASSES - 1] if name != OTHERS}
    return {**kept, OTHERS: reduce(add, (value for name, value in found.items() if name not in kept))}


def _blocks_of(values: Sequence[float], rows: int) -> Blocks:
    n_full = len(values) // rows
    means = [math.fsum(values[at : at + rows]) / rows for at in range(0, n_full * rows, rows)]
    left = values[n_full * rows :]
    squares = math.fsum(mean * mean for mean in means)
    return Blocks(n_full, math.fsum(means), squares, len(left), math.fsum(left))
