"""What the other columns say about one: estimates in its place, and estimates beside its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.rows import Columns
from noria.decisions.stages.relations import Encoding
from noria.decisions.stages.scales import Estimates

_MOST_ROWS = 5_000
_HELD_OUT = 3  # every third row


def estimator(name: str, known: Columns) -> Callable[[Columns], NDArray[Any]]:
    """Learn a column from the others on the training rows."""
    there = np.flatnonzero(~is_missing(known[name]))[:_MOST_ROWS]
    return _learnt(name, known, there)


def estimates(name: str, known: Columns, current: Columns) -> Estimates | None:
    """Estimate a column of numbers on training rows that did not teach it, and on rows of today."""
    there = np.flatnonzero(~is_missing(known[name]))[:_MOST_ROWS]
    apart = np.arange(len(there)) % _HELD_OUT == 0
    if len(known) < 2 or apart.sum() < 2 or (~apart).sum() < 2:
        return None
    estimate = _learnt(name, known, there[~apart])
    held = {other: column[there[apart]] for other, column in known.items()}
    return Estimates(then=estimate(held), actual=held[name].astype(np.float64), now=estimate(current))


def _learnt(name: str, known: Columns, rows: NDArray[np.intp]) -> Callable[[Columns], NDArray[Any]]:
    others = {other: column for other, column in known.items() if other != name}
    encoding = Encoding(others)
    values, numeric = known[name][rows], known[name].dtype.kind == "f"
    # Of no other column there are no rows to choose from either.
    encoded = encoding(others)[rows] if others else np.zeros((len(rows), 0))
    if not encoded.shape[1] or len(np.unique(values.astype(str))) < 2:
        names, counts = np.unique(values.astype(str), return_counts=True)
        middle = np.median(values) if numeric else str(names[counts.argmax()])
        return lambda columns: np.full(len(columns[name]), middle, dtype=values.dtype)
    model = _learner(numeric).fit(encoded, values if numeric else values.astype(str))

    def estimate(columns: Columns) -> NDArray[Any]:
        found = model.predict(encoding({other: columns[other] for other in others}))
        return np.asarray(found, dtype=np.float64 if numeric else object)

    return estimate


def _learner(numeric: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression

    if numeric:
        return HistGradientBoostingRegressor(max_iter=60, random_state=0)
    return LogisticRegression(max_iter=300)
