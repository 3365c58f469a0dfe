"""What starts schedules besides the clock, and what people are told of their ends, by real servers."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from noria.core.adapters import AdapterRequest
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.control.testing import InlineSteps
from noria.core.errors import ErrorBody
from noria.core.events.log import Event, EventLog, EventType, append
from noria.core.outbound.entities import OutboundSection
from noria.core.outbound.mail import MailSection, MailSecurity
from noria.data.events import DATASET_VERSION_ADDED
from noria.pipelines.job_entities import Job, JobStatus, LogLine, LogLines, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.control import is_told, notify, start_after_event
from noria.pipelines.schedules.course import look
from noria.pipelines.schedules.entities import (
    Cause,
    NewSchedules,
    ScheduleRun,
    ScheduleSection,
    Told,
    Trigger,
)
from noria.pipelines.schedules.hooks import call
from noria.pipelines.schedules.notices import PAUSES_S
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.schedules.signing import SignatureInvalid, signed_headers, verify
from noria.pipelines.schedules.triggers import EVENT_TYPES, is_waited_for, matches
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.other_side import other_side, say
from support.postbox import postbox

PROJECT = "default"
START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("template"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def context(template: Path, tmp_path: Path, clock: ManualClock) -> Iterator[Context]:
    shutil.copyfile(template, tmp_path / "noria.db")
    with open_test_context(workspace_settings(tmp_path), clock) as opened:
        yield opened


def reaching(context: Context, *, mail_port: int = 25) -> Context:
    """Let the server of a context call this machine."""
    sections = {
        "outbound": OutboundSection(allow=("127.0.0.1",), timeout_s=10),
        "mail": MailSection(host="127.0.0.1", port=mail_port, security=MailSecurity.NONE),
    }
    return replace(context, settings=replace(context.settings, sections=sections))


def apply(context: Context, **more: Any) -> None:
    given: dict[str, Any] = {"name": "nightly", "run": "noria.x:y", **more}
    Schedules(context).apply(PROJECT, NewSchedules(schedules=[ScheduleSection(**given)]))


def runs(context: Context) -> list[ScheduleRun]:
    return Schedules(context).history(PROJECT, "nightly").items[::-1]


def events(context: Context, *types: str) -> list[Event]:
    return EventLog(context.database).read(0, types=list(types), limit=1000)


def react(context: Context, *types: str) -> int:
    """Hand every event of some types to the schedules, as the control loop does; give how many were wanted."""
    wanted = [event for event in events(context, *types) if is_waited_for(context, event)]
    for event in wanted:
        start_after_event.fn(InlineSteps(context.clock), context, as_arguments(event))
    return len(wanted)


def as_arguments(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in ("position", "type", "subject", "project", "payload")}


def end_next(context: Context, *, error: ErrorBody | None = None, lines: list[str] | None = None) -> Job:
    """Have a worker end the job that is next, and the control loop see it."""
    jobs = Jobs(context)
    look(context)
    claimed = jobs.claim(WorkerInfo(name="box-1")).claimed
    assert claimed is not None
    job = claimed.job
    said = [LogLine(at=context.clock.now(), stream="out", text=line) for line in lines or []]
    jobs.log(PROJECT, job.id, LogLines(worker="box-1", attempt=job.attempt, lines=said))
    status = JobStatus.SUCCEEDED if error is None else JobStatus.FAILED
    jobs.finish(PROJECT, job.id, Outcome(worker="box-1", attempt=job.attempt, status=status, error=error))
    look(context)
    return job


def tell(context: Context) -> list[str]:
    """Send what is to be told of the newest end of a run, as the control loop does."""
    event = events(context, "schedule.failed", "schedule.succeeded")[-1]
    steps = InlineSteps(context.clock)
    if is_told(context, event):
        notify.fn(steps, context, as_arguments(event))
    return steps.names


def test_people_learn_of_failure_and_recovery_by_mail(context: Context, clock: ManualClock) -> None:
    """The first failure is told with what, where, the log's end and the commands; recovery says how long it failed."""
    with postbox() as (box, port):
        context = reaching(context, mail_port=port)
        notify_to = ("mailto:ana@example.org", "mailto:nobody@example.org")
        apply(context, cron="* * * * *", timezone="Europe/Berlin", notify=notify_to)
        clock.advance(60)
        trace = 'Traceback\n  File "flows.py", line 19, in train\nValueError: no rows'
        error = ErrorBody(code="failed", message="ValueError: no rows", details={"traceback": trace})
        job = end_next(context, error=error, lines=[f"line {n}" for n in range(40)])
        tell(context)
        tell(context)
        clock.advance(3600)
        end_next(context, error=error)
        told_again = tell(context)
        clock.advance(3600)
        end_next(context)
        tell(context)
    failed, recovered = box.mails
    text = failed.get_content().replace("\r\n", "\n")

    assert failed["Subject"] == "[noria] default/nightly failed: ValueError: no rows"
    for part in (
        "The schedule `nightly` of the project `default` failed.",
        "pipeline    noria.x:y",
        "interval    2026-03-01 13:00:00 Europe/Berlin to 2026-03-01 13:01:00 Europe/Berlin",
        "worker      box-1",
        'File "flows.py", line 19, in train',
        "line 10\n",
        "line 39\n",
        f"noria jobs logs {job.id} --project default --workspace {context.settings.workspace}",
    ):
        assert part in text, part
    assert "line 9\n" not in text
    assert told_again == []
    assert recovered["Subject"] == "[noria] default/nightly succeeds again, after failing for 2 h"
    assert "since 2026-03-01 13:01:30 Europe/Berlin: 2 runs" in recovered.get_content()


