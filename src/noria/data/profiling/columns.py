"""The figures of one column. A numeric one is sorted once, and all but its moments is read off the sorted values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.core.stats.bins import edges_of_sorted
from noria.core.stats.profiles import MAX_DISTINCT, QUANTILE_LEVELS
from noria.core.stats.samples import LARGEST
from noria.data.profiling.entities import Category, ColumnFigures, Histogram

N_BINS: Final = 10
N_BARS: Final = 20
N_TOP: Final = 50
N_TOP_NUMBERS: Final = 10

_MICROS_PER_S = 1e6
_LABEL = 256
"""Characters kept of a category; longer texts are no categories, and a profile must stay small."""

_SORTED_AS_THEY_ARE: Final = frozenset(
    {"Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))}
)
"""Numeric types that NumPy has and sorts fast; others become floats."""

_TRIED: Final = 100
_ISO_TIME: Final = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?$"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - spelt without a zone

Values = NDArray[Any]


def profile_column(series: pl.Series) -> ColumnFigures:
    """Give the figures of a column that is no list or record.

    Parameters
    ----------
    series
        At least one row.
    """
    kind = series.dtype
    if kind.is_temporal() and kind != pl.Time:
        return _temporal(series)
    if kind.is_decimal() or (kind.is_numeric() and str(kind) not in _SORTED_AS_THEY_ARE):
        return _numeric(series.cast(pl.Float64).drop_nulls().to_numpy(), series)
    if kind.is_numeric():
        return _numeric(series.drop_nulls().to_numpy(), series)
    return _categorical(series)


def known_numbers(series: pl.Series) -> Values | None:
    """Give the known values of a numeric column, times and durations as seconds; None for another kind.

    NaN is no known value; infinities are.
    """
    kind = series.dtype
    if kind.is_temporal() and kind != pl.Time:
        return _seconds(series).drop_nulls().to_numpy()
    if not (kind.is_numeric() or kind.is_decimal()):
        return None
    values: Values = series.cast(pl.Float64).drop_nulls().to_numpy()
    return values[~np.isnan(values)]


def numbers_with_gaps(series: pl.Series) -> Values | None:
    """Give a numeric column as floats, missing and infinite values as NaN; None for another kind."""
    kind = series.dtype
    if kind.is_temporal() and kind != pl.Time:
        series = _seconds(series)
    elif not (kind.is_numeric() or kind.is_decimal()):
        return None
    values = series.cast(pl.Float64).to_numpy()
    is_finite = np.isfinite(values)
    return values if is_finite.all() else np.where(is_finite, values, np.nan)


def texts(series: pl.Series) -> pl.Series:
    """Give a column of any type as texts; categories are spelt as in `noria.core.stats.samples.labels`."""
    kind = series.dtype
    if kind.is_nested() or kind == pl.Object or isinstance(kind, pl.Duration):
        return pl.Series(series.name, [None if v is None else str(v) for v in series.to_list()], pl.String)
    if kind == pl.Boolean:
        return series.replace_strict({True: "True", False: "False"}, return_dtype=pl.String, default=None)
    if kind == pl.Binary:
        return pl.Series(
            series.name, [None if v is None else v.decode("utf-8", "replace") for v in series], pl.String
        )
    return series.cast(pl.String)


def counted(series: pl.Series) -> pl.DataFrame:
    """Count the known values of a categorical column: columns `label` and `n`, in no order."""
    return pl.DataFrame({"label": texts(series).drop_nulls()}).group_by("label").agg(pl.len().alias("n"))


def commonest(groups: pl.DataFrame, n: int) -> pl.DataFrame:
    """Give the commonest of counted values, equally common ones in the order of their labels."""
    if groups.height > n:
        least = groups["n"].top_k(n).min()
        more = groups.filter(pl.col("n") > least)
        ties = groups.filter(pl.col("n") == least).bottom_k(n - more.height, by="label")
        groups = pl.concat([more, ties])
    return groups.sort("n", "label", descending=[True, False])


def time_range(labels: pl.Series) -> tuple[str, str] | None:
    """Give the first and the last of texts that are all times in ISO 8601, without an offset or in UTC (`Z`).

    Such texts are in the order of time as they are; None for other texts, and for none at all.
    """
    if labels.dtype != pl.String or not len(labels):
        return None
    if not (labels.head(_TRIED).str.contains(_ISO_TIME).all() and labels.str.contains(_ISO_TIME).all()):
        return None
    return str(labels.min()), str(labels.max())


def type_name(kind: pl.DataType) -> str:
    """Name a type in few words: `Int64`, `Datetime(us, UTC)`."""
    if isinstance(kind, pl.Datetime):
        return f"Datetime({kind.time_unit}{f', {kind.time_zone}' if kind.time_zone else ''})"
    if isinstance(kind, pl.Duration):
        return f"Duration({kind.time_unit})"
    if isinstance(kind, pl.Enum):
        return "Enum"
    return str(kind)


def label_of(number: float) -> str:
    """Spell a number as `noria.core.stats.samples.labels` does."""
    return str(int(number)) if np.isfinite(number) and float(number).is_integer() else str(float(number))


def _seconds(series: pl.Series) -> pl.Series:
    kind = series.dtype
    if kind == pl.Date:
        return series.cast(pl.Int32).cast(pl.Float64) * 86_400.0
    return series.dt.cast_time_unit("us").to_physical() / _MICROS_PER_S


def _temporal(series: pl.Series) -> ColumnFigures:
    kind = series.dtype
    is_span = isinstance(kind, pl.Duration)

    def spelt(seconds: float) -> str:
        at = _EPOCH + timedelta(seconds=seconds)
        return at.date().isoformat() if kind == pl.Date else at.isoformat(sep=" ")

    found = _numeric(_seconds(series).drop_nulls().to_numpy(), series, spell=label_of if is_span else spelt)
    if is_span or found.minimum is None:
        return found
    known: Any = (series.min(), series.max())
    return msgspec.structs.replace(found, first=known[0].isoformat(), last=known[1].isoformat())


def _numeric(
    values: Values, series: pl.Series, *, spell: Callable[[float], str] | None = None
) -> ColumnFigures:
    ordered = np.sort(values)  # NaN comes last
    known = ordered[: np.searchsorted(ordered, np.nan)] if ordered.dtype.kind == "f" else ordered
    starts = _run_starts(known)
    figures = ColumnFigures(
        kind="numeric",
        type=type_name(series.dtype),
        n_rows=len(series),
        n_missing=len(series) - known.size,
        n_distinct=min(starts.size, MAX_DISTINCT),
        n_distinct_capped=starts.size > MAX_DISTINCT,
        n_unique=starts.size,
    )
    if not known.size:
        return msgspec.structs.replace(figures, counts=(0,))
    return _described(figures, known, starts, spell or label_of)


def _described(
    figures: ColumnFigures, known: Values, starts: Values, spell: Callable[[float], str]
) -> ColumnFigures:
    is_float = known.dtype.kind == "f"
    ends = (np.searchsorted(known, -np.inf, side="right"), np.searchsorted(known, np.inf)) if is_float else ()
    finite = known[slice(*ends)].astype(np.float64, copy=False) if ends else known.astype(np.float64)
    top = _top_numbers(known, starts, spell)
    figures = msgspec.structs.replace(
        figures,
        n_infinite=known.size - finite.size,
        n_zero=int(np.searchsorted(known, 0, side="right") - np.searchsorted(known, 0, side="left")),
        n_negative=int(np.searchsorted(known, 0, side="left")),
        top=top,
        n_other=known.size - sum(each.n for each in top) if top else 0,
    )
    if not finite.size:
        return msgspec.structs.replace(figures, counts=(known.size,))
    edges = edges_of_sorted(finite, N_BINS)
    upto = np.searchsorted(known.astype(np.float64, copy=False), edges, side="right")
    counts = np.diff(upto, prepend=0, append=known.size)
    return msgspec.structs.replace(
        figures,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        histogram=_histogram(finite),
        **_moments(finite),
    )


def _run_starts(ordered: Values) -> Values:
    """Give the place where each distinct value begins."""
    if not ordered.size:
        return np.array([], dtype=np.intp)
    return np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])


def _top_numbers(ordered: Values, starts: Values, spell: Callable[[float], str]) -> tuple[Category, ...]:
    """List the commonest values of a column whose values repeat; of a continuous one there is nothing to tell."""
    lengths = np.diff(starts, append=ordered.size)
    if starts.size > N_TOP and lengths.max() * 20 < ordered.size:
        return ()
    order = np.argsort(-lengths, kind="stable")[:N_TOP_NUMBERS]
    return tuple(Category(label=spell(ordered[starts[i]].item()), n=int(lengths[i])) for i in order)


def _histogram(ordered: Values) -> Histogram | None:
    low, high = float(ordered[0]), float(ordered[-1])
    if not np.isfinite(high - low) or high <= low:
        return None
    ends = np.linspace(low, high, N_BARS + 1)[1:-1]
    counts = np.diff(np.searchsorted(ordered, ends, side="left"), prepend=0, append=ordered.size)
    return Histogram(low=low, high=high, counts=tuple(counts.tolist()))


def _moments(ordered: Values) -> dict[str, Any]:
    low, high = float(ordered[0]), float(ordered[-1])
    largest = max(abs(low), abs(high))
    scale = largest if largest > LARGEST else 1.0
    scaled = ordered / scale if scale != 1.0 else ordered
    quantiles = np.maximum.accumulate(np.clip(_quantiles(scaled) * scale, low, high))
    return {
        "minimum": low,
        "maximum": high,
        "mean": min(max(float(scaled.mean() * scale), low), high),
        "std": float(scaled.std() * scale),
        "quantiles": tuple(quantiles.tolist()),
    }


def _quantiles(ordered: Values) -> Values:
    """Interpolate between the two values around each level, as `numpy.quantile` does by default."""
    places = np.array(QUANTILE_LEVELS) * (ordered.size - 1)
    below = np.floor(places).astype(np.intp)
    above = np.minimum(below + 1, ordered.size - 1)
    part = places - below
    return np.asarray(ordered[below] * (1 - part) + ordered[above] * part)


def _categorical(series: pl.Series) -> ColumnFigures:
    groups = counted(series)
    top = tuple(Category(label=_clipped(label), n=n) for label, n in commonest(groups, N_TOP).iter_rows())
    n_known = int(groups["n"].sum())
    lengths = groups["label"].str.len_chars() if series.dtype != pl.Boolean else pl.Series([], dtype=pl.Int64)
    spans: Any = (lengths.min(), lengths.max())
    first, last = (time_range(groups["label"]) if series.dtype == pl.String else None) or (None, None)
    return ColumnFigures(
        kind="categorical",
        type=type_name(series.dtype),
        n_rows=len(series),
        n_missing=len(series) - n_known,
        n_distinct=min(groups.height, MAX_DISTINCT),
        n_distinct_capped=groups.height > MAX_DISTINCT,
        n_unique=groups.height,
        top=top,
        n_other=n_known - sum(each.n for each in top),
        first=first,
        last=last,
        shortest=spans[0],
        longest=spans[1],
    )


def _clipped(label: str) -> str:
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
