"""Who is told what of a group of alerts, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.monitoring.alert_commands import seconds_of
from noria.monitoring.alerts.entities import NoticeKind, Silence, Told
from noria.monitoring.alerts.planning import Group, Past, Plan, is_silenced, plan
from noria.monitoring.alerts.wording import next_command, subject_of, text_of
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.receivers.entities import AlertSection, Receiver, ReceiverForm
from noria.monitoring.receivers.forms import body_of

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
SETTINGS = AlertSection(
    receivers={
        "first": Receiver(to="mailto:ana@example.org"),
        "second": Receiver(to="https://example.org/x", after_s=1800),
        "drift": Receiver(to="mailto:eva@example.org", kinds=(AlertKind.DRIFT,)),
        "elsewhere": Receiver(to="mailto:leo@example.org", projects=("other",)),
    }
)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def an_alert(
    number: int = 1, *, kind: AlertKind = AlertKind.QUALITY, closed: float | None = None, version: int = 1
) -> Alert:
    return Alert(
        id=f"alert{number}",
        project="default",
        endpoint="digits",
        kind=kind,
        version=version,
        figures={"mean": 0.8},
        sentence="Accuracy is 0.800 (95% interval 0.750 to 0.850); it was 0.970",
        onset_position=1,
        last_position=2,
        since=AT - timedelta(minutes=5),
        opened_at=AT,
        closed_at=None if closed is None else after(closed),
        closed_why=None if closed is None else "The newest answers are as good as the first",
    )


def planned(
    alerts: Sequence[Alert],
    seconds: float,
    *,
    past: Mapping[str, Past] | None = None,
    silences: Sequence[Silence] = (),
) -> Plan:
    return plan(a_group(alerts), past=past or {}, silences=silences, settings=SETTINGS, now=after(seconds))


def a_group(alerts: Sequence[Alert]) -> Group:
    return Group(
        pk=1,
        id="group1",
        project="default",
        cause="endpoint:digits",
        opened_at=AT,
        n_alerts=len(alerts),
        alerts=alerts,
    )


def told(found: Plan) -> dict[str, tuple[NoticeKind, list[str]]]:
    return {notice.receiver: (notice.kind, [alert.id for alert in notice.alerts]) for notice in found.notices}


def test_alerts_of_one_cause_are_told_together() -> None:
    """After the wait, to whoever wants their kind, and later to whoever comes second."""
    alerts = [an_alert(1), an_alert(2, kind=AlertKind.DRIFT)]
    past = {
        name: Past(alert_ids=frozenset({"alert1", "alert2"}), at=after(10)) for name in ("first", "drift")
    }

    assert told(planned(alerts, 9)) == {}
    assert told(planned(alerts, 10)) == {
        "first": (NoticeKind.OPENED, ["alert1", "alert2"]),
        "drift": (NoticeKind.OPENED, ["alert2"]),
    }
    assert told(planned(alerts, 1799, past=past)) == {}
    assert told(planned(alerts, 1800, past=past)) == {"second": (NoticeKind.OPENED, ["alert1", "alert2"])}


def test_one_that_joins_is_told_after_a_pause_and_one_that_comes_back_is_no_news() -> None:
    """A new version in trouble is news."""
    past = {"first": Past(alert_ids=frozenset({"alert1"}), at=after(10))}
    back = [an_alert(1, closed=60), an_alert(2)]
    joined = [*back, an_alert(3, version=2)]

    assert told(planned(back, 1000, past=past)) == {}
    assert told(planned(joined, 309, past=past)) == {}
    assert told(planned(joined, 310, past=past)) == {"first": (NoticeKind.MORE, ["alert3"])}


def test_a_group_is_over_when_all_its_alerts_have_been_for_a_while() -> None:
    """Only those who were told of it are told so; one that was over before the wait is told to nobody."""
    alerts = [an_alert(1, closed=5)]
    past = {"first": Past(alert_ids=frozenset({"alert1"}), at=AT)}
    over = planned(alerts, 305, past=past)

    assert (planned(alerts, 304, past=past).settled, told(planned(alerts, 200))) == (False, {})
    assert (over.settled, told(over)) == (True, {"first": (NoticeKind.RESOLVED, ["alert1"])})
    assert (planned(alerts, 305).settled, told(planned(alerts, 305))) == (True, {})


def test_a_silence_keeps_receivers_from_being_told_until_it_ends() -> None:
    """Of the endpoint and kind that it names; what still stands open then is told."""
    silence = Silence(
        id="s",
        project="default",
        endpoint="digits",
        kind=AlertKind.QUALITY,
        why="",
        created_by="ana",
        created_at=AT,
        ends_at=after(3600),
    )
    alerts = [an_alert(1), an_alert(2, kind=AlertKind.DRIFT)]
    elsewhere = msgspec.structs.replace(silence, endpoint="other")

    assert told(planned(alerts, 60, silences=[silence]))["first"][1] == ["alert2"]
    assert told(planned(alerts[:1], 60, silences=[silence])) == {}
    assert told(planned(alerts[:1], 3600, silences=[silence]))["first"][1] == ["alert1"]
    assert told(planned(alerts[:1], 60, silences=[elsewhere]))["first"][1] == ["alert1"]
    assert is_silenced(alerts[:1], [silence], after(1))
    assert not is_silenced(alerts, [silence], after(1))


def test_a_notice_says_what_since_when_how_much_how_sure_and_what_next() -> None:
    """In lines that a person reads, and as JSON for a program."""
    group, alerts = a_group([an_alert()]), [an_alert()]
    text = text_of(group, NoticeKind.OPENED, alerts, workspace="/w", now=after(60))
    carried = Told(kind="opened", project="default", group="g", cause=group.cause, text=text)
    over = text_of(group, NoticeKind.RESOLVED, [an_alert(closed=60)], workspace="/w", now=after(360))
    slack = msgspec.json.decode(body_of(ReceiverForm.SLACK, subject="a < b & c", told=carried, at=AT))
    teams = msgspec.json.decode(body_of(ReceiverForm.TEAMS, subject="a", told=carried, at=AT))

    for part in (
        "quality at `digits`, version 1",
        "2030-01-01 11:55:00 UTC",
        "95% interval",
        "noria decisions list --project default --workspace /w",
        "noria monitors silence digits --for 4h",
    ):
        assert part in text
    assert "over after 6 min" in over
    assert "The newest answers are as good as the first" in over
    assert subject_of(group, NoticeKind.OPENED, alerts).startswith(
        "[noria] default/digits: quality: Accuracy"
    )
    assert next_command(an_alert(kind=AlertKind.DRIFT)) == "noria monitors windows digits --project default"
    assert slack["text"] == "a &lt; b &amp; c"
    assert text.splitlines()[0] in slack["blocks"][1]["text"]["text"]
    assert teams["attachments"][0]["content"]["body"][1]["text"] == text


def test_a_length_of_time_is_read_with_its_unit() -> None:
    """What is none is refused with the way to write it."""
    assert [seconds_of(text) for text in ("90", "30m", "1.5h", "2d")] == [90, 1800, 5400, 172_800]
    with pytest.raises(Invalid, match="`soon`"):
        seconds_of("soon")
