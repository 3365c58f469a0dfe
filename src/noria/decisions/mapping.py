"""Ways to put a broken column right, as data that a model server applies to each request by itself. Worker only.

What needs rows to come (a column that lags), or many rows at once, is no such way: the column is estimated then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.case import Arrays
from noria.decisions.replay.estimating import estimates
from noria.decisions.replay.recoding import FEW_CODES, Change, exchanges, recoding, shares
from noria.decisions.replay.repairs import UNRELATED
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import SCALES, Sign
from noria.decisions.stages.scales import Line, factor_of, lines
from noria.decisions.stages.swaps import SWAPPED
from noria.serving.repairs.applying import bad_values, changed, estimate
from noria.serving.repairs.entities import (
    MAX_CODES,
    Bad,
    ByEstimate,
    ByExchange,
    ByFactor,
    ByLine,
    ByTable,
    ColumnRepair,
    Usual,
)

_MAY_BE_SCALES = (*SCALES, "outside", "default", UNRELATED)
_BAD = {"missing": Bad.MISSING, "default": Bad.VALUE, "outside": Bad.OUTSIDE, "unseen": Bad.UNSEEN}
_MARGIN = 0.25  # of the width of a column: beyond it nothing lay that was right
_MOST_WEIGHTS = 32
_MOST_ROWS = 5_000
_RIDGE = 1e-3
_FEWEST = 20
_N_USUAL = 200
_ON_POINT = 0.01  # of the width
_INSIDE = 0.95
_NEARER = 0.1
_FEWEST_TOLD = 50
_FEWEST_WITHOUT = 300
_SEED = 7  # any: the same rows give the same repair


def ways(
    sign: Sign, known: Arrays, current: Arrays, *, shows: Callable[[Arrays], bool]
) -> list[ColumnRepair]:
    """List the repairs that fit a sign, the likeliest first.

    Parameters
    ----------
    known, current
        Columns of the training rows, and of live ones that show the sign: numbers (missing: NaN) or objects (missing:
        None), shape (n_rows,).
    shows
        Tells whether columns show a fault of this one: a line after which they still do is none.
    """
    name = sign.column
    if name not in known or name not in current:
        return []
    if sign.kind == SWAPPED:
        other = sign.values[SWAPPED]
        words = f"`{name}` and `{other}` are exchanged again"
        return [
            ColumnRepair(column=name, change=ByExchange(other=other), words=words, usual=_usual(known[name]))
        ]
    found = [*_by_lines(sign, known, current, shows), *_by_tables(sign, known[name], current, shows)]
    if sign.kind != "rounded":
        found.append(_by_estimate(sign, known, current))
    return found


def is_mended(repair: ColumnRepair, received: NDArray[Any], mended: Arrays) -> bool:
    """Tell whether a sender is right again, so that its column is to be taken as it is sent.

    Parameters
    ----------
    received : ndarray, shape (n_rows,)
        The newest values as they were sent.
    mended
        All columns of these rows as the model saw them.
    """
    usual, change = repair.usual, repair.change
    if usual is None or len(received) < _FEWEST_TOLD:
        return False
    if isinstance(change, ByEstimate) and change.bad is Bad.ALL:
        if usual.error is None or usual.error_broken is None or received.dtype.kind not in "iuf":
            return False
        apart = np.abs(received.astype(np.float64) - estimate(change, len(received), mended))
        return bool(np.median(apart) <= (usual.error + usual.error_broken) / 2)
    if isinstance(change, ByEstimate | ByFactor):
        return len(received) >= _FEWEST_WITHOUT and not _needs(change, received).any()
    known = _as_column(usual.values)
    sent = _as_column(received.tolist())
    seen = mended[repair.column] if isinstance(change, ByExchange) else None
    back = _as_column((changed(repair, received, mended, whole=True) if seen is None else seen).tolist())
    return distance(sent, known) + _NEARER < distance(back, known)


def _needs(change: ByEstimate | ByFactor, received: NDArray[Any]) -> NDArray[np.bool_]:
    if isinstance(change, ByEstimate):
        return bad_values(change, received)
    with np.errstate(invalid="ignore"):
        return np.asarray((received < change.low) | (received > change.high))


def _by_lines(
    sign: Sign, known: Arrays, current: Arrays, shows: Callable[[Arrays], bool]
) -> Iterator[ColumnRepair]:
    name = sign.column
    column = known[name]
    if sign.kind not in _MAY_BE_SCALES or column.dtype.kind != "f":
        return
    low, high = _reach(column)
    told = [Line(slope=sign.values["slope"], offset=sign.values["offset"])] if sign.kind in SCALES else []
    for line in lines(column, current[name], estimates(name, known, current), told):
        back = line.back(current[name])
        if _fits(back, column) and not shows({**current, name: back}):
            off = f" after taking {line.offset:.4g} off" if line.offset else ""
            points = [] if line.points is None else line.points.tolist()
            yield ColumnRepair(
                column=name,
                change=ByLine(
                    slope=line.slope,
                    offset=line.offset,
                    low=low,
                    high=high,
                    points=points if len(points) <= _MOST_ROWS else [],
                ),
                words=f"`{name}` is divided by {line.slope:.4g}{off}",
                usual=_usual(column),
            )
    if sign.kind == "outside":
        outside = (current[name] < low) | (current[name] > high)
        factor = factor_of(column, current[name][outside])
        if factor is not None:
            yield ColumnRepair(
                column=name,
                change=ByFactor(factor=factor, low=low, high=high),
                words=f"`{name}` is divided by {factor:.4g} where it lies outside all it was",
                usual=_usual(column),
            )


def _by_tables(
    sign: Sign, known: NDArray[Any], current: Arrays, shows: Callable[[Arrays], bool]
) -> Iterator[ColumnRepair]:
    name, now = sign.column, current[sign.column]
    words = f"codes of `{name}` are put back"
    recoded = recoding(sign.kind, known, now)
    table = {} if recoded is None else _table_of(recoded, now)
    if table and len(table) <= MAX_CODES:
        yield ColumnRepair(column=name, change=ByTable(codes=table), words=words, usual=_usual(known))
    if sign.kind in ("default", "exchanged"):
        for one, other, recode in exchanges(known, now):
            if not shows({**current, name: recode(now, current)}):
                yield ColumnRepair(
                    column=name,
                    change=ByTable(codes={one: other, other: one}),
                    words=f"{words} ({one} and {other} are exchanged)",
                    usual=_usual(known),
                )


def _table_of(recode: Change, values: NDArray[Any]) -> dict[str, str]:
    """Give the codes that a change takes for others."""
    codes = shares(values)
    sent: NDArray[Any] = (
        np.array([float(code) for code in codes])
        if values.dtype.kind == "f"
        else np.array(codes, dtype=object)
    )
    meant = recode(sent, {}).tolist() if len(codes) else []
    return {
        code: str(new) for code, new in zip(codes, meant, strict=True) if new is not None and str(new) != code
    }


def _by_estimate(sign: Sign, known: Arrays, current: Arrays) -> ColumnRepair:
    name = sign.column
    column, bad = known[name], _BAD.get(sign.kind, Bad.ALL)
    value = str(sign.values["value"]) if bad is Bad.VALUE and "value" in sign.values else None
    if bad is Bad.VALUE and value is None:
        bad = Bad.ALL
    codes = shares(column) if bad is Bad.UNSEEN else []
    if len(codes) > MAX_CODES:
        bad, codes = Bad.ALL, []
    if column.dtype.kind != "f":
        commonest = (shares(column) or [""])[0]
        change = ByEstimate(bad=bad, value=value, known=codes, code=commonest)
        words = f"`{name}` is taken for its commonest code, `{commonest}`"
        words += "," if bad is not Bad.ALL else ""
        usual = _usual(column)
    else:
        low, high = _reach(column)
        change = _regressed(name, known, ByEstimate(bad=bad, value=value, known=codes, low=low, high=high))
        words = f"`{name}` is estimated from the other columns"
        usual = _usual(column)
        if bad is Bad.ALL:
            then, now = _apart(change, name, known), _apart(change, name, current)
            usual = Usual(values=usual.values, error=then, error_broken=now)
            if not now > 2 * then:  # the estimates say nothing of when the fault ends
                usual = Usual(values=usual.values)
    if bad is not Bad.ALL:
        words += " where it is lost"
    return ColumnRepair(column=name, change=change, words=words, usual=usual)


def _regressed(name: str, known: Arrays, change: ByEstimate) -> ByEstimate:
    """Learn a column from those that go with it most, by ridge regression on the training rows."""
    import msgspec

    target = known[name]
    rows = np.flatnonzero(np.isfinite(target))[:_MOST_ROWS]
    y = target[rows]
    middle = float(np.median(y)) if len(y) else 0.0
    others = {
        other: column[rows]
        for other, column in known.items()
        if other != name and column.dtype.kind == "f" and len(rows) >= _FEWEST
    }
    middles = {n: float(np.nanmedian(c)) for n, c in others.items() if np.isfinite(c).any()}
    filled = {n: np.where(np.isfinite(others[n]), others[n], m) - m for n, m in middles.items()}
    strength = {n: _correlation(c, y) for n, c in filled.items()}
    chosen = sorted((n for n in strength if strength[n] > 0), key=lambda n: -strength[n])[:_MOST_WEIGHTS]
    if not chosen:
        return msgspec.structs.replace(change, middle=middle)
    x = np.column_stack([filled[n] for n in chosen])
    scale = x.std(axis=0)
    z, mean = x / scale, float(y.mean())
    centre = z.mean(axis=0)
    gram = (z - centre).T @ (z - centre) + _RIDGE * len(y) * np.eye(len(chosen))
    solved = np.linalg.solve(gram, (z - centre).T @ (y - mean)) / scale
    return msgspec.structs.replace(
        change,
        middle=mean - float(solved @ x.mean(axis=0)),
        weights={n: float(w) for n, w in zip(chosen, solved, strict=True)},
        middles={n: middles[n] for n in chosen},
    )


def _correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    if np.ptp(one) <= 0 or np.ptp(other) <= 0:
        return 0.0
    return abs(float(np.corrcoef(one, other)[0, 1]))


def _apart(change: ByEstimate, name: str, columns: Arrays) -> float:
    """Give the median distance of a column from its estimates; NaN when it has no value."""
    apart = np.abs(columns[name] - estimate(change, len(columns[name]), columns))
    return float(np.nanmedian(apart)) if np.isfinite(apart).any() else float("nan")


def _reach(known: NDArray[Any]) -> tuple[float, float]:
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    return low - _MARGIN * (high - low), high + _MARGIN * (high - low)


def _fits(values: NDArray[Any], known: NDArray[Any]) -> bool:
    """Tell whether values lie where a column of few values always lay; any do in a column of many."""
    points = np.unique(known[np.isfinite(known)])
    values = values[np.isfinite(values)]
    if len(points) > FEW_CODES:
        return True
    if not len(points) or not len(values):
        return False
    off = np.abs(values[:, None] - points[None, :]).min(axis=1)
    return float((off <= _ON_POINT * max(float(np.ptp(points)), 1e-12)).mean()) >= _INSIDE


def _usual(known: NDArray[Any]) -> Usual:
    there = known[~is_missing(known)]
    if not len(there):
        return Usual()
    if known.dtype.kind == "f":
        return Usual(values=np.quantile(there, np.linspace(0.0, 1.0, _N_USUAL)).tolist())
    drawn = np.random.default_rng(_SEED).choice(len(there), _N_USUAL)
    return Usual(values=[str(value) for value in there[drawn]])


def _as_column(values: list[Any]) -> NDArray[Any]:
    if all(isinstance(value, (int, float)) for value in values):
        return np.asarray(values, dtype=np.float64)
    return np.asarray([None if value == "" else str(value) for value in values], dtype=object)
