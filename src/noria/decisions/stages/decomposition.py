"""Decomposition: how much of a rise of the loss the inputs explain, the mix of labels, or labels given inputs.

Inputs: a classifier, scored on rows that it has not seen, tells live rows from training rows. Labels: where their mix
changed, the model's answers tell whether labels follow the inputs or the inputs the labels (`conditionals`). Where
another model answers by now, training rows drawn in the live mix are told from live rows again; if that becomes
(nearly) impossible, the mix explains the move.
Labels given inputs: what training rows lost when they were held out is weighted by the odds of being a live row
(clipped), over the region where both lie; what live rows lose more than that is due to labels given inputs.

References
----------
Cai, T. T., Namkoong, H. and Yadlowsky, S. (2023). Diagnosing model performance under distribution shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.tests import chi_squared_counts
from noria.decisions.stages.conditionals import Followed, apart_within_labels, followed
from noria.decisions.stages.finding import Finding, lacks

STAGE = "shift"
Floats = NDArray[np.float64]

_MOST_ROWS = 3_000
_FEWEST = 30
_LEAST_AUC = 0.58
_LEAST_MIX = 0.06
_MIX_LEVEL = 0.001
_MOST_WEIGHT = 10.0
_SURE = 3.0
_N_BINS = 5
_APART = 2.0  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is compared.

    Attributes
    ----------
    reference, current
        Encoded rows, shape (n_rows, width).
    reference_loss, loss
        Loss of held-out training rows, and of the labelled live rows.
    reference_labels, labels
        Their targets: texts or numbers.
    labelled
        Indices of the labelled rows in `current`.
    moved
        Whether inputs are known to have moved beyond nature; None when only the classifier of sides can tell.
    mix_dispersion
        How many times more the labels of calm blocks vary than chance draws do.
    reference_answers, answers
        What the model answered to held-out training rows and to the labelled live rows: numbers, or a share for each
        class; shape (n_rows, width). None when another model answers by now.
    """

    reference: Floats
    current: Floats
    reference_loss: Floats
    loss: Floats
    reference_labels: NDArray[Any]
    labels: NDArray[Any]
    labelled: NDArray[np.intp]
    mix_dispersion: float = 1.0
    moved: bool | None = None
    reference_answers: Floats | None = None
    answers: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Figures of a decomposition.

    Attributes
    ----------
    auc, auc_in_mix
        Of telling live from training rows; of telling them from training rows drawn in the live mix.
    mix, mix_p
        Total variation between the labels' distributions, and how probable so large a difference is by chance.
    held
        How far the answers followed the labels; None where that is not known.
    within_labels
        How far live rows stand apart from training rows of the same label, in standard errors.
    rise, by_inputs, by_concept
        Rise of the mean loss; what the inputs explain; the rest, with its standard error `by_concept_se`.
    """

    auc: float
    auc_in_mix: float | None
    mix: float | None
    mix_p: float
    held: Followed | None
    within_labels: float
    rise: float
    rise_se: float
    by_inputs: float
    by_concept: float
    by_concept_se: float
    overlap: float


def decompose(sides: Sides, *, seed: int = 0) -> Parts | None:
    """Decompose the rise of a loss; None with too few rows."""
    reference, current = _thinned(sides.reference), _thinned(sides.current)
    if len(reference) < _FEWEST or len(current) < _FEWEST or not sides.reference.shape[1]:
        return None
    base, live = sides.reference[reference], sides.current[current]
    told = _told_apart(base, live, seed, sides.reference, sides.current)
    odds = _odds(told, len(base) / max(len(live), 1))
    mix, mix_p, auc_mix = _mix(sides, base, reference, seed)
    rise = float(sides.loss.mean() - sides.reference_loss.mean()) if len(sides.loss) else 0.0
    rise_se = _se(sides.loss, sides.reference_loss)
    excess, se, overlap = _explained(sides, odds)
    mixed = mix is not None and mix >= _LEAST_MIX
    return Parts(
        auc=told.auc,
        auc_in_mix=auc_mix,
        mix=mix,
        mix_p=mix_p,
        held=_held(sides) if mixed else None,
        within_labels=_within_labels(sides, told, reference, current) if mixed else 0.0,
        rise=rise,
        rise_se=rise_se,
        by_inputs=rise - excess,
        by_concept=excess,
        by_concept_se=se,
        overlap=overlap,
    )


def decomposition(sides: Sides, *, seed: int = 0) -> Finding:
    """Name the part that moved: `concept`, `label`, `covariate`, or `none`."""
    parts = decompose(sides, seed=seed)
    if parts is None:
        return lacks(STAGE, "Too few live and training rows to decompose the loss")
    verdict = _verdict(parts, sides)
    figures = {name: getattr(parts, name) for name in Parts.__slots__ if name != "held"}
    if parts.held is not None:
        figures |= {name: getattr(parts.held, name) for name in Followed.__slots__}
    return Finding(stage=STAGE, verdict=verdict, sentence=_sentence(parts), figures=figures)


def _verdict(parts: Parts, sides: Sides) -> str:
    moved = parts.auc > _LEAST_AUC if sides.moved is None else sides.moved
    mixed = parts.mix is not None and parts.mix > _LEAST_MIX and parts.mix_p < _MIX_LEVEL
    if mixed:
        says = _says(parts)
        if says in ("label", "covariate"):
            return says
    risen = parts.by_concept > _SURE * parts.by_concept_se and parts.by_concept_se > 0
    if risen and (not moved or parts.by_concept > 0.4 * max(parts.rise, 1e-12)):
        return "concept"
    if moved:
        return "covariate"
    if parts.rise <= _SURE * parts.rise_se:
        return "none"
    # More is lost, and if not by labels given inputs then by rows that are harder.
    return "concept" if parts.by_concept >= _APART * parts.by_concept_se else "covariate"


def _mix_explains(auc: float, in_mix: float) -> bool:
    """Tell whether drawing in the live mix takes most of the difference away."""
    if auc < 0.54:
        return False
    return in_mix - 0.5 < max(0.04, 0.4 * (auc - 0.5))


def _says(parts: Parts) -> str | None:
    """Tell what the change of the labels' mix goes with."""
    in_mix = parts.auc_in_mix
    explained = in_mix is not None and _mix_explains(parts.auc, in_mix)
    if parts.held is None:
        return "label" if explained else None
    if parts.held.says == "either":
        return "covariate" if parts.within_labels > _APART else "label" if explained else None
    return parts.held.says


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a cross-fitted classifier of sides says.

    Attributes
    ----------
    base, live
        Of thinned rows, each by the model of the folds that it is not in.
    every_base, every_live
        Of all rows, by the mean of all folds' models.
    """

    base: Floats
    live: Floats
    every_base: Floats
    every_live: Floats
    auc: float


def _odds(told: _Told, ratio: float) -> tuple[Floats, Floats]:
    """Give the odds of being live for all training rows and for all live rows."""

    def odds(shares: Floats) -> Floats:
        clipped = np.clip(shares, 1e-3, 1 - 1e-3)
        return np.asarray(clipped / (1 - clipped) * ratio)

    return odds(told.every_base), odds(told.every_live)


def _told_apart(base: Floats, live: Floats, seed: int, every_base: Floats, every_live: Floats) -> _Told:
    """Cross-fit a classifier of sides."""
    from sklearn.metrics import roc_auc_score

    rows = np.vstack([base, live])
    side = np.repeat([0, 1], [len(base), len(live)])
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(rows)) % 3
    scores = np.zeros(len(rows))
    totals = [np.zeros(len(every_base)), np.zeros(len(every_live))]
    for number in range(3):
        model = _classifier(seed).fit(rows[fold != number], side[fold != number])
        scores[fold == number] = model.predict_proba(rows[fold == number])[:, 1]
        for place, every in enumerate((every_base, every_live)):
            totals[place] += model.predict_proba(every)[:, 1] / 3
    return _Told(
        base=scores[: len(base)],
        live=scores[len(base) :],
        every_base=totals[0],
        every_live=totals[1],
        auc=float(roc_auc_score(side, scores)),
    )


def _classifier(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=8, learning_rate=0.15, min_samples_leaf=20, random_state=seed
    )


def _explained(sides: Sides, odds: tuple[Floats, Floats]) -> tuple[float, float, float]:
    """Give the loss beyond what the inputs explain, its standard error, and the share of rows that overlap."""
    if len(sides.loss) < 10:
        return 0.0, 0.0, 0.0
    base, live = np.minimum(odds[0], _MOST_WEIGHT), odds[1][sides.labelled]
    common = live < _MOST_WEIGHT
    overlap = float(common.mean())
    if common.sum() < 10:
        return 0.0, 0.0, overlap
    expected = float(np.average(sides.reference_loss, weights=base))
    variance = float(np.sum(base**2 * (sides.reference_loss - expected) ** 2) / np.sum(base) ** 2)
    seen = sides.loss[common]
    excess = float(seen.mean() - expected)
    se = float(np.sqrt(variance + seen.var() / len(seen)))
    return excess * overlap, se * overlap, overlap


def _held(sides: Sides) -> Followed | None:
    then, now = sides.reference_answers, sides.answers
    if then is None or now is None:
        return None
    return followed(then, now, sides.reference_labels, sides.labels)


def _within_labels(
    sides: Sides, told: _Told, reference: NDArray[np.intp], current: NDArray[np.intp]
) -> float:
    """Compare scores of sides within each label, of the labelled live rows that were not thinned out."""
    place = {row: index for index, row in enumerate(current.tolist())}
    kept = [(place[row], at) for at, row in enumerate(sides.labelled.tolist()) if row in place]
    if not kept:
        return 0.0
    scores, labels = map(np.array, zip(*kept, strict=True))
    return apart_within_labels(
        told.base, told.live[scores], sides.reference_labels[reference], sides.labels[labels]
    )


def _mix(
    sides: Sides, base: Floats, rows: NDArray[np.intp], seed: int
) -> tuple[float | None, float, float | None]:
    if len(sides.labels) < _FEWEST:
        return None, 1.0, None
    before, after = _binned(sides.reference_labels, sides.labels)
    counts = _counts(before, after)
    then, now = counts / counts.sum(axis=1, keepdims=True)
    mix, chance = float(np.abs(then - now).sum() / 2), _by_chance(counts, sides.mix_dispersion)
    if mix < _LEAST_MIX:
        return mix, chance, None
    mine = before[rows]
    pools = np.bincount(mine, minlength=counts.shape[1])
    if (pools[now > 0.02] < 5).any():
        return mix, chance, None
    weights = np.where(pools > 0, now / np.maximum(pools, 1), 0.0)[mine]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(base), size=len(base), p=weights / weights.sum())
    live = sides.current[sides.labelled]
    live = live[_thinned(live)]
    return mix, chance, _auc_by_parts(base, drawn, live, seed)


def _auc_by_parts(base: Floats, drawn: NDArray[np.intp], live: Floats, seed: int) -> float:
    """Tell drawn rows from live ones; a row that was drawn twice stays on one side of the split."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    half = rng.random(len(base)) < 0.5
    half_live = rng.random(len(live)) < 0.5
    found = []
    for way in (True, False):
        train, test = drawn[half[drawn] == way], drawn[half[drawn] != way]
        live_train, live_test = live[half_live == way], live[half_live != way]
        if min(len(train), len(test), len(live_train), len(live_test)) < 5:
            return 0.5
        model = _classifier(seed).fit(
            np.vstack([base[train], live_train]), np.repeat([0, 1], [len(train), len(live_train)])
        )
        rows = np.vstack([base[test], live_test])
        side = np.repeat([0, 1], [len(test), len(live_test)])
        found.append(float(roc_auc_score(side, model.predict_proba(rows)[:, 1])))
    return float(np.mean(found))


