"""What a rollout does next: pure rules on what was seen."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from noria.serving import sentences
from noria.serving.entities import ApprovalPoint, PairFigures, Rollout, RolloutCheck, RolloutStatus, Strategy
from noria.serving.gate_rules import GateResult, Gates, QualityGate, Verdict
from noria.serving.gates import combine, evaluate
from noria.serving.predictions import VersionStats
from noria.serving.rollouts.steps import LOADING, answered, mirrored, n_lacking
from noria.serving.sums import PairStats

_SHORTEST_LOOK_S = 0.25
_LONGEST_LOOK_S = 15.0
LONGEST_GAP_S = 60.0
"""What passes between two looks counts for at most so long: a clock that jumps ahead has watched nothing."""

_LOOKS_PER_BAKE = 20
"""The longer a step lasts or waits, the more rarely it is looked at: every look is a record that a restart reads."""


class Move(enum.StrEnum):
    """What to do with a rollout now."""

    NOTHING = "nothing"
    START_CLOCK = "start_clock"
    NEXT_STEP = "next_step"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    COMPARE = "compare"


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
    pairs
        Rows that both predicted since then.
    """

    rollout: Rollout
    now: datetime
    step: VersionStats
    new: VersionStats
    old: VersionStats | None
    followers: Followers
    pairs: PairStats = field(default_factory=PairStats)


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
        return _back([], sentences.NOT_LOADED % {"text": sight.followers.failure})
    results = _results(sight)
    if rollout.promotes and combine(results) is Verdict.FAIL:
        return _back(results, _failures(results))
    if rollout.status is RolloutStatus.PAUSED:
        return _wait(results, [sentences.PAUSED], _look_every(rollout, _age_s(sight)))
    if rollout.step_started_at is None:
        return _begin(sight, results)
    return _continue(sight, results, baked_s(rollout, sight.now))


def baked_s(rollout: Rollout, now: datetime) -> float:
    """Give the seconds for which the present step was watched; 0 before its clock runs."""
    since = rollout.looked_at or rollout.step_started_at
    if since is None:
        return 0.0
    return rollout.baked_s + min(max(0.0, (now - since).total_seconds()), LONGEST_GAP_S)


def to_check(sight: Sight) -> RolloutCheck:
    """Give what people see of the present step."""
    rollout, finding = sight.rollout, judge(sight)
    return RolloutCheck(
        rollout_id=rollout.id,
        status=rollout.status,
        step=rollout.step,
        weight=answered(rollout, rollout.step),
        mirrored=mirrored(rollout, rollout.step),
        n_requests=sight.step.n_requests,
        pairs=pair_figures(rollout, sight.pairs),
        results=finding.results,
        waits_for=finding.waits_for,
    )


def pair_figures(rollout: Rollout, pairs: PairStats) -> PairFigures | None:
    """Give what people see of the rows that both versions predicted."""
    if not mirrored(rollout, rollout.step):
        return None
    return PairFigures(
        n=pairs.n,
        n_agreed=pairs.n_agreed,
        n_only_new_right=pairs.n_only_new_right,
        n_only_old_right=pairs.n_only_old_right,
    )


def _results(sight: Sight) -> list[GateResult]:
    if sight.rollout.step == LOADING:
        return []
    return evaluate(sight.rollout.gates, step=sight.step, new=sight.new, old=sight.old, pairs=sight.pairs)


def _begin(sight: Sight, results: list[GateResult]) -> Finding:
    rollout, followers, look_s = sight.rollout, sight.followers, _paced(_age_s(sight))
    if followers.n_alive == 0:
        return _wait(results, [sentences.NO_SERVER], look_s)
    if not followers.following:
        return _wait(results, [sentences.NOT_FOLLOWING], look_s)
    if rollout.step != LOADING:
        return Finding(move=Move.START_CLOCK, results=results, waits_for=[])
    if n_lacking(rollout, ApprovalPoint.START):
        return _wait(results, [lacking_sentence(rollout, ApprovalPoint.START)], look_s)
    if not rollout.steps:
        return _go(sight, Move.PROMOTE, results, sentences.APPROVED)
    return _go(sight, Move.NEXT_STEP, results)


def _continue(sight: Sight, results: list[GateResult], elapsed_s: float) -> Finding:
    rollout = sight.rollout
    step = rollout.steps[rollout.step]
    look_s = _look_every(rollout, elapsed_s)
    lacks = []
    if sight.step.n_requests < step.min_requests:
        words = sentences.FEW_PREDICTED if mirrored(rollout, rollout.step) else sentences.FEW_ANSWERED
        lacks.append(words % {"n": sight.step.n_requests, "needed": step.min_requests})
    undecided = [result.sentence for result in results if result.verdict is Verdict.WAIT]
    if elapsed_s < step.bake_s:
        left_s = step.bake_s - elapsed_s
        sentence = sentences.LEFT % {"seconds": f"{left_s:.1f}"}
        return _wait(results, [sentence, *lacks, *undecided], min(left_s, look_s))
    is_late = _is_late(sight)
    if not rollout.promotes:
        return _wait(results, lacks, look_s) if lacks and not is_late else _compared(sight, results)
    if rollout.strategy is Strategy.AB and not lacks:
        return _choose(sight, results, look_s)
    waits_for = [*lacks, *undecided]
    if not waits_for:
        last = rollout.step == len(rollout.steps) - 1
        return _go(sight, Move.PROMOTE if last else Move.NEXT_STEP, results)
    if is_late:
        late = {"seconds": f"{rollout.patience_s:g}", "text": waits_for[0]}
        return _back(results, sentences.UNDECIDED % late)
    return _wait(results, waits_for, look_s)


