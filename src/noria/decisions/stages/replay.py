"""Replay: whether the live path still computes what it computed at registration, for a frozen batch of rows."""

from __future__ import annotations

from noria.decisions.stages.finding import Finding, lacks
from noria.registry.golden import GoldenDifference

STAGE = "replay"
FEATURE_TOLERANCE = 1e-6
"""Difference of a feature, relative to the golden batch's largest, that rounding on another machine may make."""


def replay(difference: GoldenDifference | None, *, feature_scale: float = 1.0, why_not: str = "") -> Finding:
    """Judge the replay of the golden batch.

    Parameters
    ----------
    difference
        What `compare_golden` found, or None when nothing could be replayed: `why_not` says why.
    feature_scale
        Largest absolute feature of the golden batch.

    Returns
    -------
    Finding
        `features_differ`: the code or data between input and model changed. `predictions_differ`: only the model did.
        `same`: the code is innocent.
    """
    if difference is None:
        return lacks(STAGE, why_not or "There is no golden batch to replay")
    tolerance = FEATURE_TOLERANCE * max(feature_scale, 1e-12)
    rows = f"{difference.n_rows} rows frozen at registration"
    if not difference.largest_feature_error <= tolerance:
        where = f"feature {difference.feature}" if difference.feature is not None else "their number"
        verdict = "features_differ"
        says = f"{rows} give other features in the live path; most differs {where}"
    elif difference.n_flips:
        verdict = "predictions_differ"
        says = f"{rows} give the same features and {difference.n_flips} other predictions in the live path"
    else:
        verdict = "same"
        says = f"{rows} give the same features and predictions in the live path: the code is innocent"
    return Finding(
        stage=STAGE,
        verdict=verdict,
        sentence=says,
        figures={
            "n_rows": difference.n_rows,
            "n_flips": difference.n_flips,
            "largest_feature_error": min(difference.largest_feature_error, 1e300),
            "largest_output_error": min(difference.largest_output_error, 1e300),
        },
        subject=f"feature {difference.feature}"
        if verdict == "features_differ" and difference.feature is not None
        else None,
    )
