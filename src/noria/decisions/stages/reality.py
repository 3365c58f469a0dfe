"""Reality: whether the drop is more than chance, live scores set against the score on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noria.core.stats.intervals import newcombe_difference
from noria.decisions.stages.finding import Finding, lacks

STAGE = "reality"
_FEWEST = 10


def reality(
    scores: Sequence[float],
    *,
    reference: float | None,
    reference_n: int,
    tolerable: float,
    alpha: float = 0.01,
) -> Finding:
    """Compare the mean score since the onset with the held-out one.

    The interval is Newcombe's for two independent proportions, which takes the uncertainty of the held-out score into
    account. For scores between 0 and 1 that are not all 0 or 1 it is too wide rather than too narrow, since no such
    score varies more than a right-or-wrong one of the same mean.

    Parameters
    ----------
    scores
        Of labelled rows since the onset, 0 to 1.
    reference, reference_n
        Mean score on held-out rows, and their number.
    tolerable
        A drop that nothing needs to be done about.

    Returns
    -------
    Finding
        `yes`: the drop is more than chance. `no`: it is surely smaller than what is tolerated. `unclear` otherwise.
    """
    if reference is None or reference_n < 1:
        return lacks(STAGE, "The version was registered without held-out rows to compare with")
    if len(scores) < _FEWEST:
        return lacks(
            STAGE,
            f"Only {len(scores)} labelled rows since the onset; at least {_FEWEST} are needed",
            n=len(scores),
        )
    n = len(scores)
    mean = math.fsum(scores) / n
    found = newcombe_difference(
        round(math.fsum(scores)), n, round(reference * reference_n), reference_n, alpha=alpha
    )
    verdict = "yes" if found.upper < 0 else "no" if found.lower > -tolerable else "unclear"
    says = {
        "yes": "the drop is real",
        "no": f"no drop of more than {tolerable:.0%}",
        "unclear": "this may be chance",
    }[verdict]
    return Finding(
        stage=STAGE,
        verdict=verdict,
        sentence=(
            f"The mean score is {mean:.3f} on {n} labelled rows since the onset and was {reference:.3f} on "
            f"{reference_n} held-out rows: a difference of {found.estimate:+.3f} "
            f"({1 - alpha:.0%} interval {found.lower:+.3f} to {found.upper:+.3f}); {says}"
        ),
        figures={
            "mean": mean,
            "n": n,
            "reference": reference,
            "reference_n": reference_n,
            "difference": found.estimate,
            "low": found.lower,
            "high": found.upper,
        },
    )
