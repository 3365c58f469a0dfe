"""Repairs of raw rows: scale back, recode, shift back, or estimate a column from the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.estimating import estimates, estimator
from noria.decisions.replay.rows import Columns, columns_of
from noria.decisions.replay.world import Repair
from noria.decisions.stages.alignment import LAGGED
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import SCALES, Sign
from noria.decisions.stages.scales import Line, factor_of, lines

if TYPE_CHECKING:
    import polars as pl

Change = Callable[[NDArray[Any], Columns], NDArray[Any]]

UNRELATED = "unrelated"
_FEWEST_LETTERS = 2
_FEW_CODES = 12
_MOST_EXCHANGES = 3
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
    """
    name = sign.column
    made: list[tuple[Change, str, Callable[[Columns], bool], bool]] = []
    if sign.kind in _MAY_BE_SCALES and known[name].dtype.kind == "f":
        made = [
            (_line(line), _words(name, line), _still_so(_line(line), name, known[name], still), True)
            for line in _lines(sign, known, current)
            if _fits(line.back(current[name]), known[name])
            and not shows({**current, name: line.back(current[name])})
        ]
        factor = factor_of(known[name], current[name][_bad(sign, current[name], known[name])])
        if sign.kind == "outside" and factor is not None:
            words = f"`{name}` is divided by {factor:.4g} where it lies outside all it was"
            made.append((_where_outside(sign, known[name], factor), words, still, True))
    elif sign.kind == LAGGED:
        lag = sign.values["lag"]
        made = [(_shift(lag), f"`{name}` is moved back by {lag} rows", still, True)]
    if sign.kind in ("spelt", "exchanged", "unseen"):
        recoded = _recoding(sign, known[name], current[name])
        if recoded is not None:
            put_back = _still_so(recoded, name, known[name], still)
            made.append((recoded, f"codes of `{name}` are put back", put_back, True))
    if sign.kind in ("default", "exchanged"):
        made += [
            (
                recode,
                f"codes of `{name}` are put back ({one} and {other} are exchanged)",
                _still_so(recode, name, known[name], still),
                True,
            )
            for one, other, recode in _exchanges(known[name], current[name])
            if not shows({**current, name: recode(current[name], current)})
        ]
    if sign.kind != "rounded":
        made.append((_imputation(sign, known), f"`{name}` is estimated from the other columns", still, False))
    return [
        Mending(column=name, words=words, apply=_on_frame(name, reference, change, while_), exact=exact)
        for change, words, while_, exact in made
    ]


def _lines(sign: Sign, known: Columns, current: Columns) -> list[Line]:
    name = sign.column
    told = [Line(slope=sign.values["slope"], offset=sign.values["offset"])] if sign.kind in SCALES else []
    return lines(known[name], current[name], estimates(name, known, current), told)


def _fits(values: NDArray[Any], known: NDArray[Any]) -> bool:
    """Tell whether values lie where a column of few values always lay; any do in a column of many."""
    points = np.unique(known[np.isfinite(known)])
    values = values[np.isfinite(values)]
    if len(points) > _FEW_CODES:
        return True
    off = np.abs(values[:, None] - points[None, :]).min(axis=1) if len(points) else np.empty(0)
    return bool(len(off)) and float((off > _OFF * max(float(np.ptp(points)), 1e-12)).mean()) <= _STRANGE


def _words(name: str, line: Line) -> str:
    off = f" after taking {line.offset:.4g} off" if line.offset else ""
    return f"`{name}` is divided by {line.slope:.4g}{off}"


def _still_so(change: Change, name: str, known: NDArray[Any], still: Callable[[Columns], bool]) -> Any:
    """Tell whether a column is to be changed back: it shows a fault, or is nearer to what it was once changed.

    A window of few rows may show no sign of a fault that lasts.
    """

    def holds(columns: Columns) -> bool:
        values = columns[name]
        return still(columns) or distance(change(values, columns), known) < distance(values, known)

    return holds


def drawn_from(reference: pl.DataFrame, names: list[str]) -> Repair:
    """Give every row values of training rows drawn at random in some columns, each column by itself."""

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        rng = np.random.default_rng(0)
        return raw.with_columns(
            reference[name].gather(rng.integers(reference.height, size=raw.height)) for name in names
        )

    return apply


