"""What a profile says of a version. Pure values, read by the server too.

A profile is a superset of `noria.core.stats.profiles.TableProfile`: what older versions stored reads as one with the
newer figures left out, and what is stored now reads as a `TableProfile`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

FORMAT: Final = 2
"""Profiles without this number were made before it was given: they have the figures of columns alone."""

MAX_CORRELATED: Final = 200
"""Numeric columns of which every pair is compared; further ones are left out, and the profile says how many."""

MAX_LEAK_ROWS: Final = 200_000
"""Rows, evenly spaced, on which a column is tried as a guess of the target."""


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A value and the rows that hold it."""

    label: str = ""
    n: int = 0


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in bins of equal width between the smallest and the largest finite value."""

    low: float
    high: float
    counts: tuple[int, ...]


class ColumnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one column holds.

    Attributes
    ----------
    kind
        `numeric` (numbers, times and durations, as seconds) or `categorical`.
    type
        Type in the table, in the words of Polars; empty in older profiles.
    n_distinct, n_distinct_capped
        Distinct values, at most 1,000 counted; `n_unique` is the whole count, None in older profiles.
    quantiles
        Of the finite numbers, at the levels 0, 1, 5, 25, 50, 75, 95, 99 and 100 %.
    edges, counts
        Bins of about equal shares, closed on the right: one count more than edges.
    top, n_other
        Most frequent values, and the rows in all others. A numeric column has them where values repeat.
    first, last
        Earliest and latest time, in ISO 8601; of texts too where all of them are such times.
    shortest, longest
        Characters in a text.
    """

    kind: str = ""
    type: str = ""
    n_rows: int = 0
    n_missing: int = 0
    n_infinite: int = 0
    n_distinct: int = 0
    n_distinct_capped: bool = False
    n_unique: int | None = None
    n_zero: int | None = None
    n_negative: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    histogram: Histogram | None = None
    top: tuple[Category, ...] = ()
    n_other: int = 0
    first: str | None = None
    last: str | None = None
    shortest: int | None = None
    longest: int | None = None


class NestedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of lists or records, which have neither order nor categories."""

    type: str
    n_missing: int


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Pearson's coefficient of two columns, over the `n_rows` rows where both are finite."""

    first: str
    second: str
    r: float
    n_rows: int


class Correlations(msgspec.Struct, frozen=True, kw_only=True):
    """The strongest pairs, strongest first.

    Attributes
    ----------
    n_columns, n_left_out
        Numeric columns compared with each other, and those that were too many to compare.
    """

    n_columns: int
    n_left_out: int = 0
    pairs: tuple[Correlation, ...] = ()


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """A column that gives the target away.

    Attributes
    ----------
    score
        From 0 to 1, on rows not used for the guess: the share of the target's variance that the column alone
        explains (`r_squared`), or by which it lowers the errors of always guessing the commonest class (`lambda`).
    """

    column: str
    score: float
    measure: str


class VersionProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a version's table holds.

    Attributes
    ----------
    n_duplicates
        Rows that repeat an earlier one; None where it was not counted.
    keys
        Columns, or pairs of them, whose values name each row once: likely keys.
    target, leaks, n_leak_rows
        Column to be predicted, columns that give it away, and the rows on which that was tried; None, empty and None
        without a target.
    """

    format: int = 1
    n_rows: int = 0
    columns: dict[str, ColumnFigures] = {}
    nested: dict[str, NestedColumn] = {}
    n_duplicates: int | None = None
    keys: tuple[tuple[str, ...], ...] = ()
    correlations: Correlations | None = None
    target: str | None = None
    leaks: tuple[Leak, ...] = ()
    n_leak_rows: int | None = None


def read_profile(stored: Any) -> VersionProfile | None:
    """Read a stored profile; None for none, and for one that a client made up in another form."""
    if not stored:
        return None
    try:
        return msgspec.convert(stored, VersionProfile)
    except msgspec.ValidationError:
        return None
