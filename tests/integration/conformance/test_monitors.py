"""The suite of `Monitors`."""

from __future__ import annotations

import pytest

from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.events.log import EventLog
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import AlertKind, CloseAlert, Look, NewAlert
from noria.monitoring.service import LookOutdated, Monitors
from support.conformance import Services

ALERT = NewAlert(
    kind=AlertKind.QUALITY,
    version=1,
    figures={"mean": 0.8},
    sentence="Accuracy fell",
    onset_position=10,
    last_position=40,
)


def a_look(begin: int, end: int, alerts: list[NewAlert] | None = None) -> Look:
    return Look(
        from_position=begin,
        from_label_position=0,
        position=end,
        label_position=0,
        version=1,
        windows=[],
        detector=DropDetector(floor=0.9, false_alarm_rate=0.001),
        quality=None,
        alerts=alerts or [],
    )


def test_watching_twice_makes_one_monitor(services: Services) -> None:
    """Asking again for an endpoint's monitor gives the one there is."""
    monitors = services(Monitors)
    first, second = monitors.watch("default", "digits"), monitors.watch("default", "digits")

    assert second == first
    assert monitors.list("default").items == [first]


def test_a_look_is_taken_in_once(services: Services) -> None:
    """A look that began where the monitor no longer stands is refused whole."""
    monitors = services(Monitors)
    monitors.watch("default", "digits")
    moved = monitors.record("default", "digits", a_look(0, 40))
    with pytest.raises(LookOutdated):
        monitors.record("default", "digits", a_look(0, 40, [ALERT]))

    assert moved.position == 40
    assert moved.detector == DropDetector(floor=0.9, false_alarm_rate=0.001)
    assert monitors.alerts("default").items == []


def test_one_alert_of_a_kind_is_open_at_a_time(services: Services, context: Context) -> None:
    """While an alert is open, the same finding raises no other; after it closes, it may."""
    monitors = services(Monitors)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, 40, [ALERT]))
    monitors.record("default", "digits", a_look(40, 80, [ALERT]))
    (opened,) = monitors.alerts("default", open_only=True).items
    monitors.close_alert("default", opened.id, CloseAlert(why="retrained"))
    monitors.record("default", "digits", a_look(80, 120, [ALERT]))
    raised = [e for e in EventLog(context.database).read(0) if e.type == "alert.opened"]

    listed = monitors.alerts("default").items
    assert [alert.closed_why for alert in listed] == [None, "retrained"]
    assert monitors.alert("default", opened.id).figures == {"mean": 0.8}
    assert len(raised) in (0, 2)  # on PostgreSQL the sealer gives positions, and none runs here


def test_an_unknown_endpoint_has_no_monitor(services: Services) -> None:
    """The error suggests the near endpoint."""
    services(Monitors).watch("default", "digits")
    with pytest.raises(NotFound) as raised:
        services(Monitors).get("default", "digit")

    assert "`digits`" in (raised.value.hint or "")