def _on_frame(name: str, reference: pl.DataFrame, change: Change, still: Callable[[Columns], bool]) -> Repair:
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


def _line(line: Line) -> Change:
    return lambda values, _: line.back(values)


def _where_outside(sign: Sign, known: NDArray[Any], factor: float) -> Change:
    """Divide the values that lie outside: rows of one sender, say, that has another unit."""
    return lambda values, _: np.where(
        _bad(sign, values, known) & ~is_missing(values), values.astype(np.float64) / factor, values
    )


def _shift(lag: int) -> Change:
    def shift(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        moved = np.roll(values, -lag)
        if lag > 0:
            moved[-lag:] = values[-1]
        else:
            moved[:-lag] = values[0]
        return moved

    return shift


def _recoding(sign: Sign, known: NDArray[Any], current: NDArray[Any]) -> Change | None:
    """Map codes to the known ones: by spelling, else by the order of their shares."""
    then, now = _shares(known), _shares(current)
    if sign.kind == "spelt":
        plain = {_plain(code): code for code in then}
        table = {code: plain.get(_plain(code), code) for code in now}
    elif sign.kind == "exchanged":
        table = dict(zip(now, then, strict=False))
    else:
        gone, new = [c for c in then if c not in now], [c for c in now if c not in then]
        cut = _by_beginning(gone, new)
        if len(gone) != len(new) and cut is None:
            return None
        table = dict(zip(new, gone, strict=True)) if cut is None else cut
    return _by_table(table, numeric=known.dtype.kind == "f")


def _exchanges(known: NDArray[Any], current: NDArray[Any]) -> list[tuple[str, str, Change]]:
    """List the exchanges of two codes of a column of few, with which its shares are nearest to what they were."""
    codes = _shares(known)
    if not 2 <= len(codes) <= _FEW_CODES:
        return []
    numeric = known.dtype.kind == "f"
    tried = [
        (one, other, _by_table({one: other, other: one}, numeric=numeric))
        for place, one in enumerate(codes)
        for other in codes[place + 1 :]
    ]
    ranked = sorted(tried, key=lambda each: distance(each[2](current, {}), known))
    before = distance(current, known)
    return [each for each in ranked[:_MOST_EXCHANGES] if distance(each[2](current, {}), known) < before]


def _by_table(table: dict[str, str], *, numeric: bool) -> Change:
    def recode(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        if numeric:
            return np.array([float(table.get(str(v), v)) for v in values])
        return np.array([None if v is None else table.get(v, v) for v in values], dtype=object)

    return recode


def _by_beginning(gone: list[str], new: list[str]) -> dict[str, str] | None:
    """Map codes that were cut off, or were so in training; None unless each of them begins one known code only."""
    table = {}
    for code in new:
        like = [known for known in gone if known.startswith(code) or code.startswith(known)]
        if len(like) != 1 or min(len(code), len(like[0])) < _FEWEST_LETTERS:
            return None
        table[code] = like[0]
    return table


def _shares(values: NDArray[Any]) -> list[str]:
    """List codes, the most frequent first."""
    names, counts = np.unique(values[~is_missing(values)].astype(str), return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")]]


def _imputation(sign: Sign, known: Columns) -> Change:
    name = sign.column
    estimate: list[Callable[[Columns], NDArray[Any]]] = []

    def impute(values: NDArray[Any], columns: Columns) -> NDArray[Any]:
        if not estimate:
            estimate.append(estimator(name, known))
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
        there = known[~is_missing(known)].astype(np.float64)
        width = float(there.max() - there.min())
        return np.asarray(
            gone | (values < there.min() - 0.25 * width) | (values > there.max() + 0.25 * width)
        )
    if sign.kind == "unseen":
        codes = set(_shares(known))
        return np.asarray(gone | np.array([str(v) not in codes for v in values], dtype=bool))
    return np.ones(len(values), dtype=bool)


def _plain(name: str) -> str:
    return "".join(name.split()).replace("_", "").replace("-", "").casefold()
