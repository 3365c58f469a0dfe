"""Which conditional held: inputs given labels, as in a drift of labels, or labels given inputs, as in one of inputs.

Both show in the model's answers, calibrated on held-out training rows. Where labels given inputs held, the calibrated
answers of live rows moved as far as their labels did. Where inputs given labels held, they moved as far as the mean
answers of each label in training imply for the live mix, which is less: a model that knows little of the labels
follows their mix but little. Where answers tell no difference, because the model makes no mistakes or because rows are
few, scores of a classifier of sides are compared within each label: they are alike where inputs given labels held.

References
----------
Lipton, Z., Wang, Y.-X. and Smola, A. (2018). Detecting and correcting for label shift with black box predictors. ICML.
Zhang, K., Schölkopf, B., Muandet, K. and Wang, Z. (2013). Domain adaptation under target and conditional shift. ICML.
van Elteren, P. (1960). On the combination of independent two-sample tests of Wilcoxon. Bulletin of the ISI 37.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 30
_N_STRATA = 12
_FEWEST_IN_STRATUM = 5
_HOLDS = 3.0  # standard errors
_NEARER = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How far calibrated answers followed the labels.

    Attributes
    ----------
    move
        Of the labels along the way in which their mix changed.
    implied, followed
        Of the answers, in shares of that move: by the mean answers of each label in training, and as seen.
    past_labels, past_inputs, past_nothing
        In standard errors: what the answers moved beyond `implied` (0 where inputs given labels held), what labels
        moved beyond the answers (0 where labels given inputs held), and what the answers moved at all.
    """

    move: float
    implied: float
    followed: float
    past_labels: float
    past_inputs: float
    past_nothing: float

    @property
    def says(self) -> Literal["label", "covariate", "neither", "either"]:
        """Tell which conditional held: `neither` where answers stayed, `either` where rows do not tell."""
        off: dict[Literal["label", "covariate", "neither"], tuple[float, float]] = {
            "label": (abs(self.past_labels), abs(self.followed - self.implied)),
            "covariate": (abs(self.past_inputs), abs(self.followed - 1)),
            "neither": (abs(self.past_nothing), abs(self.followed)),
        }
        first, second, _ = sorted(off, key=lambda name: off[name][0])
        if off[first][0] > _HOLDS:
            # Among very many rows nothing holds exactly.
            return min(off, key=lambda name: off[name][1])
        return first if off[second][0] - off[first][0] >= _NEARER else "either"


def followed(
    then: Floats, now: Floats, labels_then: NDArray[Any], labels_now: NDArray[Any]
) -> Followed | None:
    """Measure how far answers followed their labels.

    Parameters
    ----------
    then, now : ndarray, shape (n_rows, width)
        Answers to held-out training rows and to live ones: numbers, or a share for each class in the order of their
        names.
    labels_then, labels_now : ndarray, shape (n_rows,)
        Numbers, or classes as texts.

    Returns
    -------
    Followed
        None with fewer than `FEWEST` live rows, with live classes that training did not have, or where labels did not
        move.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(now) < FEWEST or len(then) < FEWEST or then.shape[1] != now.shape[1]:
        return None
    strata_then, strata_now = strata(labels_then, labels_now)
    counts = [np.bincount(s, minlength=_size(strata_then, strata_now)) for s in (strata_then, strata_now)]
    if (counts[1][counts[0] == 0] > 0).any():
        return None
    if labels_then.dtype.kind == "f":
        actual_then, actual_now, score_then, score_now = labels_then, labels_now, then[:, 0], now[:, 0]
    elif then.shape[1] != len(counts[0]):
        return None
    else:
        way = counts[1] / len(strata_now) - counts[0] / len(strata_then)
        actual_then, actual_now, score_then, score_now = (
            way[strata_then],
            way[strata_now],
            then @ way,
            now @ way,
        )
    calibrated = IsotonicRegression(out_of_bounds="clip").fit(score_then, actual_then)
    guess_then, guess_now = calibrated.predict(score_then), calibrated.predict(score_now)
    move = float(actual_now.mean() - actual_then.mean())
    if abs(move) < 1e-12:
        return None
    of_label = np.bincount(strata_then, weights=guess_then, minlength=len(counts[0])) / np.maximum(
        counts[0], 1
    )
    left_then, left_now = guess_then - of_label[strata_then], guess_now - of_label[strata_now]
    past_labels = float(left_now.mean()) / _se(left_now, left_then)
    past_inputs = float((actual_now - guess_now).mean()) / _se(
        actual_now - guess_now, actual_then - guess_then
    )
    return Followed(
        move=move,
        implied=float(of_label[strata_now].mean() - guess_then.mean()) / move,
        followed=float(guess_now.mean() - guess_then.mean()) / move,
        past_labels=math.copysign(1, move) * past_labels,
        past_inputs=math.copysign(1, move) * past_inputs,
        past_nothing=math.copysign(1, move)
        * float(guess_now.mean() - guess_then.mean())
        / _se(guess_now, guess_then),
    )


def apart_within_labels(
    scores_then: Floats, scores_now: Floats, labels_then: NDArray[Any], labels_now: NDArray[Any]
) -> float:
    """Tell how far scores of live rows lie above those of training rows of the same label, in standard errors.

    Wilcoxon's test within each label, combined as van Elteren (1960) does. The scores have to come from models that
    did not see the rows.
    """
    from scipy.stats import rankdata

    strata_then, strata_now = strata(labels_then, labels_now)
    above, variance = 0.0, 0.0
    for stratum in np.unique(strata_now):
        then, now = scores_then[strata_then == stratum], scores_now[strata_now == stratum]
        if len(then) < _FEWEST_IN_STRATUM:
            continue
        ranks = rankdata(np.concatenate([then, now]))[len(then) :]
        weight = 1 / (len(then) + len(now) + 1)
        pairs = len(then) * len(now)
        above += weight * float(ranks.sum() - len(now) * (len(now) + 1) / 2 - pairs / 2)
        variance += weight * pairs / 12
    return above / math.sqrt(variance) if variance else 0.0


def strata(before: NDArray[Any], after: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give each class a number; numbers fall into bins of equal shares of the training rows."""
    if before.dtype.kind == "f":
        edges = np.unique(np.quantile(before, np.linspace(0, 1, _N_STRATA + 1)[1:-1]))
        return np.searchsorted(edges, before), np.searchsorted(edges, after)
    names = np.unique(np.concatenate([before, after]))
    return np.searchsorted(names, before), np.searchsorted(names, after)


def _size(first: NDArray[np.intp], second: NDArray[np.intp]) -> int:
    return int(max(first.max(), second.max())) + 1


def _se(now: Floats, then: Floats) -> float:
    return max(math.sqrt(now.var() / len(now) + then.var() / len(then)), 1e-12)
