"""Repairs of raw rows: scale back, recode, shift back, or estimate a column from the others."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.dividing import divided_where
from noria.decisions.replay.estimating import estimates, estimator
from noria.decisions.replay.reading import readings
from noria.decisions.replay.recoding import FEW_CODES, TABLE, Change, by_table, exchanges, recoding, shares
from noria.decisions.replay.rows import Columns, columns_of
from noria.decisions.replay.world import Repair
from noria.decisions.stages.alignment import LAGGED
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import SCALES, Sign, reach
from noria.decisions.stages.scales import Line, goes_along, lines
from noria.decisions.stages.swaps import SWAPPED

if TYPE_CHECKING:
    import polars as pl

UNRELATED = "unrelated"
LEVEL = "level"  # in the values of a sign: labels told the line
CLOCK = "clock"  # kind of a sign, and in its values: hours to add
TOGETHER = (
    "together"  # in the values of a sign: columns that broke with this one, which tell nothing about it
)
_OFF = 0.01  # of the width of a column of few values
_STRANGE = 0.05
_MAY_BE_SCALES = (*SCALES, "outside", "default", UNRELATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """A repair of one column, and what it does in words.

    Attributes
    ----------
    exact
        Whether it gives the values back as they were, rather than estimates of them.
    """

    column: str
    words: str
    apply: Repair
    exact: bool


def mendings(
    sign: Sign,
    reference: pl.DataFrame,
    known: Columns,
    current: Columns,
    *,
    shows: Callable[[Columns], bool],
    still: Callable[[Columns], bool],
    lately: Columns | None = None,
    raw: pl.DataFrame | None = None,
) -> list[Mending]:
    """List the repairs that fit a sign, the likeliest first.

    Parameters
    ----------
    reference, known
        Training rows, as a frame and as columns.
    current
        Columns of rows that show the sign.
    shows
        Tells whether columns show a fault of this one: a line after which they still do is none.
    still
        Tells of rows to come whether they are to be repaired.
    lately
        Columns of the rows just before the sign, if there are any.
    raw
        The newest rows as they came.
    """
    name = sign.column
    if sign.kind == CLOCK:
        return [_clock(name, sign.values[CLOCK])]
    if sign.kind == SWAPPED:
        bases = [known] if lately is None else [known, lately]
        return [_exchanged(name, sign.values[SWAPPED], reference, bases)]
    ways = [*_scales(sign, known, current, shows, lately), *_recodings(sign, known[name], current, shows)]
    if sign.kind == LAGGED:
        lag = sign.values["lag"]
        ways.append(_Way(words=f"`{name}` is moved back by {lag} rows", change=_shift(lag), lasts=False))
    if sign.kind != "rounded":
        words = f"`{name}` is estimated from the other columns"
        told = TOGETHER in sign.values
        ways.append(_Way(words=words, change=_imputation(sign, known), lasts=False, told=told, exact=False))
    read = [] if raw is None or name not in raw.columns else _read(name, reference, raw, shows)
    return read + [
        Mending(
            column=name,
            words=way.words,
            apply=on_frame(name, reference, way.change, _holds(way, name, known[name], still)),
            exact=way.exact,
        )
        for way in ways
    ]


def _read(
    name: str, reference: pl.DataFrame, raw: pl.DataFrame, shows: Callable[[Columns], bool]
) -> list[Mending]:
    """List the ways to read a column of numbers that came as text."""
    current = columns_of(raw, reference, raw.columns)
    return [
        Mending(column=name, words=words, apply=read, exact=True)
        for words, read in readings(name, reference, raw, current, shows)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A change of one column.

    Attributes
    ----------
    lasts
        Whether it goes on in windows too small to show the fault again.
    told
        By labels: no look of the column says when the fault ends, so it goes on until the loss rises again.
    """

    words: str
    change: Change
    lasts: bool = True
    told: bool = False
    exact: bool = True


def _scales(
    sign: Sign, known: Columns, current: Columns, shows: Callable[[Columns], bool], lately: Columns | None
) -> Iterator[_Way]:
    """Give the lines that take a column of numbers back, and the factor of rows that alone lie outside."""
    name = sign.column
    if sign.kind not in _MAY_BE_SCALES or known[name].dtype.kind != "f":
        return
    for line in _lines(sign, known, current, lately):
        back = line.back(current[name])
        if _fits(back, known[name]) and not shows({**current, name: back}):
            yield _Way(words=_words(name, line), change=taken_back(line))
    if sign.kind == "outside":
        divided = divided_where(name, known, current, bad=partial(_bad, sign))
        if divided is not None:
            yield _Way(words=divided.words, change=divided.change, lasts=False)


def _recodings(
    sign: Sign, known: NDArray[Any], current: Columns, shows: Callable[[Columns], bool]
) -> Iterator[_Way]:
    """Give the ways to put codes back."""
    name = sign.column
    words = f"codes of `{name}` are put back"
    if TABLE in sign.values:
        table = by_table(sign.values[TABLE], numeric=known.dtype.kind == "f")
        yield _Way(words=words, change=table, told=True)
        return
    recoded = recoding(sign.kind, known, current[name])
    if recoded is not None:
        yield _Way(words=words, change=recoded)
    if sign.kind in ("default", "exchanged"):
        for one, other, recode in exchanges(known, current[name]):
            if not shows({**current, name: recode(current[name], current)}):
                yield _Way(words=f"{words} ({one} and {other} are exchanged)", change=recode)


