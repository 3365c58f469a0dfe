"""What a rollout does next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.serving.entities import MOVES, Rollout, RolloutStatus, RolloutStep, Share, Strategy
from noria.serving.gate_rules import Gates
from noria.serving.predictions import VersionStats
from noria.serving.rollouts.progress import Followers, Move, Sight, judge, to_check
from noria.serving.rollouts.steps import LOADING, RolloutSection, check_steps, shares_at

NOW = datetime(2030, 1, 1, tzinfo=UTC)
READY = Followers(n_alive=1, following=True)


def _rollout(**changes: Any) -> Rollout:
    plain = Rollout(
        id="r",
        project="default",
        endpoint="digits",
        model="digits",
        strategy=Strategy.CANARY,
        from_version=1,
        to_version=2,
        steps=[
            RolloutStep(weight=0.1, bake_s=10, min_requests=100),
            RolloutStep(weight=0.5, bake_s=10, min_requests=100),
        ],
        step=0,
        status=RolloutStatus.RUNNING,
        gates=Gates(),
        started_by="local",
        created_at=NOW - timedelta(minutes=5),
        step_started_at=NOW - timedelta(seconds=60),
        revision=3,
    )
    return msgspec.structs.replace(plain, **changes)


def _answers(version: int, n: int, *, errors: int = 0) -> VersionStats:
    answered = n - errors
    return VersionStats(
        version=version,
        n_requests=n,
        n_rows=n,
        n_errors=errors,
        latency_sum_us=answered * 2000.0,
        latency_sum_squares=answered * 2000.0**2,
    )


def _sight(rollout: Rollout, *, n: int = 500, errors: int = 0, followers: Followers = READY) -> Sight:
    new = _answers(2, n, errors=errors)
    return Sight(rollout=rollout, now=NOW, step=new, new=new, old=_answers(1, 5000), followers=followers)


def test_a_step_that_passed_leads_to_the_next_one() -> None:
    """Baked, asked often enough, and good: on."""
    assert judge(_sight(_rollout())).move is Move.NEXT_STEP


def test_the_last_step_that_passed_leads_to_promotion() -> None:
    """There is nothing left to try."""
    assert judge(_sight(_rollout(step=1))).move is Move.PROMOTE


def test_a_step_lasts_its_bake_time() -> None:
    """However good it looks, it is looked at for as long as was asked."""
    found = judge(_sight(_rollout(step_started_at=NOW - timedelta(seconds=9))))

    assert found.move is Move.NOTHING
    assert found.look_again_s == pytest.approx(0.5)
    assert found.waits_for == ["1.0 s of the step are left"]


def test_a_step_waits_for_its_requests() -> None:
    """Time alone proves nothing."""
    found = judge(_sight(_rollout(gates=Gates(errors=None)), n=99))

    assert found.move is Move.NOTHING
    assert found.waits_for == ["99 of 100 requests were answered"]


def test_a_gate_that_fails_rolls_back_at_once() -> None:
    """Harm does not wait for the end of the bake time."""
    found = judge(_sight(_rollout(step_started_at=NOW), errors=250))

    assert found.move is Move.ROLL_BACK
    assert found.reason is not None
    assert found.reason.startswith("errors: 50.0 % of 500 requests failed")


def test_a_paused_rollout_does_not_go_forward_but_still_goes_back() -> None:
    """A pause is no leave to do harm."""
    paused = _rollout(status=RolloutStatus.PAUSED)

    assert judge(_sight(paused)).move is Move.NOTHING
    assert judge(_sight(paused, errors=250)).move is Move.ROLL_BACK


@pytest.mark.parametrize("status", [status for status in RolloutStatus if status.is_finished()])
def test_a_finished_rollout_does_nothing(status: RolloutStatus) -> None:
    """An end is an end."""
    assert judge(_sight(_rollout(status=status), errors=500)).move is Move.NOTHING


def test_no_step_begins_without_a_model_server() -> None:
    """Nobody would answer, so nothing would be learned."""
    loading = _rollout(step=LOADING, step_started_at=None)
    found = judge(_sight(loading, followers=Followers(n_alive=0, following=True)))

    assert found.move is Move.NOTHING
    assert "noria up" in found.waits_for[0]


def test_a_step_begins_when_every_model_server_follows() -> None:
    """The clock starts with the last one."""
    fresh = _rollout(step_started_at=None)
    behind = Followers(n_alive=2, following=False)

    assert judge(_sight(fresh, followers=behind)).move is Move.NOTHING
    assert judge(_sight(fresh)).move is Move.START_CLOCK
    assert judge(_sight(_rollout(step=LOADING, step_started_at=None))).move is Move.NEXT_STEP


def test_a_version_that_cannot_be_loaded_is_rolled_back() -> None:
    """One server's failure is enough: it would fail there."""
    broken = Followers(n_alive=2, following=True, failure="unknown type `Evil`")
    found = judge(_sight(_rollout(step=LOADING, step_started_at=None), followers=broken))

    assert (found.move, found.reason) == (
        Move.ROLL_BACK,
        "The new version cannot be loaded: unknown type `Evil`",
    )


