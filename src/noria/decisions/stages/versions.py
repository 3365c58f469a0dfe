"""Versions: whether an older one does better on the new labelled rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from noria.decisions.figures import paired_gain
from noria.decisions.stages.finding import Finding, lacks

STAGE = "versions"
_FEWEST = 10


def versions(
    current: Sequence[float], older: Mapping[int, Sequence[float]], *, alpha: float = 0.01
) -> Finding:
    """Compare older versions with the present one on the same labelled rows.

    Parameters
    ----------
    current
        Scores of the present version, 0 to 1.
    older
        Version → its scores on the same rows, in the same order.
    alpha
        Divided by the number of versions (Bonferroni).

    Returns
    -------
    Finding
        `older_better` when one of them surely answers better, which speaks for a regression of the model.
    """
    if not older:
        return lacks(STAGE, "There is no older version to compare with")
    if len(current) < _FEWEST:
        return lacks(STAGE, f"Only {len(current)} labelled rows to compare on", n=len(current))
    gains = {
        version: paired_gain(scores, current, alpha=alpha / len(older)) for version, scores in older.items()
    }
    best = max(gains, key=lambda version: gains[version].lower)
    gain = gains[best]
    better = gain.lower > 0
    return Finding(
        stage=STAGE,
        verdict="older_better" if better else "none_better",
        sentence=(
            f"Version {best} scores {gain.estimate:+.3f} against the present one on the same {len(current)} rows "
            f"(interval {gain.lower:+.3f} to {gain.upper:+.3f})"
            + ("" if better else "; no older version is surely better")
        ),
        figures={
            "n": len(current),
            "current": float(np.mean(current)),
            "gain": {str(version): [g.estimate, g.lower, g.upper] for version, g in gains.items()},
        },
        subject=f"version {best}" if better else None,
    )
