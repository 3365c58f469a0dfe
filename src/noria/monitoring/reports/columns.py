"""A column of a table as what is compared: its numbers in order, or how often each category is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from noria.core.stats.ordered import sorted_known
from noria.monitoring.reports.categories import Categories
from noria.monitoring.reports.numbers import Numbers

if TYPE_CHECKING:
    import polars as pl

    from noria.data.profiling.sources import Table

_TIME: Final = "a time: it moves by itself"

Side = Numbers | Categories | str
"""One side of a column; a text says why there is nothing to compare."""


def read_side(table: Table, name: str) -> Side:
    """Read one column of a table."""
    return side_of(table.column(name))


def side_of(series: pl.Series) -> Side:
    """Take a column as numbers or as categories."""
    import polars as pl

    from noria.data.profiling.columns import counted, time_range

    kind = series.dtype
    if kind.is_temporal():
        return _TIME
    if kind.is_nested():
        return "lists or records"
    if kind == pl.Null:
        return Categories({}, len(series))
    if kind.is_decimal() or kind in {pl.Int128, pl.UInt128, pl.Float16}:
        series = series.cast(pl.Float64)
    if series.dtype.is_numeric():
        return Numbers(sorted_known(series.drop_nulls().to_numpy()), len(series))
    groups = counted(series)
    if time_range(groups["label"]) is not None:
        return _TIME  # written as texts, as in CSV files
    return Categories(dict(zip(groups["label"], groups["n"], strict=True)), series.null_count())
