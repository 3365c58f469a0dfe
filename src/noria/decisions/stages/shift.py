"""Shift: whether the inputs moved, the mix of labels, or the labels given the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.divergence import DomainTest, domain_classifier
from noria.core.stats.intervals import Interval, newcombe_difference
from noria.core.stats.novelty import Novelty
from noria.core.stats.tests import chi_squared
from noria.decisions.stages.finding import Finding, lacks

STAGE = "shift"
_FEWEST_ROWS = 30
_FEWEST_TYPICAL = 20
_TYPICAL = 0.2
_LEVEL = 0.01
_LEAST_AUC = 0.6
_LEAST_MIX_CHANGE = 0.1


def shift(
    reference: NDArray[np.float64],
    current: NDArray[np.float64],
    *,
    reference_labels: NDArray[Any] | None,
    labels: Sequence[Any],
    scores: Sequence[float],
    labelled_novelty: Novelty | None,
    baseline: float | None,
    baseline_n: int,
    rng: np.random.Generator,
) -> Finding:
    """Tell covariate, label and concept drift apart.

    Inputs: a classifier that tells live rows from training rows. Labels: the mix of the live labels against that of
    the training rows; it is called label drift when training rows drawn in the live mix can no longer be told from
    the live ones. Labels given inputs: the score of labelled rows that lie where the training rows lie, against the
    held-out score; where inputs overlap, a drift of the inputs alone changes nothing.

    Parameters
    ----------
    reference, current : ndarray, shape (n_rows, n_features)
        Training sample and live rows.
    reference_labels
        Classes of the training sample; None for a regression.
    labels, scores
        Of labelled live rows since the onset.
    labelled_novelty
        Of the same labelled rows.

    Returns
    -------
    Finding
        `concept`, `label`, `covariate`, or `none` when nothing moved that could be seen.
    """
    if len(current) < _FEWEST_ROWS or len(reference) < _FEWEST_ROWS:
        return lacks(STAGE, f"Only {len(current)} live and {len(reference)} training rows to compare")
    inputs = domain_classifier(reference, current, rng=rng)
    moved = inputs.p_value <= _LEVEL and inputs.auc.estimate >= _LEAST_AUC
    mix = _mix_change(reference_labels, labels)
    explained = None
    if moved and mix is not None and mix[0] >= _LEAST_MIX_CHANGE and mix[1] <= _LEVEL:
        explained = _in_live_mix(reference, current, reference_labels, labels, rng)
    overlap = _overlap(scores, labelled_novelty, baseline, baseline_n)
    verdict = _verdict(moved, mix, explained, overlap)
    return Finding(
        stage=STAGE,
        verdict=verdict,
        sentence=_sentence(inputs, mix, explained, overlap, baseline),
        figures={
            "auc": inputs.auc.estimate,
            "auc_p_value": inputs.p_value,
            "mix_change": None if mix is None else mix[0],
            "mix_p_value": None if mix is None else mix[1],
            "auc_in_live_mix": None if explained is None else explained.auc.estimate,
            "typical_difference": None if overlap is None else overlap.estimate,
            "typical_low": None if overlap is None else overlap.lower,
            "typical_high": None if overlap is None else overlap.upper,
        },
    )


def _verdict(
    moved: bool, mix: tuple[float, float] | None, explained: DomainTest | None, overlap: Interval | None
) -> str:
    if overlap is not None and overlap.upper < 0:
        return "concept"
    mixed = mix is not None and mix[0] >= _LEAST_MIX_CHANGE and mix[1] <= _LEVEL
    if mixed and (explained is None or explained.auc.estimate < _LEAST_AUC or explained.p_value > _LEVEL):
        return "label"
    return "covariate" if moved else "none"


def _mix_change(reference: NDArray[Any] | None, labels: Sequence[Any]) -> tuple[float, float] | None:
    """Give the share of labels that would have to change for the training mix, and the p-value of the difference."""
    if reference is None or len(labels) < _FEWEST_ROWS:
        return None
    before, after = np.asarray(reference).astype(str), np.asarray(labels).astype(str)
    names = np.unique(np.concatenate([before, after]))
    if len(names) < 2:
        return 0.0, 1.0
    shares = [np.array([(side == name).mean() for name in names]) for side in (before, after)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2), chi_squared(before, after).p_value


def _in_live_mix(
    reference: NDArray[np.float64],
    current: NDArray[np.float64],
    reference_labels: NDArray[Any] | None,
    labels: Sequence[Any],
    rng: np.random.Generator,
) -> DomainTest | None:
    """Compare live rows with training rows drawn so that their classes have the live shares."""
    before, after = np.asarray(reference_labels).astype(str), np.asarray(labels).astype(str)
    names, counts = np.unique(after, return_counts=True)
    pools = {name: np.flatnonzero(before == name) for name in names}
    if any(len(pool) == 0 for pool in pools.values()):
        return None
    shares = dict(zip(names, counts / counts.sum(), strict=True))
    total = min(len(pools[name]) / share for name, share in shares.items())
    drawn = [
        rng.choice(pools[name], size=int(total * share), replace=False) for name, share in shares.items()
    ]
    rows = np.concatenate(drawn)
    if len(rows) < _FEWEST_ROWS:
        return None
    return domain_classifier(reference[rows], current, rng=rng)


def _overlap(
    scores: Sequence[float], novel: Novelty | None, baseline: float | None, baseline_n: int
) -> Interval | None:
    """Compare the scores of typical rows with the held-out score."""
    if novel is None or baseline is None or baseline_n < 1:
        return None
    kept = np.asarray(scores, dtype=float)[novel.kept]
    typical = kept[novel.p_values > _TYPICAL]
    if len(typical) < _FEWEST_TYPICAL:
        return None
    return newcombe_difference(
        round(float(typical.sum())), len(typical), round(baseline * baseline_n), baseline_n, alpha=_LEVEL
    )


def _sentence(
    inputs: DomainTest,
    mix: tuple[float, float] | None,
    explained: DomainTest | None,
    overlap: Interval | None,
    baseline: float | None,
) -> str:
    told = (
        f"A classifier tells {inputs.n_current} live rows from {inputs.n_reference} training rows with AUC "
        f"{inputs.auc.estimate:.2f} (p = {inputs.p_value:.2g})"
    )
    parts = [told]
    if mix is not None:
        parts.append(f"{mix[0]:.0%} of the labels' mix changed (p = {mix[1]:.2g})")
    if explained is not None:
        parts.append(f"drawn in the live mix, training rows give AUC {explained.auc.estimate:.2f}")
    if overlap is not None:
        parts.append(
            f"on rows that lie where training rows lie, the score differs by {overlap.estimate:+.3f} from "
            f"{baseline:.3f} (99% interval {overlap.lower:+.3f} to {overlap.upper:+.3f})"
        )
    else:
        parts.append("too few labelled rows lie where the training rows lie to judge labels given inputs")
    return "; ".join(parts)
