"""The rules of one column, each as the rows that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import polars as pl

from noria.core.errors import ConfigInvalid
from noria.data.diffing.distances import column_distance
from noria.data.profiling.columns import texts, type_name
from noria.data.quality.settings import Bound, ColumnRules

_TYPES: Final[Mapping[str, Callable[[pl.DataType], bool]]] = MappingProxyType(
    {
        "integer": lambda kind: kind.is_integer(),
        "float": lambda kind: kind.is_float() or kind.is_decimal(),
        "number": lambda kind: kind.is_numeric(),
        "text": lambda kind: kind in {pl.String, pl.Categorical, pl.Enum},
        "boolean": lambda kind: kind == pl.Boolean,
        "date": lambda kind: kind == pl.Date,
        "time": lambda kind: isinstance(kind, pl.Datetime),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """A rule of a column with what was found.

    Attributes
    ----------
    broken
        Which rows break it; None for a rule that is not one of rows.
    """

    rule: str
    passed: bool
    expected: str
    found: str
    broken: pl.Series | None = None


def check_column(series: pl.Series, rules: ColumnRules, *, before: pl.Series | None) -> Iterator[Finding]:
    """Check a column.

    Parameters
    ----------
    before
        The column of the version that its distribution is compared with; None where that has none.

    Raises
    ------
    ConfigInvalid
        If a rule cannot be one of any column: a pattern or a time that cannot be read.
    """
    if rules.type is not None:
        yield _type(series, rules.type)
    known = _known(series)
    if rules.max_missing is not None:
        yield _missing(known, rules.max_missing)
    for rule, bound in (("min", rules.min), ("max", rules.max)):
        if bound is not None:
            yield _bound(series, known, rule, bound)
    if rules.unique:
        repeated = series.is_duplicated() & known
        yield _rows("unique", repeated, expected="each value once", broken_as="repeated")
    if rules.values is not None:
        yield _values(series, known, rules.values)
    if rules.pattern is not None:
        yield _pattern(series, known, rules.pattern)
    if rules.max_drift is not None:
        yield _drift(series, before, rules.max_drift)


def _known(series: pl.Series) -> pl.Series:
    known = series.is_not_null()
    return known & series.is_not_nan().fill_null(value=False) if series.dtype.is_float() else known


def _type(series: pl.Series, wanted: str) -> Finding:
    name = type_name(series.dtype)
    fits = _TYPES.get(wanted)
    is_right = name == wanted if fits is None else fits(series.dtype)
    return Finding(rule="type", passed=is_right, expected=wanted, found=name)


def _missing(known: pl.Series, most: float) -> Finding:
    n_missing = len(known) - int(known.sum())
    share = n_missing / len(known) if len(known) else 0.0
    # The rows are told only where they are what is wrong.
    return Finding(
        rule="missing",
        passed=share <= most,
        expected=f"at most {most:.4g} of the rows",
        found=f"{share:.4g}: {n_missing} rows",
        broken=~known if share > most else None,
    )


def _bound(series: pl.Series, known: pl.Series, rule: str, bound: Bound) -> Finding:
    limit = _limit(series, bound)
    expected = f"{'at least' if rule == 'min' else 'at most'} {bound}"
    if limit is None:
        return _of_other_type(rule, expected, series)
    broken = (series < limit if rule == "min" else series > limit) & known
    extreme: Any = series.filter(known).min() if rule == "min" else series.filter(known).max()
    shown = f"{extreme:.6g}" if isinstance(extreme, float) else f"{extreme}"
    return _rows(rule, broken, expected=expected, broken_as=f"{'down' if rule == 'min' else 'up'} to {shown}")


def _limit(series: pl.Series, bound: Bound) -> Any:
    """Give a bound in the type of the column; None where they do not go together."""
    kind = series.dtype
    if isinstance(bound, str) != (kind.is_temporal() or kind == pl.String):
        return None
    if kind == pl.String or not isinstance(bound, str):
        return bound if kind.is_numeric() or kind == pl.String else None
    try:
        return _time(kind, bound)
    except ValueError as error:
        raise ConfigInvalid(
            f"`{bound}` is no time: {error}", hint="Write `2026-01-31` or `2026-01-31T12:00:00`"
        ) from error


def _time(kind: pl.DataType, text: str) -> Any:
    if kind == pl.Date:
        return date.fromisoformat(text)
    if not isinstance(kind, pl.Datetime):
        return None
    at = datetime.fromisoformat(text)
    zone = kind.time_zone
    literal = pl.Series([at.replace(tzinfo=None) if zone is None else at])
    if zone is not None and at.tzinfo is None:
        literal = literal.dt.replace_time_zone("UTC")
    return literal.dt.convert_time_zone(zone)[0] if zone is not None else literal[0]


def _values(series: pl.Series, known: pl.Series, allowed: tuple[Any, ...]) -> Finding:
    spelt = [_spelt(value) for value in allowed]
    shown = ", ".join(f"`{value}`" for value in spelt[:10]) + (" …" if len(spelt) > 10 else "")
    # Whole numbers read the same as floats and as integers.
    held = (
        texts(series) if not series.dtype.is_float() else series.map_elements(_spelt, return_dtype=pl.String)
    )
    broken = ~held.is_in(spelt) & known
    others = held.filter(broken).unique().sort().head(3).to_list()
    return _rows("values", broken, expected=f"one of {shown}", broken_as=", ".join(f"`{o}`" for o in others))


def _spelt(value: Any) -> str:
    if isinstance(value, float) and np.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value)


def _pattern(series: pl.Series, known: pl.Series, pattern: str) -> Finding:
    expected = f"texts like `{pattern}`"
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return _of_other_type("pattern", expected, series)
    try:
        matches = texts(series).str.contains(f"^(?:{pattern})$")
    except pl.exceptions.ComputeError as error:
        raise ConfigInvalid(
            f"`{pattern}` is no regular expression: {error}", hint="Mend it in `noria.toml`"
        ) from error
    return _rows("pattern", ~matches & known, expected=expected, broken_as="others")


def _drift(series: pl.Series, before: pl.Series | None, most: float) -> Finding:
    expected = f"at most {most:.4g} from the reference"
    if before is None:
        return Finding(rule="drift", passed=False, expected=expected, found="no such column in the reference")
    distance = column_distance(series.name, before, series)
    if distance.distance is None:
        return Finding(rule="drift", passed=False, expected=expected, found="no values to compare")
    measure = distance.measure.replace("_", "-")
    return Finding(
        rule="drift",
        passed=distance.distance <= most,
        expected=expected,
        found=f"{distance.distance:.4g} ({measure})",
    )


def _of_other_type(rule: str, expected: str, series: pl.Series) -> Finding:
    return Finding(
        rule=rule,
        passed=False,
        expected=expected,
        found=f"{type_name(series.dtype)}, which cannot be compared with it",
    )


def _rows(rule: str, broken: pl.Series, *, expected: str, broken_as: str) -> Finding:
    n_broken = int(broken.fill_null(value=False).sum())
    found = f"{n_broken} rows: {broken_as}" if n_broken else "every row"
    return Finding(rule=rule, passed=not n_broken, expected=expected, found=found, broken=broken)
