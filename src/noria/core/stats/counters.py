"""Counters of a stream of rows, laid out by a reference profile: constant memory, and the same in any split and order.

All that is kept is a whole number, a least or a greatest: sums of fractions would depend on the order in which they
were added. Counters of pieces of a stream, merged in any order, are those of the whole stream, digit for digit.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.core.errors import Invalid
from noria.core.stats.bins import bin_counts
from noria.core.stats.moment_parts import CLIP, moment_parts, scale_of
from noria.core.stats.profiles import ColumnProfile, TableProfile, to_numbers
from noria.core.stats.samples import LARGEST, Floats, Ints, labels

MOST_NEW: Final = 64
"""Labels kept of those that the reference does not list."""

_AT_ONCE: Final = 1 << 16
_TOGETHER: Final = 1 << 17
"""Values of a batch whose columns are counted together; more would not stay in the processor's cache."""

_LABEL: Final = 256
_BYTES: Final = 8


class NewLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label that the reference does not list, and the rows that had it."""

    label: str
    n: int


class ColumnCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of one column.

    Attributes
    ----------
    cells
        Rows per cell of the reference profile, as `profiles.cell_counts`: bins, or listed categories and all others;
        the missing come last.
    n_infinite, n_clipped
        Of numbers: infinite ones, and finite ones more than a thousand deviations from the reference's mean.
    total, squares
        Of finite numbers, as distances from the reference's mean in parts of its deviation (1024 to one), rounded:
        their sum and the sum of their squares.
    minimum, maximum
        Of finite numbers; None where there was none.
    new
        Labels that the reference does not list, with exact counts: all of them while there are at most 64; else those
        64 whose hashes are the smallest, which is a random sample of the distinct ones.
    """

    cells: list[int]
    n_infinite: int = 0
    n_clipped: int = 0
    total: int = 0
    squares: int = 0
    minimum: float | None = None
    maximum: float | None = None
    new: list[NewLabel] = []

    @property
    def n_rows(self) -> int:
        """All rows."""
        return sum(self.cells)

    @property
    def n_missing(self) -> int:
        """Rows without a value."""
        return self.cells[-1]

    @property
    def n_new(self) -> int:
        """Distinct labels that the reference does not list: exact up to 64, else estimated (Bar-Yossef et al. 2002)."""
        if len(self.new) < MOST_NEW:
            return len(self.new)
        furthest: int = int.from_bytes(_digest(self.new[-1].label))
        return (MOST_NEW - 1) * (1 << 8 * _BYTES) // max(furthest, 1)


class TableCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a table's columns; JSON, and small whatever the number of rows."""

    n_rows: int
    columns: dict[str, ColumnCounts]


class TableCounter:
    """Counts batches of rows; `counts` gives what there is so far.

    Parameters
    ----------
    reference
        Its columns are counted, in its cells.

    Notes
    -----
    Columns of numbers are counted together where a batch is small: each call of NumPy costs microseconds, whatever the
    number of values.
    """

    def __init__(self, reference: TableProfile) -> None:
        self._columns: dict[str, _Counter] = {
            name: _counter(column) for name, column in reference.columns.items()
        }
        numeric = {name: counter for name, counter in self._columns.items() if isinstance(counter, _Numeric)}
        self._together = _Together(list(numeric.values()))
        self._order = [*numeric, *(name for name in self._columns if name not in numeric)]
        self._n_rows = 0

    def update(self, columns: Mapping[str, ArrayLike]) -> None:
        """Count a batch.

        Parameters
        ----------
        columns
            Every column of the reference, each of shape (n_rows,); others are left out. A batch may be empty.

        Raises
        ------
        Invalid
            If a column is missing, their lengths differ, or one that is numeric in the reference holds no numbers.
            Then nothing of the batch is counted.
        """
        arrays = {name: np.asarray(columns[name]) for name in self._columns if name in columns}
        n_rows = _common_length(arrays, self._columns)
        if n_rows == 0:
            return
        # All are read before one is counted, so that a bad column leaves no half of a batch behind.
        read = [self._columns[name].read(arrays[name], name) for name in self._order]
        n_numeric = len(self._together.counters)
        self._together.add(read[:n_numeric], n_rows)
        for name, values in zip(self._order[n_numeric:], read[n_numeric:], strict=True):
            self._columns[name].add(values, n_rows)
        self._n_rows += n_rows

    @property
    def counts(self) -> TableCounts:
        """What has been counted."""
        return TableCounts(
            n_rows=self._n_rows, columns={name: column.counts() for name, column in self._columns.items()}
        )