def _binned(before: NDArray[Any], after: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give each class a number; numbers fall into bins of equal shares of the training rows."""
    if before.dtype.kind == "f":
        edges = np.unique(np.quantile(before, np.linspace(0, 1, _N_BINS + 1)[1:-1]))
        return np.searchsorted(edges, before), np.searchsorted(edges, after)
    names = np.unique(np.concatenate([before, after]))
    return np.searchsorted(names, before), np.searchsorted(names, after)


def label_mix(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Give the total variation between the distributions of labels."""
    if not len(before) or not len(after):
        return 0.0
    counts = _counts(*_binned(before, after))
    then, now = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(then - now).sum() / 2)


def mix_weights(before: NDArray[Any], after: NDArray[Any]) -> Floats:
    """Weigh labels so that they are mixed as others are; shape (n_before,)."""
    first, second = _binned(before, after)
    counts = _counts(first, second)
    return np.asarray((counts[1] / np.maximum(counts[0], 1))[first])


def mix_dispersion(labels: NDArray[Any], blocks: list[NDArray[np.intp]]) -> float:
    """Give how many times more labels of blocks vary than chance draws do: the mean of chi-squared over its freedom.

    At least 1 (McCullagh and Nelder, 1989, Generalized Linear Models, section 4.5: overdispersion).
    """
    found = []
    for block in blocks:
        rest = np.delete(labels, block)
        if len(rest):
            tested = chi_squared_counts(*_counts(*_binned(rest, labels[block])))
            found += [tested.statistic / (tested.n_cells - 1)] if tested.n_cells > 1 else []
    return max(1.0, float(np.mean(found))) if found else 1.0


