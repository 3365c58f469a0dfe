"""What the overview page shows, and the rules by which a station of the wheel is called good or bad. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from noria.core.ids import is_id
from noria.core.web.drawings import Interval, WheelDrawing
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import PageContext
from noria.core.web.retelling import Sentence
from noria.core.web.urls import Urls
from noria.decisions.words import VALUE_WORDS, in_words
from noria.serving.entities import RolloutStatus

ERROR_SHARE_SHOWN = 0.01
"""From this share of failed requests on, an endpoint wants to be looked at."""


class State(enum.StrEnum):
    """How a station stands, from nothing to the worst."""

    NONE = "none"
    GOOD = "good"
    BUSY = "busy"
    LOOK = "look"
    BAD = "bad"

    @property
    def words(self) -> str:
        """The state in words, to be translated."""
        return _STATE_WORDS[self]

    @property
    def sign(self) -> str:
        """The state as one character, for those who do not see colours."""
        return _STATE_SIGNS[self]


_STATE_WORDS = {
    State.NONE: mark("nothing yet"),
    State.GOOD: mark("good"),
    State.BUSY: mark("under way"),
    State.LOOK: mark("look here"),
    State.BAD: mark("trouble"),
}

_STATE_SIGNS = {State.NONE: "·", State.GOOD: "✓", State.BUSY: "…", State.LOOK: "!", State.BAD: "✕"}


def worst(states: Iterable[State]) -> State:
    """Give the state that matters most."""
    order = list(State)
    return max(states, key=order.index, default=State.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStation:
    """The data that the served version was trained on; None where it is not known."""

    state: State
    ref: str
    name: str = ""
    number: int = 0
    n_rows: int | None = None
    size_bytes: int | None = None
    created_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStation:
    """The run that made the served version."""

    state: State
    run_id: str
    name: str = ""
    experiment: str = ""
    status: str = ""
    duration_s: float | None = None
    metrics: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStation:
    """The version that answers most requests, or would."""

    state: State
    ref: str
    version: int
    latest: int
    aliases: tuple[str, ...]
    metric: str | None
    metric_value: float | None
    metric_n: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """A version behind the endpoint with its share of the requests and what it answered so far."""

    version: int
    weight: float
    start: float
    n_requests: int
    n_errors: int
    mean_latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """A rollout under way."""

    from_version: int | None
    to_version: int
    step: int
    n_steps: int
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStation:
    """Where the model answers."""

    state: State
    name: str
    shares: tuple[ShareRow, ...]
    n_requests: int
    n_errors: int
    is_served: bool
    rollout: RolloutRow | None
    n_others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """Quality of the recent labelled answers with its interval, and the reference that it is held against."""

    mean: float
    low: float
    high: float
    n: int
    reference: float
    interval: Interval
    reference_place: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStation:
    """What watches the endpoint."""

    state: State
    n_windows: int
    n_alerts: int
    window_rows: int | None
    window_at: datetime | None
    n_columns: int | None
    n_drifted: int | None
    quality: QualityRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionStation:
    """The newest decision about the model or its endpoint."""

    state: State
    record_id: str
    kind: str
    cause: str | None
    choice: str | None
    is_closed: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One model, all the way round."""

    model: str
    state: State
    states: tuple[State, ...]
    data: DataStation | None
    run: RunStation | None
    version: VersionStation | None
    endpoint: EndpointStation | None
    monitor: MonitorStation | None
    decision: DecisionStation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert, and the page of the incident."""

    url: str
    endpoint: str
    kind: str
    sentence: Sentence
    opened_at: datetime
    closed_at: datetime | None
    closed_why: Sentence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened: what (to be translated), to whom, by whom, details, and the page of what it is about."""

    at: datetime
    words: str
    subject: str
    short_subject: str
    actor: str
    details: tuple[str, ...]
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRow:
    """A run that is under way."""

    run_id: str
    name: str
    experiment: str
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewContext(PageContext):
    """What the overview shows.

    Attributes
    ----------
    now
        When the page was made.
    wheels
        Models in the order of their names.
    next_model
        The model after which the next page begins; None at the end.
    is_first
        Whether this is the first page of models.
    running
        The newest runs that are under way.
    alerts
        The newest alerts, the open ones first.
    events
        What happened lately, newest first; None for a reader who may not see it.
    drawing
        Geometry of the wheel.
    """

    now: datetime
    wheels: tuple[Wheel, ...]
    next_model: str | None
    is_first: bool
    running: tuple[RunningRow, ...]
    alerts: tuple[AlertRow, ...]
    events: tuple[EventRow, ...] | None
    drawing: WheelDrawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How an event is told: in words (to be translated), and which of its figures are worth a look."""

    words: str
    figures: tuple[str, ...] = field(default=())


TOLD_EVENTS = {
    "dataset.version_added": Told(words=mark("data added"), figures=("n_rows",)),
    "run.finished": Told(words=mark("run ended"), figures=("status",)),
    "pipeline.finished": Told(words=mark("pipeline ended"), figures=("status",)),
    "model.version_registered": Told(words=mark("model version registered")),
    "model.alias_moved": Told(words=mark("alias moved"), figures=("alias", "version")),
    "model.alias_deleted": Told(words=mark("alias deleted"), figures=("alias",)),
    "endpoint.created": Told(words=mark("endpoint made"), figures=("model", "version")),
    "endpoint.deleted": Told(words=mark("endpoint deleted")),
    "rollout.started": Told(words=mark("rollout began"), figures=("strategy", "to_version")),
    "rollout.advanced": Told(words=mark("rollout went a step on"), figures=("step", "weight")),
    "rollout.paused": Told(words=mark("rollout paused"), figures=("reason",)),
    "rollout.resumed": Told(words=mark("rollout went on")),
    "rollout.promoted": Told(words=mark("rollout promoted")),
    "rollout.rolled_back": Told(words=mark("rollout rolled back"), figures=("reason",)),
    "rollout.compared": Told(words=mark("rollout compared"), figures=("reason",)),
    "rollout.approved": Told(words=mark("rollout approved")),
    "rollout.failed": Told(words=mark("rollout failed"), figures=("reason",)),
    "endpoint.key_created": Told(words=mark("endpoint key made"), figures=("key",)),
    "endpoint.key_revoked": Told(words=mark("endpoint key revoked"), figures=("key",)),
    "serving.captures_dropped": Told(words=mark("no room for predictions"), figures=("n_dropped",)),
    "serving.captures_kept": Told(words=mark("predictions kept again"), figures=("n_dropped",)),
    "serving.workers_replaced": Told(words=mark("workers replaced"), figures=("n_replaced",)),
    "alert.opened": Told(words=mark("alert raised"), figures=("kind",)),
    "alert.closed": Told(words=mark("alert closed"), figures=("why",)),
    "decision.started": Told(words=mark("diagnosis began")),
    "decision.diagnosed": Told(words=mark("cause found"), figures=("cause",)),
    "decision.tried": Told(words=mark("remedies tried")),
    "decision.chosen": Told(words=mark("remedy chosen"), figures=("choice", "remedy")),
    "decision.acted": Told(words=mark("remedy put to work")),
    "decision.finished": Told(words=mark("decision ended")),
    "record.closed": Told(words=mark("decision recorded"), figures=("choice",)),
}
"""The events that the overview tells, of all that are logged."""


def run_state(status: str) -> State:
    """Judge a run."""
    return {"finished": State.GOOD, "running": State.BUSY}.get(status, State.BAD)


def endpoint_state(
    *, rollout: RolloutStatus | None, is_served: bool, n_requests: int, n_errors: int
) -> State:
    """Judge an endpoint: a model server has to answer for it, without many errors."""
    failing = n_errors > 0 and n_errors >= ERROR_SHARE_SHOWN * n_requests
    if not is_served or failing or rollout is RolloutStatus.PAUSED:
        return State.LOOK
    return State.BUSY if rollout is RolloutStatus.RUNNING else State.GOOD


def monitor_state(*, n_alerts: int, n_drifted: int | None, has_looked: bool) -> State:
    """Judge what a monitor saw."""
    if n_alerts:
        return State.BAD
    if n_drifted:
        return State.LOOK
    return State.GOOD if has_looked else State.NONE


def decision_state(*, is_closed: bool, choice: str | None) -> State:
    """Judge a decision: one that asks a person wants to be looked at."""
    if choice == "ask":
        return State.LOOK
    return State.GOOD if is_closed else State.BUSY


def short_subject(subject: str) -> str:
    """Give a subject with only the end of an id, which is what differs between ids of one day.

    Examples
    --------
    >>> short_subject("run:01a1fe334b7176c49e423563c9819fa6"), short_subject("model:digits@2")
    ('run …c9819fa6', 'model digits@2')
    """
    kind, _, name = subject.partition(":")
    shown = f"…{name[-8:]}" if is_id(name) else name
    return clipped(f"{kind} {shown}".strip(), 80)


def subject_url(urls: Urls, project: str, subject: str) -> str | None:
    """Give the page of what an event is about, or None for what has none.

    Examples
    --------
    >>> subject_url(Urls(), "a", "model:digits@2"), subject_url(Urls(), "a", "endpoint:d/x")
    ('/projects/a/models/digits/versions/2', '/projects/a/endpoints/d%2Fx')
    """
    kind, _, name = subject.partition(":")
    thing, _, number = name.partition("@")
    if number.isdigit() and kind in ("model", "dataset"):
        version = urls.version if kind == "model" else urls.dataset_version
        return version(project, thing, int(number))
    pages: dict[str, Callable[[str, str], str]] = {
        "run": urls.run,
        "model": urls.model,
        "dataset": urls.dataset,
        "endpoint": urls.endpoint,
        "rollout": urls.rollout,
        "record": urls.decision,
        "decision": urls.decision,
    }
    return pages[kind](project, name) if kind in pages else None


def event_details(told: Told, payload: dict[str, Any]) -> tuple[str, ...]:
    """Give the figures of an event that are worth a look; names of ours are to be translated."""
    found = [(name, payload[name]) for name in told.figures if payload.get(name) is not None]
    return tuple(_percent(value) if name == "weight" else _in_short(value) for name, value in found)


def _percent(share: Any) -> str:
    return f"{100 * share:g}\N{NO-BREAK SPACE}%" if isinstance(share, int | float) else _in_short(share)


def _in_short(value: Any) -> str:
    return clipped(in_words(VALUE_WORDS, str(value)), 100)
