"""The pages of endpoints: the list, and one endpoint with what answers, what watches it and what was decided.

They stand here because they gather from rooms that do not know each other: serving, monitoring, decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.errors import NotFound
from noria.core.web.charts import Chart, Series, Shape
from noria.core.web.drawings import Interval, scale_over
from noria.core.web.formats import clipped
from noria.core.web.languages import mark, translations
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Pager
from noria.core.web.urls import ENDPOINT_PATH, ENDPOINTS_PATH
from noria.decisions.words import CAUSE_WORDS, REMEDY_WORDS, VALUE_WORDS, in_words
from noria.monitoring.entities import Alert, Monitor, QualityReport, Window
from noria.monitoring.page_reads import AlertReads
from noria.monitoring.permissions import READ_MONITORS
from noria.monitoring.service import Monitors
from noria.serving.entities import Endpoint, Rollout, RolloutStatus, Share
from noria.serving.page_reads import EndpointReads, GoingBack
from noria.serving.pages import ENDPOINTS_WORDS, Badge, ShareBar, rollout_badge
from noria.serving.permissions import DEPLOY, READ_CAPTURES, READ_ENDPOINTS
from noria.serving.predictions import StatsTable
from noria.serving.service import Captures, Endpoints, Rollouts
from noria.serving.words import STRATEGY_WORDS

ENDPOINTS_PER_PAGE: Final = 50
ROLLOUTS_PER_PAGE: Final = 10

_ALERTS: Final = 5
_DECISIONS: Final = 5
_VERSIONS: Final = 12
_WINDOWS: Final = 100
_RUNNING: Final = 40
_SENTENCE: Final = 400

IDLE = Badge(state="look", words=mark("nothing answers"), sign="!")
GOOD = Badge(state="good", words=mark("answers"), sign="✓")
TROUBLE = Badge(state="bad", words=mark("open alert"), sign="✕")


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
class EndpointsContext(PageContext):
    """What the list of endpoints shows.

    Attributes
    ----------
    now
        When it was read.
    columns
        Headings.
    endpoints
        In the order of their names.
    pager
        The place in the list.
    is_first
        Whether the list begins here.
    """

    now: datetime
    columns: tuple[Column, ...]
    endpoints: tuple[EndpointRow, ...]
    pager: Pager
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version that answers at an endpoint, or did.

    Attributes
    ----------
    version, url
        And its page.
    weight
        Share of the requests; None for one that is not there any more.
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
    """

    name: str
    url: str
    seen_at: datetime
    is_following: bool
    failed: tuple[tuple[str, str], ...]
    n_dropped: int


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
        Stored in English.
    """

    url: str
    kind: str
    sentence: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """A decision about the endpoint: its story, what was found and chosen (in words to be translated)."""

    url: str
    problem: str
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
    reason: str
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
    rollout
        What is under way; None for nothing.
    servers
        Model servers that answered for it lately.
    back
        Where rolling back would lead; None where there is no way, or the reader may not go.
    alerts
        Open ones first; None where the reader may not see them.
    n_open
        How many alerts are open.
    incidents_url
        Where all of them are listed.
    quality
        As of the newest label; None while there is none.
    charts
        What the monitor saw.
    is_watched
        Whether a monitor looks at the endpoint.
    decisions
        Newest first; None where the reader may not see them.
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
    rollout: RolloutLink | None
    servers: tuple[ServerRow, ...]
    back: GoingBack | None
    alerts: tuple[AlertRow, ...] | None
    n_open: int
    incidents_url: str
    quality: Quality | None
    charts: tuple[Chart, ...]
    is_watched: bool
    decisions: tuple[DecisionRow, ...] | None
    columns: tuple[Column, ...]
    rollouts: tuple[RolloutRow, ...]
    pager: Pager


def endpoints_page(visit: Visit) -> EndpointsContext:
    """List endpoints with what answers there and what is wrong."""
    project, after = visit.parameters["project"], visit.parameters.get("after", "")
    page = visit.context.service(Endpoints).list(project, limit=ENDPOINTS_PER_PAGE, after=after)
    may_see_alerts = visit.context.principal.may(READ_MONITORS, project)
    names = [each.name for each in page.items]
    n_open = visit.context.service(AlertReads).n_open(project, names) if may_see_alerts else None
    urls = visit.urls
    return EndpointsContext(
        live=True,
        trail=(Crumb(text=ENDPOINTS_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        columns=_ENDPOINT_COLUMNS,
        endpoints=tuple(_endpoint_row(visit, each, n_open) for each in page.items),
        pager=Pager(
            first=urls.endpoints(project) if after else None,
            following=urls.endpoints(project, after=page.next) if page.next else None,
            n_shown=len(page.items),
        ),
        is_first=not after,
    )


def endpoint_page(visit: Visit) -> EndpointContext:
    """Show an endpoint: what answers, who watches it, and how it came to this."""
    project, context, urls = visit.parameters["project"], visit.context, visit.urls
    endpoint = context.service(Endpoints).get(project, visit.parameters["endpoint"])
    rollout = _rollout_link(visit, endpoint)
    alerts = _alerts(visit, endpoint)
    n_open = sum(alert.closed_at is None for alert in alerts or ())
    monitor = _monitor(visit, endpoint)
    rollouts, pager = _rollouts(visit, endpoint)
    may_deploy = context.principal.may(DEPLOY, project)
    back = context.service(EndpointReads).going_back(project, endpoint.name) if may_deploy else None
    return EndpointContext(
        live=True,
        beat_s=5,
        trail=(
            Crumb(text=ENDPOINTS_WORDS, url=urls.endpoints(project), is_ours=True),
            Crumb(text=endpoint.name),
        ),
        now=context.clock.now(),
        name=endpoint.name,
        model=endpoint.model,
        model_url=urls.model(project, endpoint.model),
        task=endpoint.task,
        endpoint_id=endpoint.id,
        created_at=endpoint.created_at,
        badge=_badge(endpoint, rollout, n_open),
        shares=_share_bars(visit, endpoint),
        versions=_versions(visit, endpoint),
        rollout=rollout,
        servers=_servers(visit, endpoint),
        back=back,
        alerts=None if alerts is None else tuple(_alert_row(visit, alert) for alert in alerts),
        n_open=n_open,
        incidents_url=urls.incidents(project, endpoint=endpoint.name),
        quality=_quality(monitor.quality) if monitor and monitor.quality else None,
        charts=_charts(visit, monitor, alerts or ()) if monitor else (),
        is_watched=monitor is not None,
        decisions=_decisions(visit, endpoint),
        columns=_ROLLOUT_COLUMNS,
        rollouts=rollouts,
        pager=pager,
    )


def _endpoint_row(visit: Visit, endpoint: Endpoint, n_open: dict[str, int] | None) -> EndpointRow:
    project, urls = endpoint.project, visit.urls
    n_alerts = None if n_open is None else n_open.get(endpoint.name, 0)
    rollout = _rollout_link(visit, endpoint)
    return EndpointRow(
        name=endpoint.name,
        url=urls.endpoint(project, endpoint.name),
        model=endpoint.model,
        model_url=urls.model(project, endpoint.model),
        badge=_badge(endpoint, rollout, n_alerts or 0),
        shares=_share_bars(visit, endpoint),
        rollout=rollout,
        n_servers=len(endpoint.urls),
        n_alerts=n_alerts,
        alerts_url=urls.incidents(project, endpoint=endpoint.name),
        created_at=endpoint.created_at,
    )


def _badge(endpoint: Endpoint, rollout: RolloutLink | None, n_open: int) -> Badge:
    if n_open:
        return TROUBLE
    if not endpoint.urls:
        return IDLE
    return rollout.badge if rollout else GOOD


def _rollout_link(visit: Visit, endpoint: Endpoint) -> RolloutLink | None:
    if endpoint.rollout_id is None:
        return None
    try:
        found = visit.context.service(Rollouts).get(endpoint.project, endpoint.rollout_id)
    except NotFound:
        return None
    if found.status not in (RolloutStatus.RUNNING, RolloutStatus.PAUSED):  # it ended between two reads
        return None
    return RolloutLink(
        url=visit.urls.rollout(endpoint.project, found.id),
        badge=rollout_badge(found.status),
        step=found.step + 1,
        n_steps=len(found.steps),
        to_version=found.to_version,
    )


def _share_bars(visit: Visit, endpoint: Endpoint) -> tuple[ShareBar, ...]:
    made, start = [], 0.0
    for share in endpoint.shares:
        url = visit.urls.version(endpoint.project, endpoint.model, share.version)
        made.append(ShareBar(version=share.version, url=url, weight=share.weight, start=start))
        start += share.weight
    return tuple(made)


def _versions(visit: Visit, endpoint: Endpoint) -> tuple[VersionRow, ...]:
    """Give the versions that share the requests, then those that did, newest first."""
    project, table = endpoint.project, None
    if visit.context.principal.may(READ_CAPTURES, project):
        table = visit.context.service(Captures).stats(project, endpoint.name)
    now = {share.version for share in endpoint.shares}
    before = sorted({stats.version for stats in table.items} - now, reverse=True) if table else []
    shares: list[Share | int] = [*endpoint.shares, *before]
    return tuple(_version_row(visit, endpoint, each, table) for each in shares[:_VERSIONS])


def _version_row(
    visit: Visit, endpoint: Endpoint, share: Share | int, table: StatsTable | None
) -> VersionRow:
    version = share if isinstance(share, int) else share.version
    url = visit.urls.version(endpoint.project, endpoint.model, version)
    weight = None if isinstance(share, int) else share.weight
    if table is None:
        return VersionRow(version=version, url=url, weight=weight)
    stats = table.of(version)
    return VersionRow(
        version=version,
        url=url,
        weight=weight,
        n_requests=stats.n_requests,
        n_errors=stats.n_errors,
        mean_latency_ms=stats.mean_latency_ms,
        high_latency_ms=stats.latency_quantile_ms(0.95),
        accuracy=stats.accuracy,
        n_labelled=stats.n_labelled,
    )


def _servers(visit: Visit, endpoint: Endpoint) -> tuple[ServerRow, ...]:
    here = (endpoint.project, endpoint.name)
    return tuple(
        ServerRow(
            name=clipped(server.server, 80),
            url=server.url or "",
            seen_at=server.seen_at,
            is_following=plan.revision >= endpoint.revision,
            failed=tuple((version, clipped(why, _SENTENCE)) for version, why in plan.failed.items()),
            n_dropped=server.n_dropped,
        )
        for server in visit.context.service(Endpoints).servers().items
        for plan in server.endpoints
        if (plan.project, plan.endpoint) == here
    )


def _alerts(visit: Visit, endpoint: Endpoint) -> tuple[Alert, ...] | None:
    project = endpoint.project
    if not visit.context.principal.may(READ_MONITORS, project):
        return None
    reads = visit.context.service(AlertReads)
    opened, _ = reads.page(project, is_open=True, endpoint=endpoint.name, limit=_ALERTS)
    closed, _ = reads.page(project, is_open=False, endpoint=endpoint.name, limit=_ALERTS)
    return (*opened, *closed)[:_ALERTS]


def _alert_row(visit: Visit, alert: Alert) -> AlertRow:
    return AlertRow(
        url=visit.urls.incident(alert.project, alert.id),
        kind=in_words(VALUE_WORDS, alert.kind.value),
        sentence=clipped(alert.sentence, _SENTENCE),
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
    )


def _monitor(visit: Visit, endpoint: Endpoint) -> Monitor | None:
    if not visit.context.principal.may(READ_MONITORS, endpoint.project):
        return None
    try:
        return visit.context.service(Monitors).get(endpoint.project, endpoint.name)
    except NotFound:
        return None


def _quality(report: QualityReport) -> Quality:
    scale = scale_over([report.low, report.high, report.reference])
    return Quality(
        mean=report.mean,
        low=report.low,
        high=report.high,
        n=len(report.recent),
        reference=report.reference,
        reference_n=report.reference_n,
        place=scale.interval(report.mean, report.low, report.high),
        reference_place=scale.place(report.reference),
    )


QUALITY_WORDS = mark("Quality over the newest labels")
RUNNING_WORDS = mark("mean of 40 labels")
REFERENCE_WORDS = mark("reference")
ONSET_WORDS = mark("onset")
ROW_WORDS = mark("captured row")
SCORE_WORDS = mark("score")
SHIFT_WORDS = mark("Largest shift of an input, by window")
PSI_WORDS = mark("PSI in nats")
DRIFTED_WORDS = mark("Inputs that drifted, by window")
INPUTS_WORDS = mark("inputs")
FAILED_WORDS = mark("Requests that failed, by window")
SHARE_WORDS = mark("share")
WINDOW_WORDS = mark("window")


def _charts(visit: Visit, monitor: Monitor, alerts: Sequence[Alert]) -> tuple[Chart, ...]:
    windows = visit.context.service(Monitors).windows(monitor.project, monitor.endpoint, limit=_WINDOWS)
    series = list(reversed(windows.items))
    charts = [_quality_chart(visit, monitor.quality, alerts)] if monitor.quality else []
    return (*charts, *_window_charts(visit, series))


def _quality_chart(visit: Visit, report: QualityReport, alerts: Sequence[Alert]) -> Chart:
    say = translations(visit.language).gettext
    places = [row.position for row in report.recent]
    scores = [row.score for row in report.recent]
    means = [_mean(scores[max(0, i + 1 - _RUNNING) : i + 1]) for i in range(len(scores))]
    ends = [float(place) for place in (places[:1] + places[-1:])]
    return Chart(
        title=say(QUALITY_WORDS),
        series=(
            Series(name=say(RUNNING_WORDS), x=[float(place) for place in places], y=means),
            Series(
                name=say(REFERENCE_WORDS), x=ends, y=[report.reference] * len(ends), n_points=0, is_faint=True
            ),
        ),
        x_name=say(ROW_WORDS),
        y_name=say(SCORE_WORDS),
        marks=tuple(
            (float(alert.onset_position), say(ONSET_WORDS))
            for alert in alerts
            if alert.closed_at is None and places and places[0] <= alert.onset_position <= places[-1]
        ),
    )


def _window_charts(visit: Visit, windows: Sequence[Window]) -> list[Chart]:
    tested = [(float(window.index), drift) for window in windows if (drift := window.drift) is not None]
    at = [index for index, _ in tested]
    charts = []
    if tested:
        shifts = [max((column.psi for column in drift.columns), default=0.0) for _, drift in tested]
        drifted = [float(drift.n_drifted) for _, drift in tested]
        charts.append(_window_chart(visit, SHIFT_WORDS, PSI_WORDS, at, shifts))
        charts.append(_window_chart(visit, DRIFTED_WORDS, INPUTS_WORDS, at, drifted, Shape.BARS))
    if any(window.n_errors for window in windows):
        shares = [window.n_errors / max(1, window.n_rows) for window in windows]
        at = [float(window.index) for window in windows]
        charts.append(_window_chart(visit, FAILED_WORDS, SHARE_WORDS, at, shares))
    return charts


def _window_chart(
    visit: Visit,
    title: str,
    of: str,
    at: Sequence[float],
    values: Sequence[float],
    shape: Shape = Shape.LINES,
) -> Chart:
    say = translations(visit.language).gettext
    return Chart(
        title=say(title),
        series=(Series(name=say(of), x=at, y=values),),
        x_name=say(WINDOW_WORDS),
        y_name=say(of),
        shape=shape,
        y_range=(0.0, 1.15 * max(values) or 1.0),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _decisions(visit: Visit, endpoint: Endpoint) -> tuple[DecisionRow, ...] | None:
    project = endpoint.project
    if not visit.context.principal.may(READ_RECORDS, project):
        return None
    subject = f"endpoint:{endpoint.name}"
    found = visit.context.service(Catalog).list(project, subject=subject, limit=_DECISIONS).items
    return tuple(
        DecisionRow(
            url=visit.urls.decision(project, record.id),
            problem=clipped(record.problem, _SENTENCE),
            cause=in_words(CAUSE_WORDS, record.cause) if record.cause else "",
            choice=in_words(REMEDY_WORDS, record.choice) if record.choice else "",
            created_at=record.created_at,
            is_closed=record.closed_at is not None,
        )
        for record in found
    )


def _rollouts(visit: Visit, endpoint: Endpoint) -> tuple[tuple[RolloutRow, ...], Pager]:
    project, name, before = endpoint.project, endpoint.name, visit.parameters.get("before")
    page = visit.context.service(Endpoints).history(project, name, limit=ROLLOUTS_PER_PAGE, before=before)
    pager = Pager(
        first=visit.urls.endpoint(project, name) if before else None,
        following=visit.urls.endpoint(project, name, before=page.next) if page.next else None,
        n_shown=len(page.items),
    )
    return tuple(_rollout_row(visit, each) for each in page.items), pager


def _rollout_row(visit: Visit, rollout: Rollout) -> RolloutRow:
    urls, ended_at = visit.urls, rollout.ended_at
    return RolloutRow(
        url=urls.rollout(rollout.project, rollout.id),
        from_version=rollout.from_version,
        to_version=rollout.to_version,
        badge=rollout_badge(rollout.status),
        strategy=STRATEGY_WORDS[rollout.strategy],
        started_by=rollout.started_by,
        created_at=rollout.created_at,
        duration_s=None if ended_at is None else (ended_at - rollout.created_at).total_seconds(),
        reason=clipped(rollout.reason or "", _SENTENCE),
        decision_url=urls.decision(rollout.project, rollout.decision_id) if rollout.decision_id else "",
    )


_ENDPOINT_COLUMNS = (
    Column(key="name", words=mark("Endpoint")),
    Column(key="state", words=mark("State")),
    Column(key="model", words=mark("Model")),
    Column(key="shares", words=mark("Versions and shares")),
    Column(key="rollout", words=mark("Rollout")),
    Column(key="servers", words=mark("Model servers"), is_number=True),
    Column(key="alerts", words=mark("Open alerts"), is_number=True),
)

_ROLLOUT_COLUMNS = (
    Column(key="versions", words=mark("Rollout")),
    Column(key="state", words=mark("State")),
    Column(key="strategy", words=mark("How")),
    Column(key="by", words=mark("By")),
    Column(key="at", words=mark("When")),
    Column(key="duration", words=mark("Took"), is_number=True),
    Column(key="reason", words=mark("Reason")),
)

PAGES = (
    Page(
        path=ENDPOINTS_PATH,
        needs=READ_ENDPOINTS,
        template="noria.server/endpoints.html",
        build=endpoints_page,
        query=("after",),
    ),
    Page(
        path=ENDPOINT_PATH,
        needs=READ_ENDPOINTS,
        template="noria.server/endpoint.html",
        build=endpoint_page,
        query=("before",),
    ),
)
