"""The pages of endpoints: the list, and one endpoint with what answers, what watches it and what was decided.

They stand here because they gather from rooms that do not know each other: serving, monitoring, decisions.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from noria.access.page_comments import discussion
from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.errors import NotFound
from noria.core.web.discussions import EARLIER
from noria.core.web.drawings import scale_over
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.lists import keyset_pager
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.parts import Column, Pager
from noria.core.web.urls import ENDPOINT_PATH, ENDPOINTS_PATH
from noria.decisions import course_words
from noria.decisions.announcements import Announcements
from noria.decisions.permissions import READ_DECISIONS
from noria.decisions.words import CAUSE_WORDS, REMEDY_WORDS, VALUE_WORDS, in_words
from noria.monitoring.alerts.service import Alerts
from noria.monitoring.delays.entities import DelayReport
from noria.monitoring.delays.reporting import delay_report
from noria.monitoring.entities import Alert, Monitor, QualityReport
from noria.monitoring.estimated.entities import StandingEstimate
from noria.monitoring.estimated.page_words import ASSUMPTION_WORDS, METRIC_WORDS
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.lack_sentences import retelling as lacking
from noria.monitoring.page_actions import SILENCE_OPTIONS
from noria.monitoring.page_reads import AlertReads
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.service import Monitors
from noria.server.endpoint_charts import label_charts, log_charts, monitor_charts, newest_lacks, rules_part
from noria.server.endpoint_views import (
    AlertRow,
    AnnouncedRow,
    DecisionRow,
    EndpointContext,
    EndpointRow,
    EndpointsContext,
    Quality,
    RepairRow,
    RolloutLink,
    RolloutRow,
    ServerRow,
    SilenceRow,
    VersionRow,
)
from noria.serving.entities import Endpoint, Rollout, RolloutStatus, Share
from noria.serving.keys import EndpointKeys
from noria.serving.page_reads import EndpointReads
from noria.serving.page_turns import turns_at
from noria.serving.page_views import Badge, ShareBar
from noria.serving.pages import ENDPOINTS_WORDS, rollout_badge
from noria.serving.permissions import DEPLOY, END_REPAIRS, READ_CAPTURES, READ_ENDPOINTS
from noria.serving.predictions import StatsTable
from noria.serving.service import Captures, Endpoints, InputRepairs, Rollouts
from noria.serving.words import STRATEGY_WORDS

ENDPOINTS_PER_PAGE: Final = 50
ROLLOUTS_PER_PAGE: Final = 10

_ALERTS: Final = 5
_DECISIONS: Final = 5
_REPAIRS: Final = 3
_ANNOUNCED: Final = 3
_COLUMNS: Final = 8
_VERSIONS: Final = 12
_SENTENCE: Final = 400

IDLE = Badge(state="look", words=mark("nothing answers"), sign="!")
GOOD = Badge(state="good", words=mark("answers"), sign="✓")
TROUBLE = Badge(state="bad", words=mark("open alert"), sign="✕")


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
        pager=keyset_pager(
            lambda key: urls.endpoints(project, after=key),
            here=after,
            following=page.next,
            n_shown=len(page.items),
        ),
    )


def endpoint_page(visit: Visit) -> EndpointContext:
    """Show an endpoint: what answers, who watches it, and how it came to this."""
    project, context, urls = visit.parameters["project"], visit.context, visit.urls
    endpoint = context.service(Endpoints).get(project, visit.parameters["endpoint"])
    rollout = _rollout_link(visit, endpoint)
    alerts = _alerts(visit, endpoint)
    n_open = sum(alert.closed_at is None for alert in alerts or ())
    monitor = _monitor(visit, endpoint)
    labels = _labels(visit, monitor) if monitor else None
    estimate = _estimate(visit, endpoint) if monitor else None
    rollouts, pager = _rollouts(visit, endpoint)
    may_deploy = context.principal.may(DEPLOY, project)
    keys = context.service(EndpointKeys)
    back = context.service(EndpointReads).going_back(project, endpoint.name) if may_deploy else None
    return EndpointContext(
        live=True,
        beat_s=5,
        trail=(
            Crumb(text=ENDPOINTS_WORDS, url=urls.endpoints(project), is_ours=True),
            Crumb(text=endpoint.name),
        ),
        comments=discussion(visit, project, f"endpoint:{endpoint.name}", endpoint.id),
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
        turns=turns_at(visit, endpoint),
        rollout=rollout,
        servers=_servers(visit, endpoint),
        keys=tuple(keys.list(project, endpoint.name).items) if may_deploy else None,
        capture_share=keys.capture_share(project, endpoint.name).share,
        back=back,
        alerts=None if alerts is None else tuple(_alert_row(visit, alert) for alert in alerts),
        n_open=n_open,
        silences=() if alerts is None else _silences(visit, endpoint),
        silence_options=SILENCE_OPTIONS if context.principal.may(WRITE_MONITORS, project) else (),
        incidents_url=urls.incidents(project, endpoint=endpoint.name),
        labels=labels,
        quality=_quality(monitor.quality) if monitor and monitor.quality else None,
        estimate=estimate,
        estimate_lacks=lacking.find(estimate.why) if estimate and estimate.why else None,
        metric_words=METRIC_WORDS,
        assumption=ASSUMPTION_WORDS,
        charts=(
            *(monitor_charts(visit, monitor, alerts or (), since=endpoint.created_at) if monitor else ()),
            *label_charts(visit, labels),
            *log_charts(visit, endpoint),
        ),
        rules=rules_part(visit, monitor) if monitor else None,
        lacks=newest_lacks(visit, monitor) if monitor else (),
        is_watched=monitor is not None,
        decisions=_decisions(visit, endpoint),
        repairs=_repairs(visit, endpoint),
        may_end_repairs=context.principal.may(END_REPAIRS, project),
        announced=_announced(visit, endpoint),
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
    loaded = {each.version for each in endpoint.warm}
    if endpoint.cascade is not None:
        loaded.add(endpoint.cascade.first)
    counted = {stats.version for stats in table.items} if table else set()
    before = sorted((counted | loaded) - now, reverse=True)
    shares: list[Share | int] = [*endpoint.shares, *before]
    return tuple(_version_row(visit, endpoint, each, table) for each in shares[:_VERSIONS])


def _version_row(
    visit: Visit, endpoint: Endpoint, share: Share | int, table: StatsTable | None
) -> VersionRow:
    version = share if isinstance(share, int) else share.version
    url = visit.urls.version(endpoint.project, endpoint.model, version)
    weight = None if isinstance(share, int) else share.weight
    row = VersionRow(
        version=version,
        url=url,
        weight=weight,
        mirrored=sum(each.weight for each in endpoint.shadows if each.version == version),
        warm_until=next((each.until for each in endpoint.warm if each.version == version), None),
        is_first=endpoint.cascade is not None and endpoint.cascade.first == version,
    )
    if table is None:
        return row
    stats = table.of(version)
    return dataclasses.replace(
        row,
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
            standing=server.standing,
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


def _silences(visit: Visit, endpoint: Endpoint) -> tuple[SilenceRow, ...]:
    found = visit.context.service(Alerts).silences(endpoint.project).items
    return tuple(
        SilenceRow(
            silence_id=each.id,
            kind=in_words(VALUE_WORDS, each.kind.value) if each.kind else "",
            is_everywhere=each.endpoint is None,
            by=each.created_by,
            ends_at=each.ends_at,
            why=clipped(each.why, _SENTENCE),
        )
        for each in found
        if each.endpoint in (None, endpoint.name)
    )[:_ALERTS]


def _alert_row(visit: Visit, alert: Alert) -> AlertRow:
    return AlertRow(
        url=visit.urls.incident(alert.project, alert.id),
        kind=in_words(VALUE_WORDS, alert.kind.value),
        sentence=course_words.found(alert.sentence),
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


def _labels(visit: Visit, monitor: Monitor) -> DelayReport | None:
    """Give how complete labels are; None before the first."""
    found = visit.context.service(Monitors).label_delays(monitor.project, monitor.endpoint)
    report = delay_report(found, visit.context.clock.now())
    return report if report.n_labels else None


def _estimate(visit: Visit, endpoint: Endpoint) -> StandingEstimate | None:
    found = visit.context.service(Estimates).get(endpoint.project, endpoint.name).standing
    # A deleted endpoint gives its name free; what its namesake answers has nothing to do with it.
    return found if found is not None and found.made_at >= endpoint.created_at else None


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


def _decisions(visit: Visit, endpoint: Endpoint) -> tuple[DecisionRow, ...] | None:
    project = endpoint.project
    if not visit.context.principal.may(READ_RECORDS, project):
        return None
    subject = f"endpoint:{endpoint.name}"
    found = visit.context.service(Catalog).list(project, subject=subject, limit=_DECISIONS).items
    return tuple(
        DecisionRow(
            url=visit.urls.decision(project, record.id),
            problem=course_words.found(record.problem),
            cause=in_words(CAUSE_WORDS, record.cause) if record.cause else "",
            choice=in_words(REMEDY_WORDS, record.choice) if record.choice else "",
            created_at=record.created_at,
            is_closed=record.closed_at is not None,
        )
        for record in found
    )


def _repairs(visit: Visit, endpoint: Endpoint) -> tuple[RepairRow, ...]:
    project = endpoint.project
    found = visit.context.service(InputRepairs).list(project, endpoint.name, limit=_REPAIRS).items
    return tuple(
        RepairRow(
            repair_id=each.id,
            number=each.number,
            words=tuple(
                course_words.found(column.words or column.column) for column in each.columns[:_COLUMNS]
            ),
            started_by=each.started_by,
            created_at=each.created_at,
            ended_at=each.ended_at,
            ended_why=course_words.found(each.ended_why) if each.ended_why else None,
            decision_url=visit.urls.decision(project, each.decision_id) if each.decision_id else "",
        )
        for each in found
    )


def _announced(visit: Visit, endpoint: Endpoint) -> tuple[AnnouncedRow, ...]:
    if not visit.context.principal.may(READ_DECISIONS, endpoint.project):
        return ()
    found = visit.context.service(Announcements).list(endpoint.project, endpoint.name).items[:_ANNOUNCED]
    return tuple(
        AnnouncedRow(
            text=clipped(each.text, _SENTENCE), columns=tuple(each.columns[:_COLUMNS]), at=each.at, by=each.by
        )
        for each in found
    )


def _rollouts(visit: Visit, endpoint: Endpoint) -> tuple[tuple[RolloutRow, ...], Pager]:
    project, name, before = endpoint.project, endpoint.name, visit.parameters.get("before")
    page = visit.context.service(Endpoints).history(project, name, limit=ROLLOUTS_PER_PAGE, before=before)
    pager = keyset_pager(
        lambda key: visit.urls.endpoint(project, name, before=key),
        here=before,
        following=page.next,
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
        reason=course_words.found(rollout.reason) if rollout.reason else None,
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
        query=("before", EARLIER),
    ),
)