def _by_chance(counts: NDArray[np.intp], dispersion: float) -> float:
    """Give the p-value of a difference of two rows of counts, of labels that vary more than chance draws do."""
    from scipy.stats import chi2

    tested = chi_squared_counts(*counts)
    return float(chi2.sf(tested.statistic / dispersion, tested.n_cells - 1)) if tested.n_cells > 1 else 1.0


def _counts(before: NDArray[np.intp], after: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count numbers of classes; shape (2, n_classes)."""
    size = int(max(before.max(), after.max())) + 1
    return np.stack([np.bincount(side, minlength=size) for side in (before, after)])


def _thinned(rows: Floats) -> NDArray[np.intp]:
    n = len(rows)
    return np.arange(n) if n <= _MOST_ROWS else np.linspace(0, n - 1, _MOST_ROWS).round().astype(np.intp)


def _se(loss: Floats, reference: Floats) -> float:
    if len(loss) < 2:
        return 0.0
    return float(np.sqrt(loss.var() / len(loss) + reference.var() / len(reference)))


def _sentence(parts: Parts) -> str:
    told = f"A classifier tells live rows from training rows with AUC {parts.auc:.2f}"
    if parts.mix is not None:
        told += f"; {parts.mix:.0%} of the labels' mix changed"
    if parts.auc_in_mix is not None:
        told += f"; from training rows drawn in the live mix it tells them with AUC {parts.auc_in_mix:.2f}"
    if parts.held is not None:
        told += (
            f"; the calibrated answers moved by {parts.held.followed:.2f} of what the labels moved, 1 if labels follow "
            f"the inputs as before, {parts.held.implied:.2f} if the inputs follow the labels as before"
        )
    return (
        f"{told}. Of a rise of the loss by {parts.rise:+.4f}, the inputs explain {parts.by_inputs:+.4f} and labels "
        f"given inputs {parts.by_concept:+.4f} (standard error {parts.by_concept_se:.4f})"
    )
