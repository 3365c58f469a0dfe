"""What the pages of endpoints show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from noria.core.web.charts import Chart
from noria.core.web.drawings import Interval
from noria.core.web.lists import ListContext
from noria.core.web.pages import PageContext
from noria.core.web.parts import Column, Pager
from noria.core.web.retelling import Sentence
from noria.monitoring.delays.entities import DelayReport
from noria.monitoring.entities import WindowRule
from noria.monitoring.estimated.entities import StandingEstimate
from noria.serving.keys import EndpointKey
from noria.serving.page_reads import GoingBack
from noria.serving.page_turns import Turns
from noria.serving.page_views import Badge, ShareBar
from noria.serving.plans import ServerStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutLink:
    """A rollout under way.

    Attributes
    ----------
    url
        Its page.
    badge
        How it stands.
    step, n_steps
        Which step it is in, from 1, and of how many; 0 while the new version is loaded.
    to_version
        The version that takes over.
    """

    url: str
    badge: Badge
    step: int
    n_steps: int
    to_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint in the list.

    Attributes
    ----------
    name, url
        And its page.
    model, model_url
        Whose versions answer.
    badge
        How it stands.
    shares
        Of the requests.
    rollout
        What is under way; None for nothing.
    n_servers
        Model servers that answered for it lately.
    n_alerts, alerts_url
        Open ones, and where they are listed; None where the reader may not see them.
    created_at
        When it was made.
    """

    name: str
    url: str
    model: str
    model_url: str
    badge: Badge
    shares: tuple[ShareBar, ...]
    rollout: RolloutLink | None
    n_servers: int
    n_alerts: int | None
    alerts_url: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsContext(ListContext):
    """What the list of endpoints shows.

    Attributes
    ----------
    endpoints
        In the order of their names.
    """

    endpoints: tuple[EndpointRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version that answers at an endpoint, or did.

    Attributes
    ----------
    version, url
        And its page.
    weight
        Share of the requests; None for one that is not there any more.
    mirrored
        Share of the requests that it predicts along.
    warm_until
        Until when it stays loaded, for one that was replaced.
    is_first
        Whether it is asked first, and answers what it is sure of.
    n_requests, n_errors
        What it answered so far, and what failed; None where the reader may not see it.
    mean_latency_ms, high_latency_ms
        Mean, and below which 95 % lie.
    accuracy, n_labelled
        Share of labelled rows that were right, for a classifier; and how many labels there are.
    """

    version: int
    url: str
    weight: float | None
    mirrored: float = 0.0
    warm_until: datetime | None = None
    is_first: bool = False
    n_requests: int | None = None
    n_errors: int | None = None
    mean_latency_ms: float | None = None
    high_latency_ms: float | None = None
    accuracy: float | None = None
    n_labelled: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """A model server.

    Attributes
    ----------
    name, url
        And where it answers; empty where it cannot be found by others.
    seen_at
        When it last reported.
    is_following
        Whether it shares the requests as the endpoint says now.
    failed
        Versions that it could not load, and why (in English).
    n_dropped
        Predictions that it could not keep.
    standing
        How its workers and its disk are; None from one that does not say.
    """

    name: str
    url: str
    seen_at: datetime
    is_following: bool
    failed: tuple[tuple[str, str], ...]
    n_dropped: int
    standing: ServerStanding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert.

    Attributes
    ----------
    url
        Page of the incident.
    kind
        In words to be translated.
    sentence
        Stored in English, told in the reader's language.
    """

    url: str
    kind: str
    sentence: Sentence
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """A time in which nobody is told of the endpoint's alerts.

    Attributes
    ----------
    silence_id
        To end it by.
    kind
        The one kind of alert that it is about, in words to be translated; empty for all.
    is_everywhere
        Whether it is about every endpoint of the project.
    """

    silence_id: str
    kind: str
    is_everywhere: bool
    by: str
    ends_at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A decision about the endpoint: its story, what was found and chosen (in words to be translated)."""

    url: str
    problem: Sentence
    cause: str
    choice: str
    created_at: datetime
    is_closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """A rollout in the history of an endpoint; `strategy` is words to be translated."""

    url: str
    from_version: int | None
    to_version: int
    badge: Badge
    strategy: str
    started_by: str
    created_at: datetime
    duration_s: float | None
    reason: Sentence | None
    decision_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of recent labelled answers with its interval, and the reference on one scale."""

    mean: float
    low: float
    high: float
    n: int
    reference: float
    reference_n: int
    place: Interval
    reference_place: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesPart:
    """How the newest window that was held to the rules of the training data keeps them.

    Attributes
    ----------
    window
        Its index.
    n_kept, n_rules
        Rules that its rows keep, and all of them.
    broken
        Those that surely more rows break than are tolerated first.
    """

    window: int
    n_kept: int
    n_rules: int
    broken: tuple[WindowRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRow:
    """How inputs are put right before the model sees them, or were.

    Attributes
    ----------
    repair_id, number
        It is known by.
    words
        What is done, column by column.
    ended_at, ended_why
        None while it stands.
    decision_url
        Page of the decision that began it; empty for none.
    """

    repair_id: str
    number: int
    words: tuple[Sentence, ...]
    started_by: str
    created_at: datetime
    ended_at: datetime | None
    ended_why: Sentence | None
    decision_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedRow:
    """A change of inputs that somebody means, from a moment on."""

    text: str
    columns: tuple[str, ...]
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointContext(PageContext):
    """What the page of an endpoint shows.

    Attributes
    ----------
    now
        When it was read.
    name
        Of the endpoint.
    model, model_url
        Whose versions answer.
    task
        `classification` or `regression`.
    endpoint_id
        To be copied.
    created_at
        When it was made.
    badge
        How it stands.
    shares
        Of the requests.
    versions
        That answer, or did, with figures.
    turns
        How two versions fare that answer in turn; None where one answers.
    rollout
        What is under way; None for nothing.
    servers
        Model servers that answered for it lately.
    keys
        What clients have to show, newest first; None where the reader may not see them.
    capture_share
        Part of the answered requests that is kept, 0 to 1.
    back
        Where rolling back would lead; None where there is no way, or the reader may not go.
    alerts
        Open ones first; None where the reader may not see them.
    n_open
        How many alerts are open.
    silences
        In force now.
    silence_options
        Seconds and words to be translated; empty where the reader may not silence alerts.
    incidents_url
        Where all of them are listed.
    quality
        As of the newest label; None while there is none.
    labels
        How long labels take, and how complete they are; None before the first.
    estimate, metric_words, assumption
        Quality of the newest answers without labels, None while there is none; names of its metrics, in words to be
        translated; and what every such figure supposes.
    estimate_lacks
        Why there is no estimate.
    charts
        What the monitor saw.
    rules
        Of the training data, in the newest window; None where there are none.
    lacks
        What it could not look at in the newest window, and what would mend that.
    is_watched
        Whether a monitor looks at the endpoint.
    decisions
        Newest first; None where the reader may not see them.
    repairs, may_end_repairs
        Of inputs, newest first; and whether the reader may end the one that stands.
    announced
        Changes of inputs that are meant, newest first.
    columns
        Headings of the rollouts.
    rollouts
        Newest first.
    pager
        The place in the list of rollouts.
    """

    now: datetime
    name: str
    model: str
    model_url: str
    task: str
    endpoint_id: str
    created_at: datetime
    badge: Badge
    shares: tuple[ShareBar, ...]
    versions: tuple[VersionRow, ...]
    turns: Turns | None
    rollout: RolloutLink | None
    servers: tuple[ServerRow, ...]
    keys: tuple[EndpointKey, ...] | None
    capture_share: float
    back: GoingBack | None
    alerts: tuple[AlertRow, ...] | None
    n_open: int
    silences: tuple[SilenceRow, ...]
    silence_options: tuple[tuple[str, str], ...]
    incidents_url: str
    labels: DelayReport | None
    quality: Quality | None
    estimate: StandingEstimate | None
    estimate_lacks: Sentence | None
    metric_words: Mapping[str, str]
    assumption: str
    charts: tuple[Chart, ...]
    rules: RulesPart | None
    lacks: tuple[Sentence, ...]
    is_watched: bool
    decisions: tuple[DecisionRow, ...] | None
    repairs: tuple[RepairRow, ...]
    may_end_repairs: bool
    announced: tuple[AnnouncedRow, ...]
    columns: tuple[Column, ...]
    rollouts: tuple[RolloutRow, ...]
    pager: Pager