def test_a_notice_is_tried_again_until_it_is_taken(context: Context, clock: ManualClock) -> None:
    """A mail server that is busy and a receiver that is down get the same notice later, each once it can take it."""
    calls: list[int] = []

    def script(handler: Any) -> None:
        calls.append(1)
        box.is_busy = len(calls) < 2
        say(503 if box.is_busy else 200)(handler)

    with postbox() as (box, port), other_side(script) as receiver:
        box.is_busy = True
        context = reaching(context, mail_port=port)
        url = f"http://127.0.0.1:{receiver.port}/x"
        apply(context, every_s=60, notify=("mailto:ana@example.org", url), notify_on=(Told.SUCCESS,))
        clock.advance(60)
        end_next(context)
        before = clock.monotonic()
        tell(context)
    (_, _, first, body), (_, _, second, _) = receiver.requests
    secret = Schedules(context).hook(PROJECT, "nightly").notice_secret

    assert first["webhook-id"] == second["webhook-id"] == verify(secret, second, now=clock.now(), body=body)
    assert json.loads(body)["type"] == "schedule.success"
    assert json.loads(body)["data"]["schedule"] == "nightly"
    assert len(box.mails) == 1
    assert PAUSES_S[0] <= clock.monotonic() - before <= sum(PAUSES_S)


def test_new_data_starts_a_schedule_once(context: Context, clock: ManualClock) -> None:
    """Versions from the time before it was applied, of other data, and events seen twice start nothing."""

    def add(name: str) -> None:
        """Append the event of a new version, which is all that schedules see of it."""
        known = [event for event in events(context, kind) if event.subject.startswith(f"dataset:{name}@")]
        version = len(known) + 1
        with context.database.write() as connection:
            append(
                connection,
                clock,
                actor="test",
                type=DATASET_VERSION_ADDED,
                subject=f"dataset:{name}@{version}",
                project=PROJECT,
                payload={"digest": "blake3:", "version": version, "n_rows": 1},
            )

    kind = "dataset.version_added"
    add("sales")
    apply(context, on=Trigger(dataset="sales"), params={"version": "{version}", "of": "{subject}"})
    add("sales")
    add("sales_old")

    assert [react(context, kind) for _ in range(2)] == [1, 1]
    (run,) = runs(context)
    job = end_next(context)
    assert (run.cause, run.details["version"]) == (Cause.EVENT, 2)
    assert job.args["params"] == {"version": "2", "of": "dataset:sales@2"}
    Schedules(context).pause(PROJECT, "nightly")
    add("sales")
    assert react(context, kind) == 0
    Schedules(context).resume(PROJECT, "nightly")
    assert [react(context, kind), len(runs(context))] == [0, 1]