def merged(first: TableCounts, second: TableCounts) -> TableCounts:
    """Give the counters of two streams together; both were laid out by the same reference.

    Raises
    ------
    Invalid
        If their columns or cells differ.
    """
    if first.columns.keys() != second.columns.keys():
        raise Invalid("Counters of different columns cannot be merged")
    return TableCounts(
        n_rows=first.n_rows + second.n_rows,
        columns={
            name: _merged_column(name, first.columns[name], second.columns[name]) for name in first.columns
        },
    )


def empty_counts(reference: TableProfile) -> TableCounts:
    """Give the counters of no rows at all: merged with others they change nothing."""
    return TableCounter(reference).counts


def moments(counts: ColumnCounts, reference: ColumnProfile) -> tuple[float, float] | None:
    """Give mean and standard deviation of the finite numbers; None where there were none.

    Notes
    -----
    They are those of the values rounded to a 1024th of the reference's deviation, so the mean is at most a 2048th of
    it off; values beyond a thousand deviations (`n_clipped`) count as that far.
    """
    n = counts.n_rows - counts.n_missing - counts.n_infinite
    if n < 1 or reference.kind != "numeric":
        return None
    centre, scale = scale_of(reference)
    mean = counts.total / n
    # Whole numbers: the difference is exact where that of floats would lose its digits.
    variance = (counts.squares * n - counts.total**2) / n**2
    return centre + mean * scale, max(variance, 0.0) ** 0.5 * scale


def count_labels(reference: ColumnProfile, array: NDArray[Any], name: str) -> ColumnCounts:
    """Count a batch of a column that is categorical in the reference, shape (n_rows,), not empty.

    Raises
    ------
    Invalid
        If it holds no labels.
    """
    counter = _Categorical(reference)
    counter.add(counter.read(array, name), len(array))
    return counter.counts()


class _Counter(Protocol):
    def read(self, array: NDArray[Any], name: str) -> Any:
        """Read a batch, or refuse it."""

    def add(self, values: Any, n_rows: int) -> None:
        """Count what was read."""

    def counts(self) -> ColumnCounts:
        """Give what has been counted."""