def _lines(sign: Sign, known: Columns, current: Columns, lately: Columns | None) -> list[Line]:
    name = sign.column
    others = estimates(name, known, current)
    if sign.kind == UNRELATED and not goes_along(current[name], others):
        return []
    told = [Line(slope=sign.values["slope"], offset=sign.values["offset"])] if sign.kind in SCALES else []
    return lines(known[name], current[name], others, told, None if lately is None else lately[name])


def _fits(values: NDArray[Any], known: NDArray[Any]) -> bool:
    """Tell whether values lie where a column of few values always lay; any do in a column of many."""
    points = np.unique(known[np.isfinite(known)])
    values = values[np.isfinite(values)]
    if len(points) > FEW_CODES:
        return True
    off = np.abs(values[:, None] - points[None, :]).min(axis=1) if len(points) else np.empty(0)
    return bool(len(off)) and float((off > _OFF * max(float(np.ptp(points)), 1e-12)).mean()) <= _STRANGE


def _words(name: str, line: Line) -> str:
    off = f" after taking {line.offset:.4g} off" if line.offset else ""
    return f"`{name}` is divided by {line.slope:.4g}{off}"


def _holds(
    way: _Way, name: str, known: NDArray[Any], still: Callable[[Columns], bool]
) -> Callable[[Columns], bool]:
    """Tell which rows to come are to be changed."""
    if way.told:
        return lambda _: True
    return _still_so(way.change, name, known, still) if way.lasts else still


def _still_so(change: Change, name: str, known: NDArray[Any], still: Callable[[Columns], bool]) -> Any:
    """Tell whether a column is to be changed back: it shows a fault, or is nearer to what it was once changed.

    A window of few rows may show no sign of a fault that lasts.
    """

    def holds(columns: Columns) -> bool:
        values = columns[name]
        return still(columns) or distance(change(values, columns), known) < distance(values, known)

    return holds


def _clock(name: str, hours: int) -> Mending:
    return Mending(
        column=name,
        words=f"{abs(hours)} hours are {'added to' if hours > 0 else 'taken off'} `{name}`",
        apply=shifted_clock(name, datetime.timedelta(hours=hours)),
        exact=True,
    )


def _exchanged(one: str, other: str, reference: pl.DataFrame, bases: list[Columns]) -> Mending:
    """Give each of two columns the values of the other while that brings both nearer to what they were."""
    import polars as pl

    def still(columns: Columns) -> bool:
        pairs = ((one, other), (other, one))
        crossed = sum(distance(columns[a], known[b]) for known in bases for a, b in pairs)
        own = sum(distance(columns[a], known[a]) for known in bases for a, _ in pairs)
        return crossed < own

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        if not {one, other} <= set(raw.columns) or not still(columns_of(raw, reference, [one, other])):
            return raw
        return raw.with_columns(
            pl.col(other).cast(reference[one].dtype, strict=False).alias(one),
            pl.col(one).cast(reference[other].dtype, strict=False).alias(other),
        )

    return Mending(column=one, words=f"`{one}` and `{other}` are exchanged again", apply=apply, exact=True)


def shifted_clock(name: str, by: datetime.timedelta) -> Repair:
    """Move the times of a column."""

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        return raw.with_columns(raw[name] + by)

    return apply


def drawn_from(reference: pl.DataFrame, names: list[str]) -> Repair:
    """Give every row values of training rows drawn at random in some columns, each column by itself."""

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        rng = np.random.default_rng(0)
        return raw.with_columns(
            reference[name].gather(rng.integers(reference.height, size=raw.height)) for name in names
        )

    return apply


def on_frame(
    name: str, reference: pl.DataFrame, change: Change, still: Callable[[Columns], bool] = lambda _: True
) -> Repair:
    """Make a change of one column a repair of raw rows, while these are such as are to be repaired."""
    import polars as pl

    dtype = reference[name].dtype

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        columns = columns_of(raw, reference, reference.columns)
        if name not in columns or not still(columns):
            return raw
        values = change(columns[name], columns)
        if values.dtype.kind == "f":
            column = pl.Series(name, values).fill_nan(None)
            column = column.round() if dtype.is_integer() else column
        else:
            column = pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
        return raw.with_columns(column.cast(dtype, strict=False))

    return apply


def taken_back(line: Line) -> Change:
    """Take a column back by the line that it became."""
    return lambda values, _: line.back(values)


def _shift(lag: int) -> Change:
    def shift(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        moved = np.roll(values, -lag)
        if lag > 0:
            moved[-lag:] = values[-1]
        else:
            moved[:-lag] = values[0]
        return moved

    return shift


def _imputation(sign: Sign, known: Columns) -> Change:
    name = sign.column
    broken = {*sign.values.get(TOGETHER, ())} - {name}
    whole = {other: column for other, column in known.items() if other not in broken}
    estimate: list[Callable[[Columns], NDArray[Any]]] = []

    def impute(values: NDArray[Any], columns: Columns) -> NDArray[Any]:
        if not estimate:
            estimate.append(estimator(name, whole))
        bad = _bad(sign, values, known[name])
        found = np.array(values)
        if bad.any():
            found[bad] = estimate[0](columns)[bad]
        return found

    return impute


def _bad(sign: Sign, values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.bool_]:
    gone: NDArray[np.bool_] = is_missing(values)
    if sign.kind == "missing":
        return gone
    if sign.kind == "default":
        text = sign.values["value"]
        return np.asarray(gone | np.array([v == text for v in values], dtype=bool))
    if sign.kind == "outside":
        low, high = reach(known[~is_missing(known)].astype(np.float64))
        return np.asarray(gone | (values < low) | (values > high))
    if sign.kind == "unseen":
        codes = set(shares(known))
        return np.asarray(gone | np.array([str(v) not in codes for v in values], dtype=bool))
    return np.ones(len(values), dtype=bool)
