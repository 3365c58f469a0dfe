"""The suite of `Monitors`."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, datetime

import pytest

from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.events.log import EventLog
from noria.core.events.sealer import assign_positions
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import AlertKind, CloseAlert, Look, MonitorSection, NewAlert, Window
from noria.monitoring.purging import PURGES
from noria.monitoring.service import LookOutdated, Monitors
from noria.server.upkeep import load_purges
from support.conformance import Services

ALERT = NewAlert(
    kind=AlertKind.QUALITY,
    version=1,
    figures={"mean": 0.8},
    sentence="Accuracy fell",
    onset_position=10,
    last_position=40,
)


def a_window(index: int) -> Window:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    return Window(
        index=index,
        version=1,
        first_position=index * 10 - 9,
        last_position=index * 10,
        first_at=at,
        last_at=at,
        n_rows=10,
        n_errors=0,
        drift=None,
        lacks=["No reference"],
    )


def a_look(
    begin: int, end: int, alerts: list[NewAlert] | None = None, windows: list[Window] | None = None
) -> Look:
    return Look(
        from_position=begin,
        from_label_position=0,
        position=end,
        label_position=0,
        version=1,
        windows=windows or [],
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
    assign_positions(context.database)
    events = EventLog(context.database).read(0, subject="endpoint:digits")

    listed = monitors.alerts("default").items
    assert [alert.closed_why for alert in listed] == [None, "retrained"]
    assert monitors.alert("default", opened.id).figures == {"mean": 0.8}
    assert [event.type for event in events] == [
        "monitor.created",
        "alert.opened",
        "alert.closed",
        "alert.opened",
    ]
    assert events[1].payload["alert"] == opened.id
    assert events[1].payload["figures"] == {"mean": 0.8}


def test_an_unknown_endpoint_has_no_monitor(services: Services) -> None:
    """The error suggests the near endpoint."""
    services(Monitors).watch("default", "digits")
    with pytest.raises(NotFound) as raised:
        services(Monitors).get("default", "digit")

    assert "`digits`" in (raised.value.hint or "")


def test_windows_are_listed_newest_first_in_pages(services: Services) -> None:
    """Without gap or repetition; the monitor counts them."""
    monitors = services(Monitors)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, 30, windows=[a_window(i) for i in (1, 2, 3)]))
    moved = monitors.record("default", "digits", a_look(30, 40, windows=[a_window(4)]))
    first = monitors.windows("default", "digits", limit=3)
    second = monitors.windows("default", "digits", limit=3, before=first.next)

    assert moved.n_windows == 4
    assert [window.index for window in (*first.items, *second.items)] == [4, 3, 2, 1]
    assert second.next is None
    assert second.items == [a_window(1)]


def test_the_newest_windows_are_kept(services: Services, context: Context) -> None:
    """As many as the settings say: a look leaves no more, whatever the monitor counted."""
    monitors = services(Monitors)
    kept = context.settings.section("monitors", MonitorSection).keep_windows
    monitors.watch("default", "digits")
    monitors.watch("default", "other")
    monitors.record("default", "other", a_look(0, 10, windows=[a_window(1)]))
    monitors.record("default", "digits", a_look(0, 30, windows=[a_window(i) for i in (1, 2, 3)]))
    moved = monitors.record("default", "digits", a_look(30, 40, windows=[a_window(kept + 2)]))

    assert moved.n_windows == 4
    assert [w.index for w in monitors.windows("default", "digits").items] == [kept + 2, 3]
    assert [w.index for w in monitors.windows("default", "other").items] == [1]


def test_windows_beyond_those_that_are_kept_are_collected(services: Services, context: Context) -> None:
    """By `noria gc`, when fewer are kept than before; a dry run counts them, and a second run finds none."""
    monitors = services(Monitors)
    for name in ("digits", "other"):
        monitors.watch("default", name)
        windows = [a_window(i) for i in (1, 2, 3, 900)]
        monitors.record("default", name, a_look(0, 30, windows=windows))
    fewer = MonitorSection(keep_windows=898)
    settings = dataclasses.replace(context.settings, sections={"monitors": fewer})
    narrow = dataclasses.replace(context, settings=settings)
    (purge,) = PURGES
    now = context.clock.now()

    assert [purge.purge(narrow, now, dry_run) for dry_run in (True, True, False, False)] == [4, 4, 4, 0]
    assert [w.index for w in monitors.windows("default", "digits").items] == [900, 3]
    assert purge.kind in {each.kind for each in load_purges()}


def test_alerts_are_listed_by_endpoint_and_in_pages(services: Services) -> None:
    """Newest first."""
    monitors = services(Monitors)
    drift = NewAlert(
        kind=AlertKind.DRIFT, version=1, figures={}, sentence="Moved", onset_position=1, last_position=2
    )
    for endpoint in ("digits", "prices"):
        monitors.watch("default", endpoint)
        monitors.record("default", endpoint, a_look(0, 40, [ALERT, drift]))
    page = monitors.alerts("default", limit=3)
    rest = monitors.alerts("default", limit=3, before=page.next)
    listed = [*page.items, *rest.items]

    assert [(alert.endpoint, alert.kind) for alert in listed] == [
        ("prices", AlertKind.DRIFT),
        ("prices", AlertKind.QUALITY),
        ("digits", AlertKind.DRIFT),
        ("digits", AlertKind.QUALITY),
    ]
    assert rest.next is None
    assert monitors.alerts("default", endpoint="digits").items == listed[2:]


def test_of_looks_at_once_one_is_taken_in(services: Services) -> None:
    """Two workers that began at the same place: the other one's work is refused whole, and its alert with it."""
    services(Monitors).watch("default", "digits")
    outcomes: list[str] = []

    def record() -> None:
        try:
            services(Monitors).record("default", "digits", a_look(0, 40, [ALERT], windows=[a_window(1)]))
        except LookOutdated:
            outcomes.append("outdated")
        else:
            outcomes.append("taken in")

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["outdated", "outdated", "outdated", "taken in"]
    assert len(services(Monitors).windows("default", "digits").items) == 1
    assert len(services(Monitors).alerts("default").items) == 1


