"""What the overview says of events: sentences whose places are filled, each thing once, with its page."""

from __future__ import annotations

import importlib
import pkgutil
import re
from datetime import UTC, datetime
from typing import Any

import pytest

import noria
from noria.core.events.log import Event, EventType
from noria.core.web.languages import Language
from noria.core.web.rendering import environment
from noria.core.web.urls import Urls
from noria.server.told_events import TOLD_EVENTS, TYPES, page_of, phrase_of, rollouts_of, runs_of, tell
from support.hostile import HOSTILE

RUN = "01a1fe334b7176c49e423563c9819fa6"
RECORD = "01a203d490b07435bb17e9ce8419e1a9"


def event(type_: str, subject: str, actor: str = "control", **payload: Any) -> Event:
    """Make an event."""
    return Event(
        position=1,
        at=datetime(2026, 11, 23, tzinfo=UTC),
        actor=actor,
        project="default",
        type=type_,
        subject=subject,
        payload=payload,
    )


def said(found: Event, language: Language = Language.ENGLISH, names: dict[str, str] | None = None) -> str:
    """Give the sentence of an event as text."""
    phrased = environment(language).filters["phrased"]
    return re.sub(r"<.*?>", "", str(phrased(phrase_of(found, names or {}))))


def test_every_told_event_exists() -> None:
    """The overview tells only of events that some capability appends."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(noria.__path__, "noria.")
        if each.name.endswith(".events")
    ]
    known = {
        str(value) for module in modules for value in vars(module).values() if isinstance(value, EventType)
    }

    assert set(TYPES) <= known


@pytest.mark.parametrize("language", list(Language))
def test_every_sentence_can_be_said(language: Language) -> None:
    """In each language the places of a sentence are those that it has in English."""
    gettext = environment(language).globals["gettext"]
    place = re.compile(r"%\((\w+)\)s")
    for words in (words for several in TOLD_EVENTS.values() for words in several):
        told = environment(language).globals["words"](words)  # type: ignore[operator]
        assert sorted(place.findall(told)) == sorted(place.findall(words)), (gettext, words)


@pytest.mark.parametrize(
    ("found", "english", "spanish"),
    [
        (
            event("dataset.version_added", "dataset:digits-train@3", n_rows=1317),
            "New data: digits-train@3, 1,317 rows",
            "Datos nuevos: digits-train@3, 1.317 filas",
        ),
        (
            event("dataset.version_added", "dataset:d@1", n_rows=None),
            "New data: d@1",
            "Datos nuevos: d@1",
        ),
        (
            event("rollout.advanced", f"rollout:{RUN}", endpoint="digits", to=2, weight=0.25),
            "digits: version 2 answers 25\N{NO-BREAK SPACE}% of the requests",
            "digits: la versión 2 responde al 25\N{NO-BREAK SPACE}% de las peticiones",
        ),
        (
            event("alert.opened", "endpoint:digits", kind="quality", alert=RUN),
            "digits: alert (quality)",
            "digits: alerta (calidad)",
        ),
        (
            event("decision.chosen", f"decision:{RUN}", endpoint="digits", remedy="retrain"),
            "digits: the remedy is “retrain”",
            "digits: el remedio es «reentrenar»",
        ),
        (
            event("run.finished", f"run:{RUN}", status="failed"),
            "The run …c9819fa6 failed",
            "La ejecución …c9819fa6 falló",
        ),
    ],
)
def test_events_are_told_in_sentences(found: Event, english: str, spanish: str) -> None:
    """Names, figures and words of ours stand in their places; what a payload lacks is left out."""
    assert said(found) == english
    assert said(found, Language.SPANISH) == spanish


def test_runs_are_called_by_their_names() -> None:
    """A run that is known has its name, and is asked for once."""
    found = event("run.finished", f"run:{RUN}", status="finished")

    assert runs_of([found, found]) == (RUN,)
    assert said(found, names={RUN: "night search"}) == "The run night search ended"


def test_a_payload_of_another_form_is_told_by_its_type() -> None:
    """What a newer or older release wrote breaks no page."""
    assert said(event("rollout.started", f"rollout:{RUN}", to=["x", 1], endpoint=None)) == "A rollout began"
    assert said(event("model.alias_moved", "model:a", alias=[])) == "model.alias_moved"
    assert said(event("solar.flare", "sun:1")) == "solar.flare"


def test_what_users_write_stays_text() -> None:
    """Markup and per cent signs in names are shown as they are."""
    phrased = environment(Language.ENGLISH).filters["phrased"]
    shown = str(phrased(phrase_of(event("endpoint.created", f"endpoint:{HOSTILE[:50]}"), {})))

    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_thing_that_happened_is_told_once() -> None:
    """The run of a pipeline is told by the pipeline, the record of a decision by the decision."""
    events = [
        event("record.closed", f"record:{RECORD}", choice="retrain"),
        event("decision.finished", f"decision:{RUN}", endpoint="digits", record=RECORD),
        event("pipeline.finished", f"run:{RUN}", pipeline="a:b", status="finished"),
        event("run.finished", f"run:{RUN}", status="finished"),
        event("run.finished", f"run:{RECORD}", status="finished"),
    ]
    rows = tell(events, project="default", urls=Urls(), names={}, versions={}, limit=14)

    assert [row.phrase.words for row in rows] == [
        "%(endpoint)s: the decision ended",
        "The pipeline %(pipeline)s ended",
        "The run %(subject)s ended",
    ]
    assert len(tell(events, project="default", urls=Urls(), names={}, versions={}, limit=2)) == 2


def test_events_of_a_rollout_tell_its_versions() -> None:
    """Though only its first event says them; without them they are told by the endpoint alone."""
    went_on = event("rollout.advanced", f"rollout:{RUN}", endpoint="digits", step=1, weight=0.5)
    back = event("rollout.rolled_back", f"rollout:{RUN}", endpoint="digits", reason="Aborted by hand")
    versions: dict[str, tuple[int | None, int]] = {RUN: (1, 2)}
    rows = tell([back, went_on], project="a", urls=Urls(), names={}, versions=versions, limit=14)

    assert rollouts_of([back, went_on]) == (RUN,)
    assert [row.phrase.words for row in rows] == [
        "%(endpoint)s: back from version %(to)s to version %(from)s",
        "%(endpoint)s: version %(to)s answers %(weight)s of the requests",
    ]
    assert said(went_on) == "digits: the rollout went on"


def test_people_are_named_and_machines_are_not() -> None:
    """Who promoted is told; that the control loop or a worker did something is not."""
    made = [event("endpoint.deleted", "endpoint:a", actor=name) for name in ("ana", "control", "worker:x")]
    rows = tell(made, project="default", urls=Urls(), names={}, versions={}, limit=14)

    assert [row.by for row in rows] == ["ana", "", ""]


@pytest.mark.parametrize(
    ("found", "url"),
    [
        (event("model.version_registered", "model:digits@2"), "/projects/a/models/digits/versions/2"),
        (event("endpoint.created", "endpoint:d/x"), "/projects/a/endpoints/d%2Fx"),
        (event("alert.opened", "endpoint:d", alert=RUN), f"/projects/a/incidents/{RUN}"),
        (event("decision.chosen", f"decision:{RUN}", record=RECORD), f"/decisions/a/{RECORD}"),
        (event("record.closed", f"record:{RECORD}"), f"/decisions/a/{RECORD}"),
        (event("pipeline.finished", f"run:{RUN}"), Urls().pipeline_run("a", RUN)),
        (event("schedule.failed", "schedule:nightly"), "/projects/a/schedules/nightly"),
        (event("serving.workers_replaced", "model_server:x"), ""),
    ],
)
def test_an_event_leads_to_what_it_is_about(found: Event, url: str) -> None:
    """The incident, the decision, the rollout or the thing itself; nowhere where there is no page."""
    assert page_of(found, "a", Urls()) == url
