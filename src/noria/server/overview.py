"""What the overview page shows, and the rules by which a station of the wheel is called good or bad. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from noria.core.web.drawings import Interval, WheelDrawing
from noria.core.web.languages import mark
from noria.core.web.pages import PageContext
from noria.core.web.retelling import Sentence
from noria.server.told_events import EventRow
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
    message: Sentence | None = None


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