@pytest.mark.parametrize(
    ("trigger", "kind", "subject", "expected"),
    [
        (Trigger(alert="churn"), "alert.opened", "endpoint:churn", True),
        (Trigger(alert="churn"), "alert.opened", "endpoint:churn2", False),
        (Trigger(alert="churn"), "alert.closed", "endpoint:churn", False),
        (Trigger(schedule="ingest"), "schedule.succeeded", "schedule:ingest", True),
        (Trigger(schedule="ingest"), "schedule.failed", "schedule:ingest", False),
        (Trigger(dataset="sales"), "dataset.version_removed", "dataset:sales@1", False),
        (Trigger(event="model.alias_moved"), "model.alias_moved", "model:digits@3", True),
        (
            Trigger(event="model.alias_moved", subject="model:digits@3"),
            "model.alias_moved",
            "model:digits@3",
            True,
        ),
        (
            Trigger(event="model.alias_moved", subject="model:digits@3"),
            "model.alias_moved",
            "model:digits@4",
            False,
        ),
        (Trigger(webhook=True), "alert.opened", "endpoint:churn", False),
    ],
)
def test_an_event_is_what_a_trigger_waits_for(
    trigger: Trigger, kind: str, subject: str, expected: bool
) -> None:
    """By its type and by what it happened to, whole names only."""
    assert matches(trigger, kind, subject) is expected


def test_the_events_that_start_schedules_are_those_of_the_log() -> None:
    """Every type that a schedule may wait for is one that some capability appends."""
    rooms = ("data", "registry", "serving", "monitoring", "pipelines.schedules")
    modules = [importlib.import_module(f"noria.{room}.events") for room in rooms]
    known = {value for module in modules for value in vars(module).values() if isinstance(value, EventType)}
    assert set(EVENT_TYPES) - set(map(str, known)) == set()


def test_a_signed_call_starts_a_schedule_once(context: Context, clock: ManualClock) -> None:
    """Only a call with the secret's signature of this body and of now is let in, and a repeated one starts nothing."""
    apply(context, on=Trigger(webhook=True))
    secret = Schedules(context).hook(PROJECT, "nightly").secret

    def ask(headers: dict[str, str], body: bytes = b"{}", name: str = "nightly") -> int:
        path = {"project": PROJECT, "name": name}
        request = AdapterRequest(
            context=context, method="POST", path=path, query={}, headers=headers, body=body
        )
        return call(request).status

    good = signed_headers(secret, id_="1", now=clock.now(), body=b"{}")
    old = signed_headers(secret, id_="2", now=clock.now() - timedelta(minutes=6), body=b"{}")
    other = Schedules(context).hook(PROJECT, "nightly").notice_secret
    bad: list[tuple[dict[str, str], bytes, str]] = [
        ({}, b"{}", "nightly"),
        (good, b"{ }", "nightly"),
        (good, b"{}", "daily"),
        ({**good, "webhook-id": "3"}, b"{}", "nightly"),
        (old, b"{}", "nightly"),
        (signed_headers(other, id_="4", now=clock.now(), body=b"{}"), b"{}", "nightly"),
    ]
    for headers, body, name in bad:
        with pytest.raises(SignatureInvalid):
            ask(headers, body, name)
    assert runs(context) == []
    assert [ask(good), ask(good)] == [202, 202]
    assert [run.cause for run in runs(context)] == [Cause.WEBHOOK]
    apply(context, every_s=60)
    with pytest.raises(SignatureInvalid):
        ask(signed_headers(secret, id_="5", now=clock.now(), body=b"{}"))
