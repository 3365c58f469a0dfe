"""When a station of the wheel is good, and when it wants to be looked at."""

from __future__ import annotations

import itertools

import pytest

from noria.core.events.log import EventType
from noria.server.assembly import SERVICES
from noria.server.overview import (
    TOLD_EVENTS,
    State,
    decision_state,
    endpoint_state,
    event_details,
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


def test_every_told_event_exists() -> None:
    """The overview tells only of events that some capability appends."""
    import importlib

    rooms = {name.split(".")[1] for name in SERVICES} | {"decisions", "serving"}
    modules = [importlib.import_module(f"noria.{room}.events") for room in sorted(rooms - {"core"})]
    known = {
        str(value) for module in modules for value in vars(module).values() if isinstance(value, EventType)
    }

    assert set(TOLD_EVENTS) <= known


def test_details_of_an_event_are_short() -> None:
    """Only the figures named for its type are shown, names of ours in words, the rest cut."""
    told = TOLD_EVENTS["rollout.started"]
    details = event_details(told, {"strategy": "canary", "to_version": 2, "secret": "x"})

    assert details == ("in steps", "2")
    assert event_details(TOLD_EVENTS["rollout.advanced"], {"weight": 0.25}) == ("25\N{NO-BREAK SPACE}%",)
    assert event_details(TOLD_EVENTS["rollout.advanced"], {"weight": "x"}) == ("x",)
    assert len(event_details(told, {"strategy": "y" * 1000})[0]) == 100
