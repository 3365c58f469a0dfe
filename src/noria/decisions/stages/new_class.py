"""New class: labels that name what the model cannot answer with, and rows unlike all that it was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from noria.core.stats.intervals import clopper_pearson
from noria.core.stats.novelty import Novelty
from noria.decisions.stages.finding import Finding, lacks

STAGE = "new_class"
FEWEST = 3
"""Labels of one unknown class below which it may be a slip of whoever labelled."""

_FEWEST_LABELS = 10


def new_class(
    actual: Sequence[Any],
    scores: Sequence[float],
    classes: Sequence[Any] | None,
    *,
    novel: Novelty | None = None,
    alpha: float = 0.05,
) -> Finding:
    """Count labels outside the model's classes.

    Parameters
    ----------
    actual, scores
        Labels and scores of rows since the onset.
    classes
        What the model can answer; None for a regression.
    novel
        Distances of the live rows from the training rows, if they could be computed. They support the finding, and
        are all there is without labels; alone they do not decide, since any drift makes rows unusual.

    Returns
    -------
    Finding
        `yes` when an unknown class has at least three labels and explains half of the errors or more, `part` when it
        explains less, `unclear` for one or two such labels, `no` without.
    """
    if classes is None:
        return lacks(STAGE, "A regression has no classes")
    if len(actual) < _FEWEST_LABELS:
        says = f"Only {len(actual)} labelled rows since the onset"
        return lacks(STAGE, says + _novelty_text(novel), n=len(actual), **_novelty_figures(novel))
    known = {_key(value) for value in classes}
    outside = [index for index, value in enumerate(actual) if _key(value) not in known]
    names = Counter(_key(actual[index]) for index in outside)
    share = clopper_pearson(len(outside), len(actual), alpha=alpha)
    n_errors = sum(score < 1.0 for score in scores)
    n_wrong = sum(scores[index] < 1.0 for index in outside)
    explained = n_wrong / n_errors if n_errors else 0.0
    verdict = _verdict(names, explained)
    listed = ", ".join(f"`{name}` ({n})" for name, n in names.most_common(5))
    if not outside:
        says = f"All {len(actual)} labels since the onset are classes that the model knows"
    else:
        says = (
            f"{len(outside)} of {len(actual)} labels since the onset name a class that the model was never trained "
            f"on: {listed}. That is {share.estimate:.1%} ({1 - alpha:.0%} interval {share.lower:.1%} to "
            f"{share.upper:.1%}), all of them answered wrongly, {explained:.0%} of all errors"
        )
    return Finding(
        stage=STAGE,
        verdict=verdict,
        sentence=says + _novelty_text(novel),
        figures={
            "n": len(actual),
            "n_outside": len(outside),
            "share": share.estimate,
            "low": share.lower,
            "high": share.upper,
            "n_errors": n_errors,
            "explained": explained,
            "labels": dict(names.most_common(20)),
            **_novelty_figures(novel),
        },
        subject=f"class {names.most_common(1)[0][0]}" if names else None,
    )


def _verdict(names: Counter[str], explained: float) -> str:
    if not names:
        return "no"
    if names.most_common(1)[0][1] < FEWEST:
        return "unclear"
    return "yes" if explained >= 0.5 else "part"


def _key(value: Any) -> str:
    """Give a label's text; 3 and 3.0 are one class, as they are to a model."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _novelty_text(novel: Novelty | None) -> str:
    if novel is None:
        return ""
    return (
        f". Of {len(novel.p_values)} live rows, {novel.n_far} lie farther from the training rows than 95 % of those do "
        f"from one another (p = {novel.p_value:.2g} for so many)"
    )


def _novelty_figures(novel: Novelty | None) -> dict[str, Any]:
    if novel is None:
        return {}
    return {"n_far": novel.n_far, "n_rows": len(novel.p_values), "novelty_p_value": novel.p_value}
