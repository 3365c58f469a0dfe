"""Choose the remedy that pays. Pure: figures in, choice out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from noria.catalog.entities import Candidate, Figure
from noria.decisions.entities import (
    IDLE,
    Cause,
    DecisionSection,
    Policy,
    Remedy,
    admissible,
)

MOST_LABELS = 2_000
"""More labels than this are not asked for: the effect is too small to be worth them."""

UNTRIED = "not tried: a person would carry it out"
"""Note of a candidate that no trial can judge."""

_LARGEST_RATIO = 1e6  # beyond it the number of rows is past all bounds, and its square past a float's

_PROBABLE = 0.5
"""Inputs are put right, and a person is sent to mend something, only if that is more likely than not what is broken."""

_PROPOSED: Mapping[Cause, Remedy] = {
    Cause.INPUT_FAULT: Remedy.REPAIR_INPUTS,
    Cause.INPUT_CHANGE: Remedy.FIX_PIPELINE,
    Cause.PIPELINE_FAULT: Remedy.FIX_PIPELINE,
}

_MENDS: Mapping[Remedy, Cause] = {
    Remedy.REPAIR_INPUTS: Cause.INPUT_FAULT,
    Remedy.FIX_PIPELINE: Cause.PIPELINE_FAULT,
}
"""Remedy → the cause that has to be the likeliest one for it, whatever its trial gained."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done.

    Attributes
    ----------
    policy
        `automatic`: carry it out; `ask`: propose it to a person.
    n_labels
        With `ask` for want of figures: how many more labels would decide it.
    """

    remedy: Remedy
    policy: Policy
    reason: str
    n_labels: int = 0


def net_gain(gain: Figure, remedy: Remedy, settings: DecisionSection) -> Figure:
    """Turn a gain per row into what it is worth over the horizon, cost taken off.

    Returns
    -------
    Figure
        In score times rows.
    """
    cost = settings.cost_of(remedy)

    def over_horizon(per_row: float) -> float:
        return per_row * settings.horizon_rows - cost

    return Figure(
        value=over_horizon(gain.value),
        low=over_horizon(gain.low if gain.low is not None else -1.0),
        high=over_horizon(gain.high if gain.high is not None else 1.0),
        n=gain.n,
        level=gain.level,
    )


def choose(
    causes: Mapping[Cause, float],
    candidates: Sequence[Candidate],
    settings: DecisionSection,
    *,
    contract_broken: bool,
) -> Choice:
    """Take the admissible remedy with the highest net gain that surely pays; else propose, ask for labels, or wait.

    Parameters
    ----------
    candidates
        With net gains where they were measured.

    Returns
    -------
    Choice
        Never a remedy that is inadmissible or forbidden.
    """
    allowed = admissible(causes, contract_broken=contract_broken)
    measured = [c for c in candidates if _may_win(c, allowed, causes, settings)]
    sure = [c for c in measured if c.gain is not None and c.gain.low is not None and c.gain.low > 0]
    if sure:
        best = max(sure, key=_value)
        remedy = Remedy(best.name)
        return Choice(remedy=remedy, policy=settings.policy_of(remedy), reason=_why(best, settings))
    proposed = _proposal(causes, candidates, allowed, settings)
    if proposed is not None:
        return proposed
    open_ = [c for c in measured if c.gain is not None and _value(c) > 0]
    if open_:
        return _ask_for_labels(max(open_, key=_value), settings)
    reason = "No remedy that is admissible and was tried is expected to gain more than it costs"
    return Choice(remedy=Remedy.WAIT, policy=Policy.AUTOMATIC, reason=reason)


def within_allowance(choice: Choice, n_alone: int, settings: DecisionSection) -> Choice:
    """Give what would be carried out by itself to a person, once that happened as often within a day as it may.

    Parameters
    ----------
    n_alone
        Remedies that were carried out without a person within 24 hours.
    """
    if choice.policy is not Policy.AUTOMATIC or n_alone < settings.automatic_per_day:
        return choice
    reason = (
        f"{choice.reason}. Remedies carried out here within a day without a person: {n_alone}; `automatic_per_day` "
        f"allows {settings.automatic_per_day}, so this one is proposed"
    )
    return msgspec.structs.replace(choice, policy=Policy.ASK, reason=reason)


def plain(name: str) -> str:
    """Give the name of a cause or remedy as words.

    Examples
    --------
    >>> plain("roll_back_model")
    'roll back model'
    """
    return name.replace("_", " ")


def labels_needed(gain: Figure) -> int:
    """Estimate how many more judged rows the interval needs to leave 0, if the estimate stays.

    The half-width of an interval falls with the square root of the rows.

    Examples
    --------
    >>> labels_needed(Figure(value=100.0, low=-100.0, high=300.0, n=50))
    150
    """
    if gain.low is None or not gain.n or gain.value <= 0:
        return 0
    ratio = min((gain.value - gain.low) / gain.value, _LARGEST_RATIO)
    return max(1, math.ceil(gain.n * ratio * ratio) - gain.n)


def _may_win(
    candidate: Candidate,
    allowed: frozenset[Remedy],
    causes: Mapping[Cause, float],
    settings: DecisionSection,
) -> bool:
    remedy = Remedy(candidate.name)
    if remedy in _MENDS and not _is_likeliest(causes, _MENDS[remedy]):
        return False
    return (
        candidate.admissible
        and candidate.gain is not None
        and remedy in allowed
        and remedy not in IDLE
        and settings.policy_of(remedy) is not Policy.FORBID
    )


def _is_likeliest(causes: Mapping[Cause, float], cause: Cause) -> bool:
    """Tell whether inputs are more likely broken than not, and most likely for this cause."""
    broken = sum(causes.get(each, 0.0) for each in _PROPOSED)
    return broken >= _PROBABLE and max(causes, key=causes.__getitem__) is cause


def _proposal(
    causes: Mapping[Cause, float],
    candidates: Sequence[Candidate],
    allowed: frozenset[Remedy],
    settings: DecisionSection,
) -> Choice | None:
    cause = max(causes, key=causes.__getitem__)
    remedy = _PROPOSED.get(cause)
    if remedy is None or causes[cause] < _PROBABLE or settings.policy_of(remedy) is Policy.FORBID:
        return None
    if remedy not in allowed:
        return None
    reason = f"The cause is {plain(cause)} with probability {causes[cause]:.0%}, which a person has to mend"
    tried = next((c for c in candidates if c.name == remedy.value and c.note not in ("", UNTRIED)), None)
    if tried is not None:
        reason += f": {tried.note}" + (f". {_worth(tried, settings)}" if tried.gain is not None else "")
    return Choice(remedy=remedy, policy=Policy.ASK, reason=reason)


def _worth(tried: Candidate, settings: DecisionSection) -> str:
    """Tell what a remedy that a person carries out gained in its trial."""
    gain = tried.gain
    assert gain is not None  # noqa: S101 - only measured candidates come here
    low, high = (end if end is not None else math.nan for end in (gain.low, gain.high))
    return (
        f"On {gain.n} labelled rows that gains {gain.value:.0f} right answers more than it costs over the next "
        f"{settings.horizon_rows} rows ({gain.level:.0%} interval {low:.0f} to {high:.0f})"
    )


def _ask_for_labels(best: Candidate, settings: DecisionSection) -> Choice:
    gain = best.gain
    assert gain is not None  # noqa: S101 - only measured candidates come here
    needed = math.ceil(labels_needed(gain) / settings.judged_share)
    if needed > MOST_LABELS:
        reason = f"The gain of {plain(best.name)} is too small to be told from chance within {MOST_LABELS} more labels"
        return Choice(remedy=Remedy.WAIT, policy=Policy.AUTOMATIC, reason=reason)
    reason = (
        f"{plain(best.name).capitalize()} is expected to gain {gain.value:.0f} right answers net over the next "
        f"{settings.horizon_rows} rows, but its interval ({gain.low:.0f} to "
        f"{gain.high:.0f}) holds 0; about {needed} more labels would decide"
    )
    return Choice(remedy=Remedy.ASK, policy=Policy.ASK, reason=reason, n_labels=needed)


def _why(best: Candidate, settings: DecisionSection) -> str:
    gain = best.gain
    assert gain is not None  # noqa: S101 - only measured candidates come here
    what = plain(best.name).capitalize()
    what += f" ({best.note})" if Remedy(best.name) in _MENDS else ""
    return (
        f"{what}: expected to gain {gain.value:.0f} right answers more than it costs over the next "
        f"{settings.horizon_rows} rows ({gain.level:.0%} interval {gain.low:.0f} to {gain.high:.0f}), judged on "
        f"{gain.n} rows that it did not learn from"
    )


def _value(candidate: Candidate) -> float:
    return candidate.gain.value if candidate.gain is not None else -math.inf