class _Numeric:
    def __init__(self, reference: ColumnProfile) -> None:
        self._reference = reference
        self.edges = np.array(reference.edges)
        self.centre, self.scale = scale_of(reference)
        self._cells: Ints = np.zeros(self.edges.size + 1, dtype=np.int64)
        self._n_missing = self._n_infinite = self._n_clipped = self._total = self._squares = 0
        self._minimum, self._maximum = np.inf, -np.inf

    def read(self, array: NDArray[Any], name: str) -> Floats:
        """Give a batch as floats."""
        return to_numbers(array, name)

    def add(self, values: Floats, n_rows: int) -> None:
        """Count values that were read."""
        known = values
        least, greatest = values.min(), values.max()
        if not (abs(least) <= LARGEST and abs(greatest) <= LARGEST):  # a NaN fails this too
            known = values[~np.isnan(values)]
            self._n_missing += n_rows - known.size
        self._cells += bin_counts(known, self.edges)
        finite = known
        if known is not values:
            finite = known[np.isfinite(known)]
            self._n_infinite += known.size - finite.size
            if not finite.size:
                return
            least, greatest = finite.min(), finite.max()
        self._minimum, self._maximum = min(self._minimum, float(least)), max(self._maximum, float(greatest))
        for start in range(0, finite.size, _AT_ONCE):
            self._add_moments(finite[start : start + _AT_ONCE])

    def add_counted(self, cells: Ints, extremes: tuple[float, float], sums: tuple[int, int, int]) -> None:
        """Add what was counted of finite values: their cells, least and greatest, and clipped, total and squares."""
        self._cells += cells[: self._cells.size]
        self._minimum, self._maximum = min(self._minimum, extremes[0]), max(self._maximum, extremes[1])
        n_clipped, total, squares = sums
        self._n_clipped += n_clipped
        self._total += total
        self._squares += squares

    def _add_moments(self, finite: Floats) -> None:
        parts, clipped = moment_parts(self._reference, finite)
        self._n_clipped += int(np.count_nonzero(clipped))
        self._total += int(parts.sum())
        self._squares += int(parts @ parts)

    def counts(self) -> ColumnCounts:
        """Give what has been counted."""
        seen = self._minimum <= self._maximum
        return ColumnCounts(
            cells=[*self._cells.tolist(), self._n_missing],
            n_infinite=self._n_infinite,
            n_clipped=self._n_clipped,
            total=self._total,
            squares=self._squares,
            minimum=self._minimum + 0.0 if seen else None,  # + 0.0: of -0 and 0 neither is the smaller
            maximum=self._maximum + 0.0 if seen else None,
        )


class _Together:
    """Counts several columns of numbers at once: all whose values are finite, in small batches."""

    def __init__(self, counters: Sequence[_Numeric]) -> None:
        self.counters = counters
        n_edges = max((counter.edges.size for counter in counters), default=0)
        # No value is greater than an edge that is not there.
        self._edges = np.full((len(counters), n_edges), np.inf)
        for row, counter in zip(self._edges, counters, strict=True):
            row[: counter.edges.size] = counter.edges
        self._centres = np.array([[counter.centre] for counter in counters])
        self._scales = np.array([[counter.scale] for counter in counters])

    def add(self, columns: Sequence[Floats], n_rows: int) -> None:
        """Count one batch of each column."""
        if not 1 < len(columns) <= _TOGETHER // max(n_rows, 1):
            for counter, values in zip(self.counters, columns, strict=True):
                counter.add(values, n_rows)
            return
        values = np.stack(columns)
        least, greatest = values.min(axis=1), values.max(axis=1)
        plain = (np.abs(least) <= LARGEST) & (np.abs(greatest) <= LARGEST)  # a NaN fails this too
        for place in np.flatnonzero(~plain).tolist():
            self.counters[place].add(columns[place], n_rows)
        chosen = np.flatnonzero(plain)
        if chosen.size < len(columns):
            values, least, greatest = values[chosen], least[chosen], greatest[chosen]
        cells, sums = self._cells(values, chosen), self._sums(values, chosen)
        extremes = zip(least.tolist(), greatest.tolist(), strict=True)
        for place, *counted in zip(chosen.tolist(), cells, extremes, sums, strict=True):
            self.counters[place].add_counted(*counted)

    def _cells(self, values: Floats, chosen: Ints) -> Ints:
        """Count values per bin, as `bin_counts`: those above one edge less those above the next."""
        above = [np.count_nonzero(values > edges[:, np.newaxis], axis=1) for edges in self._edges[chosen].T]
        n_rows = np.full(len(values), values.shape[1])
        return -np.diff(np.array([n_rows, *above, np.zeros_like(n_rows)]), axis=0).T

    def _sums(self, values: Floats, chosen: Ints) -> list[tuple[int, int, int]]:
        with np.errstate(over="ignore"):  # what is too far to be told in parts is clipped
            parts = np.rint((values - self._centres[chosen]) / self._scales[chosen])
        n_clipped = np.count_nonzero(np.abs(parts) > CLIP, axis=1)
        if n_clipped.any():
            parts = np.clip(parts, -CLIP, CLIP)
        whole = parts.astype(np.int64)
        squares = np.einsum("ij,ij->i", whole, whole)
        columns = (n_clipped.tolist(), whole.sum(axis=1).tolist(), squares.tolist())
        return list(zip(*columns, strict=True))


