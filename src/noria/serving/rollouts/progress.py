"""What a rollout does next: pure rules on what was seen."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from noria.serving.entities import GateResult, Rollout, RolloutCheck, RolloutStatus, Verdict
from noria.serving.gates import combine, evaluate
from noria.serving.predictions import VersionStats

LOADING = -1
"""Index of the step before the first, in which the model servers load the new version."""

_SHORTEST_LOOK_S = 0.25
_LONGEST_LOOK_S = 15.0
_LOOKS_PER_BAKE = 20
"""The longer a step lasts or waits, the more rarely it is looked at: every look is a record that a restart reads."""


class Move(enum.StrEnum):
    """What to do with a rollout now."""

    NOTHING = "nothing"
    START_CLOCK = "start_clock"
    NEXT_STEP = "next_step"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Followers:
    """How far the model servers are.

    Attributes
    ----------
    n_alive
        Model servers that reported lately.
    following
        Whether every one of them follows the present step.
    failure
        Why one of them cannot load the new version.
    """

    n_alive: int
    following: bool
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Everything that the next move depends on.

    Attributes
    ----------
    step
        The new version since the step began.
    new, old
        Both versions since the rollout began; `old` is None when there is none.
    """

    rollout: Rollout
    now: datetime
    step: VersionStats
    new: VersionStats
    old: VersionStats | None
    followers: Followers


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The next move and why.

    Attributes
    ----------
    look_again_s
        When nothing is to be done: after how long to look again.
    """

    move: Move
    results: list[GateResult]
    waits_for: list[str]
    reason: str | None = None
    look_again_s: float = 0.0


def judge(sight: Sight) -> Finding:
    """Decide what a rollout does next."""
    rollout = sight.rollout
    if rollout.status.is_finished():
        return Finding(move=Move.NOTHING, results=[], waits_for=[])
    if sight.followers.failure is not None:
        return _back([], f"The new version cannot be loaded: {sight.followers.failure}")
    results = _results(sight)
    if combine(results) is Verdict.FAIL:
        return _back(results, _failures(results))
    if rollout.status is RolloutStatus.PAUSED:
        return _wait(results, ["The rollout is paused"], _look_every(rollout, _age_s(sight)))
    if rollout.step_started_at is None:
        return _begin(sight, results)
    return _continue(sight, results, (sight.now - rollout.step_started_at).total_seconds())


def to_check(sight: Sight) -> RolloutCheck:
    """Give what people see of the present step."""
    rollout, finding = sight.rollout, judge(sight)
    return RolloutCheck(
        rollout_id=rollout.id,
        status=rollout.status,
        step=rollout.step,
        weight=weight_of(rollout),
        n_requests=sight.step.n_requests,
        results=finding.results,
        waits_for=finding.waits_for,
    )


def weight_of(rollout: Rollout) -> float:
    """Give the share of the new version in the present step."""
    return rollout.steps[rollout.step].weight if rollout.step > LOADING else 0.0


def _results(sight: Sight) -> list[GateResult]:
    if sight.rollout.step == LOADING:
        return []
    return evaluate(sight.rollout.gates, step=sight.step, new=sight.new, old=sight.old)


def _begin(sight: Sight, results: list[GateResult]) -> Finding:
    followers = sight.followers
    if followers.n_alive == 0:
        sentence = "No model server serves this endpoint; start one with `noria up` or `noria serve`"
        return _wait(results, [sentence], _paced(_age_s(sight)))
    if not followers.following:
        sentence = "The model servers do not follow this step yet"
        return _wait(results, [sentence], _paced(_age_s(sight)))
    move = Move.NEXT_STEP if sight.rollout.step == LOADING else Move.START_CLOCK
    return Finding(move=move, results=results, waits_for=[])


def _continue(sight: Sight, results: list[GateResult], elapsed_s: float) -> Finding:
    rollout = sight.rollout
    step = rollout.steps[rollout.step]
    look_s = _look_every(rollout, elapsed_s)
    waits_for = [result.sentence for result in results if result.verdict is Verdict.WAIT]
    if sight.step.n_requests < step.min_requests:
        waits_for.insert(0, f"{sight.step.n_requests} of {step.min_requests} requests were answered")
    if elapsed_s < step.bake_s:
        left_s = step.bake_s - elapsed_s
        return _wait(results, [f"{left_s:.1f} s of the step are left", *waits_for], min(left_s, look_s))
    if not waits_for:
        last = rollout.step == len(rollout.steps) - 1
        return Finding(move=Move.PROMOTE if last else Move.NEXT_STEP, results=results, waits_for=[])
    if rollout.patience_s is not None and elapsed_s - step.bake_s > rollout.patience_s:
        return _back(results, f"Undecided for {rollout.patience_s:g} s after its bake time: {waits_for[0]}")
    return _wait(results, waits_for, look_s)


def _look_every(rollout: Rollout, elapsed_s: float) -> float:
    return _paced(max(rollout.steps[max(rollout.step, 0)].bake_s, elapsed_s))


def _paced(duration_s: float) -> float:
    return min(max(duration_s / _LOOKS_PER_BAKE, _SHORTEST_LOOK_S), _LONGEST_LOOK_S)


def _age_s(sight: Sight) -> float:
    """Seconds since the step began, or since the one before it ended."""
    rollout = sight.rollout
    before = rollout.history[-1].ended_at if rollout.history else rollout.created_at
    return (sight.now - (rollout.step_started_at or before)).total_seconds()


def _failures(results: list[GateResult]) -> str:
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    return "; ".join(f"{result.gate}: {result.sentence}" for result in failed)


def _back(results: list[GateResult], reason: str) -> Finding:
    return Finding(move=Move.ROLL_BACK, results=results, waits_for=[], reason=reason)


def _wait(results: list[GateResult], waits_for: list[str], look_again_s: float) -> Finding:
    return Finding(move=Move.NOTHING, results=results, waits_for=waits_for, look_again_s=look_again_s)