def _choose(sight: Sight, results: list[GateResult], look_s: float) -> Finding:
    """End an A/B rollout: the new version has to be shown better than the old one, not merely no worse."""
    rollout = sight.rollout
    strict = evaluate(
        _superior(rollout.gates), step=sight.step, new=sight.new, old=sight.old, pairs=sight.pairs
    )
    quality = next(result for result in strict if result.gate == "quality")
    undecided = [result.sentence for result in strict if result.verdict is Verdict.WAIT]
    if not undecided and quality.verdict is Verdict.PASS:
        better = {"version": rollout.to_version, "text": quality.sentence}
        return _go(sight, Move.PROMOTE, strict, sentences.BETTER % better)
    if quality.verdict is Verdict.FAIL:
        better = {"version": rollout.from_version, "text": quality.sentence}
        return _back(strict, sentences.BETTER % better)
    # The better one is known, but not yet that it does no harm: its requests will tell.
    waits = quality.verdict is Verdict.PASS if rollout.patience_s is None else not _is_late(sight)
    if waits:
        return _wait(results, undecided, look_s)
    return _back(strict, sentences.STAYS % {"version": rollout.from_version, "text": undecided[0]})


def _is_late(sight: Sight) -> bool:
    rollout = sight.rollout
    if rollout.patience_s is None:
        return False
    over_s = baked_s(rollout, sight.now) - rollout.steps[rollout.step].bake_s
    return over_s > rollout.patience_s


def _superior(gates: Gates) -> Gates:
    """Ask for labels, and that the new version loses nothing: with a margin of 0 a pass is a proof of being better."""
    quality = msgspec.structs.replace(gates.quality or QualityGate(), max_loss=0.0, required=True)
    return msgspec.structs.replace(gates, quality=quality)


def _compared(sight: Sight, results: list[GateResult]) -> Finding:
    found = {
        Verdict.PASS: sentences.PASSED_ALL,
        Verdict.WAIT: sentences.GATES_UNDECIDED,
        Verdict.FAIL: _failures(results),
    }[combine(results)]
    reason = sentences.COMPARED % {"n": sight.step.n_requests, "text": found}
    return Finding(move=Move.COMPARE, results=results, waits_for=[], reason=reason)


def _go(sight: Sight, move: Move, results: list[GateResult], reason: str | None = None) -> Finding:
    """Go forward, unless that gives the new version every request and not everybody has agreed."""
    rollout = sight.rollout
    switches = move is Move.PROMOTE or answered(rollout, rollout.step + 1) == 1
    if switches and n_lacking(rollout, ApprovalPoint.SWITCH):
        return _wait(results, [lacking_sentence(rollout, ApprovalPoint.SWITCH)], _paced(_age_s(sight)))
    return Finding(move=move, results=results, waits_for=[], reason=reason)


def lacking_sentence(rollout: Rollout, point: ApprovalPoint) -> str:
    """Say how many approvals are lacking, and from whom."""
    asked, n = rollout.approvals, n_lacking(rollout, point)
    return (sentences.ONE_LACKING if n == 1 else sentences.SOME_LACKING) % {
        "n": n,
        "role": "" if asked is None else asked.role.value,
        "name": rollout.started_by,
        "command": f"noria rollouts approve {rollout.id}",
    }


def _look_every(rollout: Rollout, elapsed_s: float) -> float:
    return _paced(max(rollout.steps[max(rollout.step, 0)].bake_s if rollout.steps else 0.0, elapsed_s))


def _paced(duration_s: float) -> float:
    return min(max(duration_s / _LOOKS_PER_BAKE, _SHORTEST_LOOK_S), _LONGEST_LOOK_S)


def _age_s(sight: Sight) -> float:
    """Seconds since the step began, or since the one before it ended."""
    rollout = sight.rollout
    before = rollout.history[-1].ended_at if rollout.history else rollout.created_at
    return (sight.now - (rollout.step_started_at or before)).total_seconds()


def _failures(results: list[GateResult]) -> str:
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    return "; ".join(sentences.GATE_FAILED[result.gate] % {"text": result.sentence} for result in failed)


def _back(results: list[GateResult], reason: str) -> Finding:
    return Finding(move=Move.ROLL_BACK, results=results, waits_for=[], reason=reason)


def _wait(results: list[GateResult], waits_for: list[str], look_again_s: float) -> Finding:
    return Finding(move=Move.NOTHING, results=results, waits_for=waits_for, look_again_s=look_again_s)