def test_an_alert_is_closed_once(services: Services, context: Context) -> None:
    """The first reason stands, whoever says another one later, and one event tells of it."""
    monitors = services(Monitors)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, 40, [ALERT]))
    (opened,) = monitors.alerts("default").items
    first = monitors.close_alert("default", opened.id, CloseAlert(why="retrained"))
    again = monitors.close_alert("default", opened.id, CloseAlert(why="waited"))
    assign_positions(context.database)

    assert again == first
    assert first.closed_why == "retrained"
    assert len(EventLog(context.database).read(0, types=["alert.closed"])) == 1


def test_an_unknown_alert_is_not_found(services: Services) -> None:
    """Neither to read nor to close."""
    with pytest.raises(NotFound, match="`nope`"):
        services(Monitors).alert("default", "nope")
    with pytest.raises(NotFound, match="`nope`"):
        services(Monitors).close_alert("default", "nope", CloseAlert(why="x"))


def test_monitors_of_another_project_are_not_seen(services: Services) -> None:
    """An unknown project is not found under the name that was asked."""
    services(Monitors).watch("default", "digits")
    with pytest.raises(NotFound, match="`defalt`"):
        services(Monitors).list("defalt")


def test_closing_a_quality_alert_starts_the_evidence_anew(services: Services) -> None:
    """After an alert is closed, what raised it does not raise another by itself."""
    monitors = services(Monitors)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, 40, [ALERT]))
    (opened,) = monitors.alerts("default", open_only=True).items
    monitors.close_alert("default", opened.id, CloseAlert(why="waiting"))

    assert monitors.get("default", "digits").detector is None
