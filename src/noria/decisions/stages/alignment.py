"""Alignment: a column whose values came with other rows, a fixed number away.

Each column of numbers is estimated from the others by a small model, which sees crooked relations too. On live rows the
estimates go with the column's own values; where they go surely better with the values some rows later or earlier, and
as well as they always did, the column came late or early.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.relations import LAGS, Encoding

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

LAGGED = "lagged"

_MOST_ROWS = 2_000
_MOST_COLUMNS = 16
_HELD_OUT = 3  # every third row
_TOLD = 0.35  # correlation
_WHOLE = 0.85  # of the correlation on training rows
_SURE = 5.0  # standard errors
_FEWEST_ROWS = 10
_FOLLOW, _FOLLOW_NOT = 0.5, 0.1  # correlations of values with the ones before them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimated:
    """What tells a column: estimates from the others, and how well they go with it on rows that did not teach."""

    estimate: Callable[[Columns], Floats]
    usual: float


class Alignment:
    """Knows how far each column of numbers is told by the others, row by row.

    Parameters
    ----------
    columns
        Training rows.
    blocks
        Row indices of calm blocks; a column that seems to be late in one of them is left out.
    """

    def __init__(self, columns: Columns, blocks: list[NDArray[np.intp]]) -> None:
        self._known: dict[str, _Estimated] = {}
        self._columns = columns
        numbers = [name for name, values in columns.items() if values.dtype.kind == "f"]
        if len(columns) > _MOST_COLUMNS:
            return
        for name in numbers:
            known = _estimated(name, columns)
            if known is not None:
                self._known[name] = known
        for block in blocks:
            rows = {name: values[block] for name, values in columns.items()}
            while found := self.signs(rows):
                del self._known[found[0].column]

    def signs(self, columns: Columns) -> list[Sign]:
        """Name the column that came with other rows, if one did: the one that, moved, goes with all others again."""
        if are_dealt(self._columns, columns):
            return []
        late = [(name, lag) for name in self._known if (lag := self._lag(name, columns))]
        if not late:
            return []
        # What is estimated from a late column seems early, and moving it leaves the third columns behind.
        left = [self._deficit({**columns, name: np.roll(columns[name], -lag)}) for name, lag in late]
        name, lag = late[int(np.argmin(left))]
        return [
            Sign(
                column=name,
                kind=LAGGED,
                size=self._deficit(columns) - min(left),
                natural=0.0,
                sentence=f"`{name}` goes with the other columns as before once it is moved by {lag} rows",
                values={"lag": lag, "rows": len(columns[name])},
            )
        ]

    def _deficit(self, columns: Columns) -> float:
        """Sum by how much correlations are lower than they were."""
        return sum(
            max(0.0, known.usual - _correlation(known.estimate(columns), columns[name]))
            for name, known in self._known.items()
        )

    def _lag(self, name: str, columns: Columns) -> int:
        """Give the number of rows by which a column is late, as the estimates of it say; negative: early."""
        known, values = self._known[name], columns[name]
        told = known.estimate(columns)
        now = _correlation(told, values)
        if now >= _WHOLE * known.usual:
            return 0
        lags = [sign * size for size in LAGS for sign in (1, -1) if size <= len(values) // 4]
        best, lag = max(((_shifted(told, values, lag), lag) for lag in lags), default=(0.0, 0))
        # Fisher (1921, Metron 1): atanh of a correlation has a standard error of 1 / sqrt(n - 3). Of rows that follow
        # one another fewer count: n (1 - ab) / (1 + ab), by the correlations a and b of both with the row before
        # (Bartlett, 1935, JRSS 98).
        both = max(0.0, _follow(told) * _follow(values))
        n = (len(values) - abs(lag)) * (1 - both) / (1 + both)
        surely = (math.atanh(best) - math.atanh(now)) * math.sqrt(max(n - 3, 0) / 2)
        return lag if best >= _WHOLE * known.usual and surely > _SURE else 0


def _shifted(told: Floats, values: Array, lag: int) -> float:
    """Correlate estimates with the values that many rows later."""
    if lag > 0:
        return _correlation(told[:-lag], values[lag:])
    return _correlation(told[-lag:], values[:lag])


def are_dealt(reference: Columns, columns: Columns) -> bool:
    """Tell whether training rows are in no order while live rows follow one another."""
    numbers = [name for name, values in reference.items() if values.dtype.kind == "f"]
    follows = any(_follow(columns[name]) > _FOLLOW for name in numbers)
    return follows and all(abs(_follow(reference[name])) < _FOLLOW_NOT for name in numbers)


def _follow(values: Array) -> float:
    """Correlate values with the ones before them; 0 where there are few or they do not vary."""
    there = values[np.isfinite(values)]
    if len(there) < _FEWEST_ROWS or np.ptp(there[1:]) <= 0 or np.ptp(there[:-1]) <= 0:
        return 0.0
    return float(np.corrcoef(there[1:], there[:-1])[0, 1])


def _estimated(name: str, columns: Columns) -> _Estimated | None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    there = np.flatnonzero(~is_missing(columns[name]))
    there = there[:: max(1, math.ceil(len(there) / _MOST_ROWS))]
    apart = np.arange(len(there)) % _HELD_OUT == 0
    others = {other: values for other, values in columns.items() if other != name}
    if apart.sum() < 20 or not others or np.ptp(columns[name][there]) <= 0:
        return None
    encoding = Encoding(others)
    encoded = encoding({other: values[there] for other, values in others.items()})
    if not encoded.shape[1]:
        return None
    values = columns[name][there].astype(np.float64)
    model = HistGradientBoostingRegressor(max_iter=40, random_state=0).fit(encoded[~apart], values[~apart])
    usual = _correlation(model.predict(encoded[apart]), values[apart])

    def estimate(live: Columns) -> Floats:
        return np.asarray(model.predict(encoding({other: live[other] for other in others})), dtype=np.float64)

    return _Estimated(estimate=estimate, usual=usual) if usual >= _TOLD else None


def _correlation(a: Floats, b: Array) -> float:
    """Give Pearson's correlation of what is finite in both, kept off 1; 0 for constants and few rows."""
    there = np.isfinite(a) & np.isfinite(b)
    if there.sum() < _FEWEST_ROWS or np.ptp(a[there]) <= 0 or np.ptp(b[there]) <= 0:
        return 0.0
    return float(np.clip(np.corrcoef(a[there], b[there])[0, 1], -0.999, 0.999))
