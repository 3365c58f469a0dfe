"""Apply a repair to arrays. Pure: a trial and a model server get the same values from the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.columns import put_column, take_column
from noria.core.stats.samples import is_missing
from noria.serving.repairs.entities import (
    Bad,
    ByEstimate,
    ByExchange,
    ByFactor,
    ByLine,
    ByTable,
    ColumnRepair,
    places_of,
)

Array = NDArray[Any]
Arrays = dict[str, Array]

RECEIVED = "received:"
"""Begins the name of a captured output that holds an input as it was sent, where it was repaired."""

_ROUNDING = 1e-3  # of a step


class Repairer:
    """A repair that is applied to one request after the other. Called from many threads."""

    def __init__(self, columns: Sequence[ColumnRepair]) -> None:
        self._columns = tuple(columns)
        self._places = tuple(dict.fromkeys(place for column in columns for place in places_of(column)))
        self._names = tuple(dict.fromkeys(place.partition("[")[0] for place in self._places))

    def __call__(self, arrays: Mapping[str, Array]) -> tuple[Arrays, Arrays]:
        """Put arrays right.

        Parameters
        ----------
        arrays
            Inputs by name, shape (n_rows, ...); left as they are.

        Returns
        -------
        dict of ndarray
            The inputs as the model is to see them.
        dict of ndarray
            The inputs that are repaired, as they were sent, each under `received:` and its name.
        """
        received = {name: arrays[name] for name in self._own(arrays)}
        mended = {name: np.array(a) if name in received else a for name, a in arrays.items()}
        for repair in self._columns:
            values = take_column(mended, repair.column)
            if values is None:
                continue
            if isinstance(repair.change, ByExchange):
                _exchange(mended, repair.column, repair.change.other)
                continue
            put_column(mended, repair.column, changed(repair, values, mended))
        return mended, {f"{RECEIVED}{name}": array for name, array in received.items()}

    def _own(self, arrays: Mapping[str, Array]) -> list[str]:
        return [name for name in arrays if name in self._names or name in self._places]


def _exchange(arrays: Arrays, one: str, other: str) -> None:
    a, b = take_column(arrays, one), take_column(arrays, other)
    if a is None or b is None:
        return
    a, b = np.array(a), np.array(b)  # what was taken may be a part of what is put
    put_column(arrays, one, b if a.dtype.kind in "OUS" else _typed(b, a))
    put_column(arrays, other, a if b.dtype.kind in "OUS" else _typed(a, b))


def changed(
    repair: ColumnRepair, values: Array, arrays: Mapping[str, Array], *, whole: bool = False
) -> Array:
    """Give a column as it is meant, shape (n_rows,).

    Parameters
    ----------
    values
        As they were sent.
    arrays
        All inputs, those that were put right before among them; of an exchange, as they were sent.
    whole
        Change every value, those that look right as they were sent too.
    """
    change = repair.change
    if isinstance(change, ByTable):
        return _recoded(change, values)
    if isinstance(change, ByEstimate):
        return _estimated(change, values, arrays)
    if isinstance(change, ByExchange):
        return np.asarray(arrays[change.other])
    numbers = values.astype(np.float64)
    if isinstance(change, ByFactor):
        with np.errstate(invalid="ignore"):
            outside = (numbers < change.low) | (numbers > change.high)
        return _typed(np.where(outside, numbers / change.factor, numbers), values)
    back = _on_steps(change, (numbers - change.offset) / change.slope)
    return _typed(back if whole else _guarded(change, numbers, back), values)


def _guarded(line: ByLine, sent: Array, back: Array) -> Array:
    """Leave a value that lies where it always lay, and would not once it was changed."""
    if line.low is None or line.high is None:
        return back
    low, high = line.low, line.high
    with np.errstate(invalid="ignore"):
        right = (sent >= low) & (sent <= high) & ((back < low) | (back > high))
    return np.where(right, sent, back)


def _on_steps(line: ByLine, back: Array) -> Array:
    points = np.asarray(line.points)
    if len(points) < 2:
        return back
    after = np.clip(np.searchsorted(points, back), 1, len(points) - 1)
    before = points[after - 1]
    nearest = np.where(back - before < points[after] - back, before, points[after])
    return np.where(np.abs(back - nearest) < _ROUNDING * np.diff(points).min(), nearest, back)


def _recoded(table: ByTable, values: Array) -> Array:
    codes = table.codes
    if values.dtype.kind in "iufb":
        sent = [_code(value) for value in values.tolist()]
        back = [float(codes[code]) if code in codes else None for code in sent]
        found = [value if b is None else b for value, b in zip(values.tolist(), back, strict=True)]
        return _typed(np.asarray(found, dtype=np.float64), values)
    return np.asarray([codes.get(str(value), str(value)) for value in values.tolist()], dtype=np.str_)


def _code(value: float) -> str:
    """Name a number as codes of numbers are named: as a float."""
    return str(float(value))


def estimate(change: ByEstimate, n_rows: int, arrays: Mapping[str, Array]) -> Array:
    """Estimate a column of numbers of the others, shape (n_rows,)."""
    found = np.full(n_rows, change.middle)
    for name, weight in change.weights.items():
        column = take_column(arrays, name)
        if column is None:
            continue
        apart = column.astype(np.float64) - change.middles.get(name, 0.0)
        found += weight * np.where(np.isfinite(apart), apart, 0.0)
    low = -np.inf if change.low is None else change.low
    high = np.inf if change.high is None else change.high
    return np.asarray(np.clip(found, low, high))


def _estimated(change: ByEstimate, values: Array, arrays: Mapping[str, Array]) -> Array:
    bad = bad_values(change, values)
    if not bad.any():
        return values
    if change.code is not None:
        return np.where(bad, change.code, values.astype(np.str_))
    numbers = np.where(bad, estimate(change, len(values), arrays), values.astype(np.float64))
    return _typed(numbers, values)


def bad_values(change: ByEstimate, values: Array) -> NDArray[np.bool_]:
    """Tell which values are none, shape (n_rows,)."""
    if change.bad is Bad.ALL:
        return np.ones(len(values), dtype=np.bool_)
    is_number = values.dtype.kind in "iufb"
    gone = np.asarray(
        is_missing(values) if is_number else (is_missing(values) | (values == "")), dtype=np.bool_
    )
    if change.bad is Bad.MISSING:
        return gone
    if change.bad is Bad.VALUE:
        if is_number:
            return np.asarray(gone | (values.astype(np.float64) == float(change.value or "nan")))
        return np.asarray(gone | (values == change.value), dtype=np.bool_)
    if change.bad is Bad.UNSEEN:
        codes = [_code(v) for v in values.tolist()] if is_number else [str(v) for v in values.tolist()]
        known = set(change.known)
        return gone | np.asarray([code not in known for code in codes], dtype=np.bool_)
    low = -np.inf if change.low is None else change.low
    high = np.inf if change.high is None else change.high
    with np.errstate(invalid="ignore"):
        return np.asarray(gone | (values < low) | (values > high), dtype=np.bool_)


def _typed(numbers: Array, like: Array) -> Array:
    """Give numbers in the type of a column; whole ones are rounded."""
    if like.dtype.kind not in "iu":
        return numbers.astype(like.dtype)
    bounds = np.iinfo(like.dtype)
    return np.clip(np.rint(numbers), bounds.min, bounds.max).astype(like.dtype)
