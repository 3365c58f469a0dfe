"""How the strategies of rollouts differ: who answers, who predicts along, and how each ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.core.permissions import Role
from noria.serving.entities import (
    Approval,
    ApprovalPoint,
    Approvals,
    Rollout,
    RolloutStatus,
    RolloutStep,
    Share,
    Strategy,
)
from noria.serving.gate_rules import Gates, QualityGate
from noria.serving.predictions import VersionStats
from noria.serving.rollouts.progress import Finding, Followers, Move, Sight, baked_s, judge, to_check
from noria.serving.rollouts.steps import (
    LOADING,
    RolloutSection,
    check_steps,
    shadows_at,
    shares_at,
    stricter,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
READY = Followers(n_alive=1, following=True)
LABELLED = Gates(errors=None, latency=None, quality=QualityGate(min_labels=30))


def _rollout(strategy: Strategy, **changes: Any) -> Rollout:
    plain = Rollout(
        id="r",
        project="default",
        endpoint="digits",
        model="digits",
        strategy=strategy,
        from_version=1,
        to_version=2,
        steps=RolloutSection(bake_s=10).steps(strategy),
        step=0,
        status=RolloutStatus.RUNNING,
        gates=Gates(),
        promotes=strategy is not Strategy.SHADOW,
        started_by="ana",
        created_at=NOW - timedelta(minutes=5),
        step_started_at=NOW - timedelta(seconds=60),
        revision=3,
    )
    return msgspec.structs.replace(plain, **changes)


def _answers(version: int, n: int, *, errors: int = 0, right: float = 0.9) -> VersionStats:
    return VersionStats(
        version=version,
        n_requests=n,
        n_rows=n,
        n_errors=errors,
        latency_sum_us=(n - errors) * 2000.0,
        latency_sum_squares=(n - errors) * 2000.0**2,
        n_labelled=n,
        n_judged=n,
        n_correct=round(right * n),
    )


def _judged(
    rollout: Rollout, *, n: int = 20_000, errors: int = 0, new: float = 0.9, old: float = 0.9
) -> Finding:
    stats = _answers(2, n, errors=errors, right=new)
    return judge(
        Sight(rollout=rollout, now=NOW, step=stats, new=stats, old=_answers(1, n, right=old), followers=READY)
    )


@pytest.mark.parametrize(
    ("strategy", "weights", "mirrored"),
    [
        (Strategy.CANARY, [0.0, 0.1, 0.5], [0, 0, 0]),
        (Strategy.BLUE_GREEN, [0.0, 0.0, 1.0], [0, 1, 0]),
        (Strategy.SHADOW, [0.0, 0.0], [0, 1]),
        (Strategy.AB, [0.0, 0.5], [0, 0]),
    ],
)
def test_who_answers_and_who_predicts_along(
    strategy: Strategy, weights: list[float], mirrored: list[float]
) -> None:
    """From the loading on, step by step; the shares sum to one."""
    rollout = _rollout(strategy)
    places = range(LOADING, len(rollout.steps))

    shares = [shares_at(rollout, step) for step in places]
    assert [each[-1] for each in shares] == [Share(version=2, weight=weight) for weight in weights]
    assert all(sum(share.weight for share in each) == pytest.approx(1) for each in shares)
    assert [sum(share.weight for share in shadows_at(rollout, step)) for step in places] == mirrored
    assert to_check(_sight_of(rollout)).mirrored == mirrored[1]


def _sight_of(rollout: Rollout) -> Sight:
    stats = _answers(2, 10)
    return Sight(rollout=rollout, now=NOW, step=stats, new=stats, old=_answers(1, 10), followers=READY)


def test_blue_green_switches_at_once_and_watches() -> None:
    """What both predicted passes the gates: the new version gets every request, and is watched before it is done."""
    assert _judged(_rollout(Strategy.BLUE_GREEN)).move is Move.NEXT_STEP
    assert _judged(_rollout(Strategy.BLUE_GREEN, step=1)).move is Move.PROMOTE
    assert _judged(_rollout(Strategy.BLUE_GREEN, step=1), errors=10_000).move is Move.ROLL_BACK


@pytest.mark.parametrize(("errors", "told"), [(0, "it passed every gate"), (10_000, "errors: 50.0 %")])
def test_a_shadow_ends_with_its_comparison(errors: int, told: str) -> None:
    """Good or bad, it answered nobody: nothing is switched, and nothing has to be rolled back."""
    found = _judged(_rollout(Strategy.SHADOW), errors=errors)

    assert found.move is Move.COMPARE
    assert found.reason is not None
    assert found.reason.startswith(f"Compared on 20000 requests: {told}")


def test_a_shadow_that_may_promote_is_judged_as_others_are() -> None:
    """`--promote` turns the comparison into a switch."""
    rollout = _rollout(Strategy.SHADOW, promotes=True)

    assert _judged(rollout).move is Move.PROMOTE
    assert _judged(rollout, errors=10_000).move is Move.ROLL_BACK


def test_a_shadow_without_requests_ends_when_its_patience_does() -> None:
    """It says on how little it was compared."""
    rollout = _rollout(Strategy.SHADOW, baked_s=100.0, looked_at=NOW)

    assert _judged(rollout, n=5).move is Move.NOTHING
    found = _judged(msgspec.structs.replace(rollout, patience_s=60.0), n=5)
    assert (found.move, found.reason) == (Move.COMPARE, "Compared on 5 requests: its gates are undecided")


@pytest.mark.parametrize(
    ("new", "old", "move", "told"),
    [
        (0.95, 0.90, Move.PROMOTE, "Version 2 is better: "),
        (0.90, 0.90, Move.ROLL_BACK, "Undecided, so version 1 stays: "),
        (0.88, 0.90, Move.ROLL_BACK, "Version 1 is better: "),
    ],
)
def test_an_ab_ends_with_the_better_one(new: float, old: float, move: Move, told: str) -> None:
    """Better has to be shown; of two that cannot be told apart the old one stays."""
    found = _judged(_rollout(Strategy.AB, gates=LABELLED), new=new, old=old)

    assert found.move is move
    assert found.reason is not None
    assert found.reason.startswith(told)


def test_an_undecided_ab_waits_for_as_long_as_it_has_patience() -> None:
    """Labels come late; and harm ends it at any time."""
    rollout = _rollout(Strategy.AB, gates=LABELLED, patience_s=3600.0)

    assert _judged(rollout).move is Move.NOTHING
    assert _judged(msgspec.structs.replace(rollout, baked_s=3700.0, looked_at=NOW)).move is Move.ROLL_BACK
    early = msgspec.structs.replace(rollout, step_started_at=NOW)
    assert _judged(early).move is Move.NOTHING
    assert _judged(early, new=0.6).move is Move.ROLL_BACK


@pytest.mark.parametrize("strategy", list(Strategy))
def test_the_switch_waits_for_approvals_however_long(strategy: Strategy) -> None:
    """Patience is for gates: persons may take a weekend."""
    asked = Approvals(n=2, role=Role.ADMIN)
    last = len(_rollout(strategy).steps) - 1
    rollout = _rollout(
        strategy,
        step=0 if strategy is Strategy.BLUE_GREEN else last,
        promotes=True,
        approvals=asked,
        gates=LABELLED,
        patience_s=60.0,
        baked_s=1e6,
        looked_at=NOW,
        step_started_at=None if strategy is Strategy.REPLACE else NOW,
    )
    given = [Approval(by="eva", at=NOW), Approval(by="leo", at=NOW)]

    found = _judged(msgspec.structs.replace(rollout, approved=given[:1]), new=0.99)
    assert found.move is Move.NOTHING
    assert found.waits_for == [
        "One person of the role admin or above, other than ana, must approve it: `noria rollouts approve r`"
    ]
    approved = _judged(msgspec.structs.replace(rollout, approved=given), new=0.99)
    assert approved.move in (Move.PROMOTE, Move.NEXT_STEP)


def test_a_rollout_can_wait_before_it_begins() -> None:
    """The new version is loaded, and gets no request before it was approved."""
    asked = Approvals(before=ApprovalPoint.START)
    rollout = _rollout(Strategy.CANARY, step=LOADING, step_started_at=None, approvals=asked)

    assert _judged(rollout).waits_for[0].startswith("One person of the role engineer or above")
    given = [Approval(by="eva", at=NOW)]
    assert _judged(msgspec.structs.replace(rollout, approved=given)).move is Move.NEXT_STEP


def test_the_stricter_of_two_wishes_for_approvals_holds() -> None:
    """Whoever deploys cannot ask for less than the settings do."""
    settings, own = Approvals(n=2), Approvals(n=1, role=Role.ADMIN, before=ApprovalPoint.START)

    assert stricter(settings, own) == Approvals(n=2, role=Role.ADMIN, before=ApprovalPoint.START)
    assert stricter(settings, None) == stricter(None, settings) == settings


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_clock_that_jumps_has_watched_nothing(jump_s: int) -> None:
    """Ahead, a jump counts for a minute; back, for nothing."""
    rollout = _rollout(Strategy.CANARY, baked_s=5.0, looked_at=NOW)

    assert baked_s(rollout, NOW + timedelta(seconds=jump_s)) == (65.0 if jump_s > 0 else 5.0)


@pytest.mark.parametrize(
    ("strategy", "weights", "message"),
    [
        (Strategy.SHADOW, [0.1, 0.5], "has 1 step, not 2"),
        (Strategy.AB, [1.0], "must be above 0 and below 1"),
        (Strategy.BLUE_GREEN, [1.0, 0.5], "has the weight 0.5, not 1"),
        (Strategy.BLUE_GREEN, [0.5, 1.0, 1.0], "has 2 steps, not 3"),
        (Strategy.CANARY, [], "at least one step"),
    ],
)
def test_steps_that_lead_elsewhere_are_refused(
    strategy: Strategy, weights: list[float], message: str
) -> None:
    """The error says what the strategy's steps are."""
    with pytest.raises(Invalid, match=message):
        check_steps([RolloutStep(weight=weight) for weight in weights], strategy)
