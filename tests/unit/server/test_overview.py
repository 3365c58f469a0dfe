"""When a station of the wheel is good, and when it wants to be looked at."""

from __future__ import annotations

import itertools

import pytest

from noria.server.overview import (
    State,
    decision_state,
    endpoint_state,
    monitor_state,
    run_state,
    worst,
)
from noria.serving.entities import RolloutStatus


@pytest.mark.parametrize(
    ("rollout", "is_served", "n_requests", "n_errors", "expected"),
    [
        (None, True, 0, 0, State.GOOD),
        (None, True, 1000, 9, State.GOOD),
        (None, True, 1000, 10, State.LOOK),
        (None, False, 0, 0, State.LOOK),
        (RolloutStatus.RUNNING, True, 10, 0, State.BUSY),
        (RolloutStatus.RUNNING, False, 10, 0, State.LOOK),
        (RolloutStatus.PAUSED, True, 10, 0, State.LOOK),
    ],
)
def test_an_endpoint_wants_a_look(
    rollout: RolloutStatus | None, is_served: bool, n_requests: int, n_errors: int, expected: State
) -> None:
    """One per cent of errors, no model server or a paused rollout are worth a look; a running rollout is under way."""
    found = endpoint_state(rollout=rollout, is_served=is_served, n_requests=n_requests, n_errors=n_errors)

    assert found is expected


def test_a_monitor_is_as_bad_as_what_it_saw() -> None:
    """An open alert is trouble, drift alone wants a look, and before the first look nothing is known."""
    assert monitor_state(n_alerts=1, n_drifted=0, has_looked=True) is State.BAD
    assert monitor_state(n_alerts=0, n_drifted=2, has_looked=True) is State.LOOK
    assert monitor_state(n_alerts=0, n_drifted=None, has_looked=True) is State.GOOD
    assert monitor_state(n_alerts=0, n_drifted=None, has_looked=False) is State.NONE


def test_runs_and_decisions_are_judged() -> None:
    """A failed run is trouble; an open decision is under way; one that asks a person wants a look, open or closed."""
    assert [run_state(status) for status in ("finished", "running", "failed", "killed")] == [
        State.GOOD,
        State.BUSY,
        State.BAD,
        State.BAD,
    ]
    assert decision_state(is_closed=False, choice=None) is State.BUSY
    assert decision_state(is_closed=True, choice="wait") is State.GOOD
    assert decision_state(is_closed=True, choice="ask") is State.LOOK


def test_a_model_is_as_bad_as_its_worst_station() -> None:
    """The worst state stands for all, in whatever order; nothing at all is nothing."""
    for states in itertools.permutations(State, 3):
        assert worst(states) is max(states, key=list(State).index)
    assert worst([]) is State.NONE
