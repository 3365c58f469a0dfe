"""Events: what was changed near the onset, the change point of the scores set against the deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from noria.core.stats.changepoint import ChangePoint, change_point
from noria.decisions.stages.finding import Finding, lacks

STAGE = "events"
_MIN_SEGMENT = 5
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was changed on purpose.

    Attributes
    ----------
    text
        What it was: `version 3 was deployed`.
    version
        The model version that it brought, if it did.
    """

    at: datetime
    text: str
    version: int | None = None


def events(
    scores: Sequence[float],
    times: Sequence[datetime],
    changes: Sequence[Change],
    *,
    slack: timedelta,
    rng: np.random.Generator,
) -> Finding:
    """Date the change of the scores, and list what was changed then.

    Parameters
    ----------
    scores, times
        Of labelled rows before and since the onset, in the order of `times`.
    changes
        All known ones, in any order.
    slack
        How long before the interval of the change point a change may lie and still be near.

    Returns
    -------
    Finding
        `change_near` when a deployment lies within the interval of the change point or shortly before it, `no_change`
        when none does. An innocent deployment may lie there too: this stage never decides alone.
    """
    if len(scores) < 2 * _MIN_SEGMENT:
        return lacks(STAGE, f"Only {len(scores)} labelled rows; the onset cannot be dated", n=len(scores))
    found = change_point(scores, rng=rng, min_segment=_MIN_SEGMENT)
    if found.p_value > 0.05 or found.after >= found.before:
        return lacks(STAGE, "The labelled rows show no point at which the score fell", p_value=found.p_value)
    begin, end = times[max(0, found.lower - 1)], times[found.upper]
    near = [change for change in changes if begin - slack <= change.at <= end]
    return _finding(found, begin, end, near)


def _finding(found: ChangePoint, begin: datetime, end: datetime, near: Sequence[Change]) -> Finding:
    listed = "; ".join(f"{change.text} at {change.at:%H:%M:%S}" for change in near[:_SHOWN])
    versions = [change.version for change in near if change.version is not None]
    return Finding(
        stage=STAGE,
        verdict="change_near" if near else "no_change",
        sentence=(
            f"The score fell from {found.before:.3f} to {found.after:.3f} between {begin:%Y-%m-%d %H:%M:%S} and "
            f"{end:%H:%M:%S} UTC; " + (f"near that: {listed}" if near else "nothing was deployed near that")
        ),
        figures={
            "begin": begin.isoformat(),
            "end": end.isoformat(),
            "p_value": found.p_value,
            "before": found.before,
            "after": found.after,
            "changes": [f"{change.at.isoformat()} {change.text}" for change in near[:_SHOWN]],
        },
        subject=f"version {versions[-1]}" if versions else None,
    )
