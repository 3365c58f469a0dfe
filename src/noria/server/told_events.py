"""What the overview tells of what happened lately: a sentence for each event, and the page that it leads to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from noria.core.events.log import Event
from noria.core.ids import is_id
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.phrases import Phrase, Place
from noria.core.web.references import reference_url
from noria.core.web.retelling import Sentence
from noria.core.web.urls import Urls
from noria.decisions import course_words
from noria.decisions.words import VALUE_WORDS

_PLACE: Final = re.compile(r"%\((\w+)\)s")
_SHARES: Final = ("weight", "probability")
_MACHINES: Final = re.compile(r"control|local|(?:worker|model_server):.*")
_LONGEST_NAME: Final = 60
_END_OF_ID: Final = 8

TOLD_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "dataset.version_added": (mark("New data: %(subject)s, %(n_rows)s rows"), mark("New data: %(subject)s")),
    "run.finished": (mark("The run %(subject)s ended"),),
    "run.finished failed": (mark("The run %(subject)s failed"),),
    "run.finished killed": (mark("The run %(subject)s was killed"),),
    "pipeline.finished": (mark("The pipeline %(pipeline)s ended"),),
    "pipeline.finished failed": (mark("The pipeline %(pipeline)s failed"),),
    "pipeline.finished killed": (mark("The pipeline %(pipeline)s was killed"),),
    "schedule.failed": (mark("A run of the schedule %(subject)s failed"),),
    "model.version_registered": (mark("New model version: %(subject)s"),),
    "model.alias_moved": (mark("%(alias)s of %(subject)s means version %(version)s now"),),
    "model.alias_deleted": (mark("%(subject)s has no alias %(alias)s any more"),),
    "endpoint.created": (mark("New endpoint: %(subject)s"),),
    "endpoint.deleted": (mark("The endpoint %(subject)s was deleted"),),
    "endpoint.key_created": (mark("New key of the endpoint %(subject)s: %(key)s"),),
    "endpoint.key_revoked": (mark("The key %(key)s of the endpoint %(subject)s was revoked"),),
    "endpoint.repair_started": (
        mark("Inputs of %(subject)s are put right from now on: %(columns)s"),
        mark("Inputs of %(subject)s are put right from now on"),
    ),
    "endpoint.repair_ended": (
        mark("Inputs of %(subject)s are put right no more: %(columns)s"),
        mark("Inputs of %(subject)s are put right no more"),
    ),
    "change.announced": (mark("Somebody announced that inputs of %(subject)s change"),),
    "change.withdrawn": (mark("An announced change of inputs of %(subject)s was taken back"),),
    "rollout.started": (
        mark("%(endpoint)s: the rollout of version %(to)s began"),
        mark("A rollout began"),
    ),
    "rollout.advanced": (
        mark("%(endpoint)s: version %(to)s answers %(weight)s of the requests"),
        mark("%(endpoint)s: the rollout went on"),
    ),
    "rollout.paused": (
        mark("%(endpoint)s: the rollout of version %(to)s waits"),
        mark("%(endpoint)s: the rollout waits"),
    ),
    "rollout.resumed": (
        mark("%(endpoint)s: the rollout of version %(to)s goes on"),
        mark("%(endpoint)s: the rollout goes on"),
    ),
    "rollout.promoted": (
        mark("%(endpoint)s: version %(to)s answers every request"),
        mark("%(endpoint)s: the new version answers every request"),
    ),
    "rollout.rolled_back": (
        mark("%(endpoint)s: back from version %(to)s to version %(from)s"),
        mark("%(endpoint)s: the rollout was taken back"),
    ),
    "rollout.compared": (
        mark("%(endpoint)s: version %(to)s was compared in the shadow"),
        mark("%(endpoint)s: the new version was compared in the shadow"),
    ),
    "rollout.approved": (
        mark("%(endpoint)s: the rollout of version %(to)s was approved"),
        mark("%(endpoint)s: the rollout was approved"),
    ),
    "rollout.failed": (
        mark("%(endpoint)s: the rollout of version %(to)s failed"),
        mark("%(endpoint)s: the rollout failed"),
    ),
    "serving.captures_dropped": (
        mark("A model server has no room to keep its answers: it dropped %(n_dropped)s"),
        mark("A model server has no room to keep its answers"),
    ),
    "serving.captures_kept": (mark("A model server keeps its answers again"),),
    "serving.workers_replaced": (
        mark("A model server replaced workers, %(n_replaced)s since it started"),
        mark("A model server replaced workers"),
    ),
    "alert.opened": (mark("%(endpoint)s: alert (%(kind)s)"), mark("Alert (%(kind)s)")),
    "alert.closed": (
        mark("%(endpoint)s: the alert is over (%(kind)s)"),
        mark("%(endpoint)s: the alert is over"),
        mark("An alert is over"),
    ),
    "decision.started": (mark("%(endpoint)s: the search for the cause began"),),
    "decision.diagnosed": (
        mark("%(endpoint)s: the cause is “%(cause)s” with probability %(probability)s"),
        mark("%(endpoint)s: the diagnosis ended"),
    ),
    "decision.tried": (mark("%(endpoint)s: remedies were tried"),),
    "decision.chosen": (
        mark("%(endpoint)s: the remedy is “%(remedy)s”"),
        mark("%(endpoint)s: a remedy was chosen"),
    ),
    "decision.asked": (
        mark("%(endpoint)s: a person is asked, “%(remedy)s”?"),
        mark("%(endpoint)s: a person is asked"),
    ),
    "decision.approved": (mark("%(endpoint)s: the remedy was approved"),),
    "decision.rejected": (mark("%(endpoint)s: the remedy was refused"),),
    "decision.acted": (mark("%(endpoint)s: the remedy is carried out"),),
    "decision.finished": (mark("%(endpoint)s: the decision ended"),),
    "record.closed": (
        mark("Decision on record: “%(choice)s” for %(about)s"),
        mark("Decision on record for %(about)s"),
        mark("Decision on record"),
    ),
}
"""By type of event, or by type and status: the first sentence whose places can all be filled is told."""

TYPES: Final = tuple(dict.fromkeys(key.partition(" ")[0] for key in TOLD_EVENTS))
"""Of the events that the overview tells, of all that are logged."""

_OURS: Final = ("kind", "cause", "remedy", "choice")
"""Figures of payloads that may be names of ours."""

_SAID: Final = ("reason", "why", "text")
"""Figures of payloads that are sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened.

    Attributes
    ----------
    at
        When.
    phrase
        What.
    why
        What was said of it; None where nobody did.
    by
        The person who did it; empty for what Noria did by itself.
    url
        Page of what it is about; empty for none.
    """

    at: datetime
    phrase: Phrase
    why: Sentence | None
    by: str
    url: str


def tell(
    events: Iterable[Event],
    *,
    project: str,
    urls: Urls,
    names: Mapping[str, str],
    versions: Mapping[str, tuple[int | None, int]],
    limit: int,
) -> tuple[EventRow, ...]:
    """Tell of events in their order, each thing that happened once.

    Parameters
    ----------
    names
        Of runs, by id; one that is missing is called by the end of its id.
    versions
        From and to which one rollouts went, by id: most of their events do not say.
    """
    found = [_completed(event, versions) for event in events]
    pipelines = {event.subject for event in found if event.type == "pipeline.finished"}
    decided = {event.payload.get("record") for event in found if event.type == "decision.finished"}
    return tuple(
        _row(event, project, urls, names)
        for event in found
        if not (event.type == "run.finished" and event.subject in pipelines)
        and not (event.type == "record.closed" and _name(event) in decided)
    )[:limit]


def runs_of(events: Iterable[Event]) -> tuple[str, ...]:
    """Give the ids of the runs that events are about."""
    return tuple(dict.fromkeys(_name(event) for event in events if event.type == "run.finished"))


def rollouts_of(events: Iterable[Event]) -> tuple[str, ...]:
    """Give the ids of the rollouts that events are about without telling of which version."""
    silent = (event for event in events if event.type.startswith("rollout.") and "to" not in event.payload)
    return tuple(dict.fromkeys(_name(event) for event in silent))


def _completed(event: Event, versions: Mapping[str, tuple[int | None, int]]) -> Event:
    if not event.type.startswith("rollout.") or _name(event) not in versions:
        return event
    old, new = versions[_name(event)]
    return msgspec.structs.replace(event, payload={"from": old, "to": new, **event.payload})


def phrase_of(event: Event, names: Mapping[str, str]) -> Phrase:
    """Tell of an event in one sentence; by its type where its payload is none that this type has."""
    status = event.payload.get("status")
    words = TOLD_EVENTS.get(f"{event.type} {status}") or TOLD_EVENTS.get(event.type, ())
    places = _places(event, names)
    chosen = next((each for each in words if set(_PLACE.findall(each)) <= set(places)), None)
    return Phrase(words=chosen, places=places) if chosen else Phrase(words="%(type)s", places=places)


def page_of(event: Event, project: str, urls: Urls) -> str:
    """Give the page of what an event is about; empty where it has none."""
    kind, payload = event.type.partition(".")[0], event.payload
    if kind == "alert" and isinstance(payload.get("alert"), str):
        return urls.incident(project, payload["alert"])
    if kind == "decision" and isinstance(payload.get("record"), str):
        return urls.decision(project, payload["record"])
    if kind == "pipeline":
        return urls.pipeline_run(project, _name(event))
    if kind == "schedule":
        return urls.schedule(project, _name(event))
    return reference_url(urls, project, event.subject) or ""


def _row(event: Event, project: str, urls: Urls, names: Mapping[str, str]) -> EventRow:
    why = next((said for key in _SAID if isinstance(said := event.payload.get(key), str) and said), None)
    return EventRow(
        at=event.at,
        phrase=phrase_of(event, names),
        why=course_words.found(why) if why and not event.type.startswith("decision.") else None,
        by="" if _MACHINES.fullmatch(event.actor) else event.actor,
        url=page_of(event, project, urls),
    )


def _name(event: Event) -> str:
    return event.subject.partition(":")[2]


def _places(event: Event, names: Mapping[str, str]) -> dict[str, Place]:
    kind, _, name = event.subject.partition(":")
    found = {key: place for key, value in event.payload.items() if (place := _place(key, value))}
    found["type"] = Place(text=event.type)
    found["subject"] = Place(text=clipped(names.get(name, _short(name)), _LONGEST_NAME))
    if kind == "endpoint":
        found.setdefault("endpoint", found["subject"])
    return found


def _place(key: str, value: Any) -> Place | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return Place(number=value, is_share=key in _SHARES)
    if isinstance(value, str) and value:
        known = VALUE_WORDS.get(value) if key in _OURS else None
        text = value.partition(":")[2] if key == "about" else value
        return Place(text=known or clipped(text, _LONGEST_NAME), is_ours=known is not None)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return Place(text=clipped(", ".join(value), _LONGEST_NAME))
    return None


def _short(name: str) -> str:
    return f"…{name[-_END_OF_ID:]}" if is_id(name) else name