class _Categorical:
    def __init__(self, reference: ColumnProfile) -> None:
        self._listed = {category.label: 0 for category in reference.top}
        self._n_others = self._n_missing = 0
        self._new: dict[str, int] = {}

    def read(self, array: NDArray[Any], name: str) -> tuple[Counter[str], int]:
        """Give how often each label is in a batch, and how many are missing."""
        if array.dtype.kind == "O" and array.ndim == 1:
            found = Counter(array.tolist())
            if all(type(label) is str or label is None for label in found):
                return found, found.pop(None, 0)
        texts, n_missing = labels(array, name=name)
        return Counter(texts.tolist()), n_missing

    def add(self, values: tuple[Counter[str], int], n_rows: int) -> None:  # noqa: ARG002 - as of numbers
        """Count labels that were read."""
        found, n_missing = values
        self._n_missing += n_missing
        for label, n in found.items():
            if label in self._listed:
                self._listed[label] += n
            else:
                self._n_others += n
                self._new[label[:_LABEL]] = self._new.get(label[:_LABEL], 0) + n
        if len(self._new) > 4 * MOST_NEW:
            self._new = _smallest(self._new)

    def counts(self) -> ColumnCounts:
        """Give what has been counted."""
        new = [NewLabel(label=label, n=n) for label, n in _smallest(self._new).items()]
        return ColumnCounts(cells=[*self._listed.values(), self._n_others, self._n_missing], new=new)


def _counter(reference: ColumnProfile) -> _Counter:
    return _Numeric(reference) if reference.kind == "numeric" else _Categorical(reference)


def _common_length(arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, object]) -> int:
    lengths = {}
    for name in wanted:
        if name not in arrays:
            raise Invalid(f"The batch has no column `{name}`")
        if arrays[name].ndim != 1:
            raise Invalid(f"Column `{name}` must have one dimension, not shape `{arrays[name].shape}`")
        lengths[name] = len(arrays[name])
    if len(set(lengths.values())) > 1:
        first, other = sorted(lengths, key=lambda name: lengths[name])[:: len(lengths) - 1]
        raise Invalid(
            f"Column `{first}` has `{lengths[first]}` rows and column `{other}` has `{lengths[other]}`"
        )
    return next(iter(lengths.values()), 0)


def _digest(label: str) -> bytes:
    return hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


def _smallest(new: Mapping[str, int]) -> dict[str, int]:
    """Keep the labels with the smallest hashes.

    One that is dropped has 64 smaller ones before it for ever, so what stays was never dropped: its count is exact in
    any order.
    """
    return {label: new[label] for label in sorted(new, key=lambda label: (_digest(label), label))[:MOST_NEW]}


def _merged_column(name: str, first: ColumnCounts, second: ColumnCounts) -> ColumnCounts:
    if len(first.cells) != len(second.cells):
        raise Invalid(f"Counters of `{name}` have different cells and cannot be merged")
    new = Counter({label.label: label.n for label in first.new})
    new.update({label.label: label.n for label in second.new})
    return ColumnCounts(
        cells=[a + b for a, b in zip(first.cells, second.cells, strict=True)],
        n_infinite=first.n_infinite + second.n_infinite,
        n_clipped=first.n_clipped + second.n_clipped,
        total=first.total + second.total,
        squares=first.squares + second.squares,
        minimum=_extreme(min, first.minimum, second.minimum),
        maximum=_extreme(max, first.maximum, second.maximum),
        new=[NewLabel(label=label, n=n) for label, n in _smallest(new).items()],
    )


def _extreme(choose: Any, first: float | None, second: float | None) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return choose(known) if known else None
