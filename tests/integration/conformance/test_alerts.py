"""The suite of `Alerts`: groups, silences, and what becomes of notices."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.outbound.entities import OutboundSection
from noria.monitoring.alerts.entities import NewSilence
from noria.monitoring.alerts.ledger import advance
from noria.monitoring.alerts.service import Alerts
from noria.monitoring.entities import AlertKind, AlertOver, Look, NewAlert
from noria.monitoring.receivers.entities import AlertSection, Receiver, Trial
from noria.monitoring.receivers.sending import send_due
from noria.monitoring.service import Monitors
from support.conformance import Services
from support.other_side import other_side, say


def an_alert(kind: AlertKind) -> NewAlert:
    return NewAlert(
        kind=kind,
        version=1,
        figures={"mean": 0.8},
        sentence="It fell",
        onset_position=10,
        last_position=40,
        since=datetime(2030, 1, 1, tzinfo=UTC),
    )


def a_look(begin: int, alerts: list[NewAlert], over: list[AlertOver] | None = None) -> Look:
    return Look(
        from_position=begin,
        from_label_position=0,
        position=begin + 40,
        label_position=0,
        version=1,
        windows=[],
        detector=None,
        quality=None,
        alerts=alerts,
        over=over or [],
    )


def test_alerts_of_an_endpoint_join_one_group(services: Services) -> None:
    """Each kind once; one that a look finds over is closed with its reason."""
    monitors, alerts = services(Monitors), services(Alerts)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, [an_alert(AlertKind.QUALITY), an_alert(AlertKind.DRIFT)]))
    monitors.record("default", "digits", a_look(40, [an_alert(AlertKind.DRIFT)]))
    gone = AlertOver(kind=AlertKind.DRIFT, why="No drift any more")
    monitors.record("default", "digits", a_look(80, [], [gone]))
    (group,) = alerts.groups("default").items

    assert (group.cause, group.closed_at, group.is_silenced) == ("endpoint:digits", None, False)
    assert [(alert.kind, alert.closed_why) for alert in group.alerts] == [
        (AlertKind.QUALITY, None),
        (AlertKind.DRIFT, "No drift any more"),
    ]
    assert group.alerts[0].since == datetime(2030, 1, 1, tzinfo=UTC)
    assert monitors.alerts("default", open_only=True).items == [group.alerts[0]]


def test_a_silence_is_listed_until_it_is_ended(services: Services) -> None:
    """It covers the alerts of the endpoint that it names; ending it twice changes nothing."""
    monitors, alerts = services(Monitors), services(Alerts)
    monitors.watch("default", "digits")
    monitors.record("default", "digits", a_look(0, [an_alert(AlertKind.QUALITY)]))
    made = alerts.silence("default", NewSilence(endpoint="digits", for_s=3600, why="known"))
    covered = alerts.groups("default", open_only=True).items[0].is_silenced
    listed = alerts.silences("default").items
    ended = alerts.unsilence("default", made.id)

    assert (covered, listed) == (True, [made])
    assert ended.ends_at < made.ends_at
    assert alerts.unsilence("default", made.id) == ended
    assert alerts.silences("default").items == []
    assert alerts.silences("default", active_only=False).items == [ended]
    with pytest.raises(NotFound, match="no silence `x`"):
        alerts.unsilence("default", "x")
    with pytest.raises(NotFound, match="no endpoint `digit`"):
        alerts.silence("default", NewSilence(endpoint="digit", for_s=60))


def test_a_receiver_that_is_not_in_the_settings_is_unknown(services: Services) -> None:
    """There is none without settings."""
    assert services(Alerts).receivers().items == []
    assert services(Alerts).test(Trial()).items == []
    with pytest.raises(NotFound, match="`ana`"):
        services(Alerts).test(Trial(receiver="ana"))


def test_a_notice_is_kept_until_its_receiver_takes_it(context: Context) -> None:
    """Each is written once however often it is planned, tried again after pauses, and taken once."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    script = [503, 503, 200]

    def next_answer(handler: BaseHTTPRequestHandler) -> None:
        say(script.pop(0) if script else 200)(handler)

    with other_side(next_answer) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        sections = {
            "alerts": AlertSection(receivers={"hook": Receiver(to=url)}, wait_s=0, settle_s=60),
            "outbound": OutboundSection(allow=("127.0.0.1",)),
        }
        settings = dataclasses.replace(context.settings, sections=sections)
        app = dataclasses.replace(context, settings=settings, clock=clock)
        monitors, alerts = app.service(Monitors), app.service(Alerts)
        monitors.watch("default", "digits")
        monitors.record("default", "digits", a_look(0, [an_alert(AlertKind.QUALITY)]))
        for _ in range(3):
            advance(app)
        (group,) = alerts.groups("default").items
        waits = [send_due(app, group.id), send_due(app, group.id)]
        standing = alerts.receivers().items[0]
        for wait_s in (2, 10):
            clock.sleep(wait_s)
            waits.append(send_due(app, group.id))
        monitors.record(
            "default", "digits", a_look(40, [], [AlertOver(kind=AlertKind.QUALITY, why="As good as before")])
        )
        advance(app)
        clock.sleep(60)
        for _ in range(3):
            advance(app)
            waits.append(send_due(app, group.id))
        (closed,) = alerts.groups("default").items

    ids = [headers["webhook-id"] for _, _, headers, _ in receiver.requests]
    assert waits == [2.0, 2.0, 10.0, None, None, None, None]
    assert (standing.n_waiting, standing.last_error) == (1, "The receiver answered 503")
    assert ids == [ids[0]] * 3 + [ids[3]]
    assert [(n.kind.value, n.status.value, n.n_attempts) for n in closed.notices] == [
        ("opened", "sent", 3),
        ("resolved", "sent", 1),
    ]
    assert closed.closed_at == clock.now()
