"""Silence: an important column that no longer says anything about the target, though it looks as it always did.

Values that were shuffled among the rows keep their distribution, and where a column hangs together with the others in
crooked ways only, its relations seem whole. But such a column tells nothing about the target any more, while in a
world whose rule changed it still does, in another way. So a small model is fitted on the live labelled rows with and
without the column, in halves that judge each other, and the same on as many training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_ROWS = 80
_MOST_ROWS = 2_000
_SURE = 3.0
_SILENT = 0.25
_ALIKE = 2.5  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Labelled rows of one side.

    Attributes
    ----------
    rows : ndarray, shape (n_rows, width)
        Encoded columns.
    targets : ndarray, shape (n_rows,)
        Numbers, or classes as texts.
    """

    rows: Floats
    targets: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """How much less is lost with a column than without: mean and standard error over rows."""

    mean: float
    se: float

    @property
    def is_sure(self) -> bool:
        """Tell whether the column is of use for sure."""
        return self.mean > _SURE * self.se


def silent_column(
    reference: Side, live: Side, dimensions: Mapping[str, NDArray[np.intp]], candidates: Sequence[str]
) -> tuple[str, Worth, Worth] | None:
    """Find the one of the candidates that fell silent, with its worth then and now.

    One only is named, and only while the other columns say of the target what they always did: where several fell
    silent, or the others are wrong, it is the target that changed.
    """
    n = min(len(live.targets), len(reference.targets), _MOST_ROWS)
    if n < FEWEST_ROWS or len(np.unique(live.targets)) < 2:
        return None
    rng = np.random.default_rng(0)
    sides = [_drawn(side, n, rng) for side in (reference, live)]
    worths = {name: tuple(_worth(side, dimensions[name]) for side in sides) for name in candidates}
    sure = {name: pair for name, pair in worths.items() if pair[0].is_sure}
    silent = [name for name, (then, now) in sure.items() if _fell_silent(then, now)]
    if len(silent) != 1 or not others_hold(reference, sides[1], dimensions[silent[0]]):
        return None
    then, now = sure[silent[0]]
    return silent[0], then, now


def _fell_silent(then: Worth, now: Worth) -> bool:
    # What still tells something for sure was not shuffled: the world moved to where it matters less.
    return not now.is_sure and now.mean < _SILENT * then.mean and now.mean + 2 * now.se < then.mean


def others_hold(reference: Side, live: Side, left_out: NDArray[np.intp]) -> bool:
    """Tell whether the columns that are not left out say of the target what they always did.

    Where only those left out were shuffled they do; a rule that changed for some of the rows may silence a column too,
    for its old and its new effect cancel, but then what the others say is wrong as well.
    """
    reference = _drawn(reference, min(len(reference.targets), _MOST_ROWS), np.random.default_rng(0))
    half = np.arange(len(reference.targets)) % 2 == 0
    rows = np.delete(reference.rows, left_out, axis=1)
    taught = (rows[half], reference.targets[half])
    then = _judged(taught, rows[~half], reference.targets[~half])
    now = _judged(taught, np.delete(live.rows, left_out, axis=1), live.targets)
    se = np.sqrt(then.var() / len(then) + now.var() / len(now))
    return bool(abs(now.mean() - then.mean()) <= _ALIKE * se)


def _drawn(side: Side, n: int, rng: np.random.Generator) -> Side:
    rows = np.sort(rng.permutation(len(side.targets))[:n])
    return Side(rows=side.rows[rows], targets=side.targets[rows])


def _worth(side: Side, left_out: NDArray[np.intp]) -> Worth:
    """Compare the losses of both halves, each judged by a model of the other, with a column and without."""
    gains = _losses(np.delete(side.rows, left_out, axis=1), side.targets) - _losses(side.rows, side.targets)
    return Worth(mean=float(gains.mean()), se=float(gains.std() / np.sqrt(len(gains))))


def _losses(rows: Floats, targets: NDArray[Any]) -> Floats:
    found = np.zeros(len(targets))
    half = np.arange(len(targets)) % 2 == 0
    for taught in (half, ~half):
        found[~taught] = _judged((rows[taught], targets[taught]), rows[~taught], targets[~taught])
    return found


def _judged(taught: tuple[Floats, NDArray[Any]], rows: Floats, targets: NDArray[Any]) -> Floats:
    """Give the loss of each row by a small model of others: absolute error, or 1 less the share of the true class."""
    if targets.dtype.kind == "f":
        guess = _model(numeric=True).fit(*taught).predict(rows)
        return np.asarray(np.abs(guess - targets), dtype=np.float64)
    if len(np.unique(taught[1])) < 2:
        return np.zeros(len(targets))
    model = _model(numeric=False).fit(*taught)
    shares = model.predict_proba(rows)
    at = np.clip(np.searchsorted(model.classes_, targets), 0, len(model.classes_) - 1)
    known = model.classes_[at] == targets
    return np.asarray(1 - np.where(known, shares[np.arange(len(at)), at], 0.0), dtype=np.float64)


def _model(*, numeric: bool) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    forest = ExtraTreesRegressor if numeric else ExtraTreesClassifier
    return forest(n_estimators=40, min_samples_leaf=3, random_state=0)