def test_patience_ends() -> None:
    """A step that stays undecided is rolled back after as long as was asked, and waits without limit otherwise."""
    undecided = _rollout(step_started_at=NOW - timedelta(hours=2), baked_s=7200.0, looked_at=NOW)

    assert judge(_sight(undecided, n=5)).move is Move.NOTHING
    impatient = msgspec.structs.replace(undecided, patience_s=3600.0)
    assert judge(_sight(impatient, n=5)).move is Move.ROLL_BACK


def test_a_clock_that_went_back_prolongs_the_step_only() -> None:
    """A start in the future is not an error."""
    found = judge(_sight(_rollout(step_started_at=NOW + timedelta(hours=1))))

    assert found.move is Move.NOTHING
    assert found.look_again_s <= 15


def test_the_check_shows_what_is_missing() -> None:
    """People see the same as the rule."""
    found = to_check(_sight(_rollout(gates=Gates(errors=None)), n=99))

    assert (found.step, found.weight, found.n_requests) == (0, 0.1, 99)
    assert found.waits_for == ["99 of 100 requests were answered"]


def test_shares_follow_the_steps() -> None:
    """While it loads the new version gets nothing; then what the step says; shares always sum to one."""
    rollout = _rollout()

    assert shares_at(rollout, LOADING) == [Share(version=1, weight=1.0), Share(version=2, weight=0.0)]
    assert shares_at(rollout, 0) == [Share(version=1, weight=0.9), Share(version=2, weight=0.1)]


@pytest.mark.parametrize("weights", [[], [0.5, 0.5], [0.5, 0.1], [0.0], [0.5, 1.5], [float("nan")]])
def test_steps_must_grow(weights: list[float]) -> None:
    """A canary that goes nowhere is refused before it begins."""
    with pytest.raises(Invalid):
        check_steps([RolloutStep(weight=weight) for weight in weights])


@pytest.mark.parametrize("bake_s", [-1.0, float("inf"), float("nan")])
def test_a_step_lasts_a_time(bake_s: float) -> None:
    """Settings are checked as requests are."""
    with pytest.raises(Invalid):
        check_steps([RolloutStep(weight=0.5, bake_s=bake_s)])


def test_the_defaults_are_steps_that_grow() -> None:
    """An empty `noria.toml` describes a canary."""
    steps = RolloutSection().steps()
    check_steps(steps)

    assert [step.weight for step in steps] == [0.1, 0.5]


def test_only_a_finished_status_leads_nowhere() -> None:
    """The table of moves and the question agree."""
    assert {status for status in RolloutStatus if status.is_finished()} == {
        RolloutStatus.PROMOTED,
        RolloutStatus.ROLLED_BACK,
        RolloutStatus.COMPARED,
        RolloutStatus.FAILED,
    }
    assert all(after in MOVES for afters in MOVES.values() for after in afters)
