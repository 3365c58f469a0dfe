"""The pages of incidents: an alert of an endpoint, and the decision that answered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from noria.access.page_comments import discussion
from noria.catalog.entities import DecisionRecord
from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.errors import Invalid, NotFound
from noria.core.web.discussions import EARLIER
from noria.core.web.drawings import scale_over
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.lists import keyset_pager
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.parts import Column, Tab
from noria.core.web.references import reference_url
from noria.core.web.urls import INCIDENT_PATH, INCIDENTS_PATH
from noria.decisions import course_words
from noria.decisions.entities import Decision, DecisionStatus, Trigger
from noria.decisions.incident_views import (
    AskingRow,
    Extent,
    IncidentContext,
    IncidentRow,
    IncidentsContext,
    RecordRow,
)
from noria.decisions.page_reads import DecisionReads
from noria.decisions.pages import INCIDENTS_WORDS, tell_story
from noria.decisions.permissions import READ_DECISIONS
from noria.decisions.service import Decisions
from noria.decisions.story import facts_of
from noria.decisions.story_views import StoryContext
from noria.decisions.words import CAUSE_WORDS, REMEDY_WORDS, STATUS_WORDS, in_words
from noria.monitoring.alerts.wording import next_command
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.page_reads import AlertReads
from noria.monitoring.permissions import READ_MONITORS, WRITE_MONITORS
from noria.monitoring.service import Monitors
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.service import Endpoints

INCIDENTS_PER_PAGE: Final = 30

_ASKING: Final = 20
_SEARCHED: Final = 50
_SENTENCE: Final = 400
_TEXT: Final = 2000

KIND_WORDS: Mapping[AlertKind, str] = {
    AlertKind.QUALITY: mark("Quality fell"),
    AlertKind.DRIFT: mark("Inputs drifted"),
    AlertKind.ERRORS: mark("Requests fail"),
    AlertKind.RULES: mark("Rows break rules of the data"),
    AlertKind.SERVER: mark("No model server answers"),
    AlertKind.DISK: mark("A disk is full"),
    AlertKind.LOGS: mark("Model servers log errors"),
    AlertKind.MONITOR: mark("Nobody watches the endpoint"),
}


def incidents_page(visit: Visit) -> IncidentsContext:
    """List incidents, or all decisions."""
    project, principal = visit.parameters["project"], visit.context.principal
    endpoint = visit.parameters.get("endpoint", "")
    is_decisions = visit.parameters.get("view") == "decisions"
    may_see_alerts = principal.may(READ_MONITORS, project)
    incidents, records, following = None, None, None
    if is_decisions or not may_see_alerts:
        records, following = _records(visit, endpoint)
    else:
        incidents, following = _incidents(visit, endpoint)
    here = {"endpoint": endpoint or None, "view": "decisions" if is_decisions else None}
    urls, before = visit.urls, visit.parameters.get("before", "")
    return IncidentsContext(
        live=True,
        trail=(Crumb(text=INCIDENTS_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        tabs=_tabs(visit, endpoint, is_decisions=records is not None) if may_see_alerts else (),
        endpoint=endpoint,
        all_url=urls.incidents(project, view=here["view"]),
        asking=_asking(visit, endpoint) if not before else (),
        columns=_INCIDENT_COLUMNS if records is None else _RECORD_COLUMNS,
        incidents=incidents,
        records=records,
        pager=keyset_pager(
            lambda key: urls.incidents(project, **here, before=key),
            here=before,
            following=following,
            n_shown=len(incidents or records or ()),
        ),
    )


def incident_page(visit: Visit) -> IncidentContext:
    """Show an incident: what happened, how much, how sure, and what was decided about it."""
    project, context, urls = visit.parameters["project"], visit.context, visit.urls
    alert = context.service(Monitors).alert(project, visit.parameters["incident"])
    decision = _decisions_of(visit, [alert.id]).get(alert.id)
    story = _story(visit, alert, decision)
    model = decision.model if decision else _model(visit, alert)
    figures = alert.figures
    return IncidentContext(
        live=alert.closed_at is None or (story is not None and story.closed_at is None),
        beat_s=5,
        trail=(
            Crumb(text=INCIDENTS_WORDS, url=urls.incidents(project), is_ours=True),
            Crumb(text=alert.endpoint, url=urls.incidents(project, endpoint=alert.endpoint)),
            Crumb(text=mark("incident"), is_ours=True),
        ),
        comments=discussion(visit, project, f"incident:{alert.id}", alert.id),
        now=context.clock.now(),
        incident=alert.id,
        kind=KIND_WORDS[alert.kind],
        sentence=course_words.found(alert.sentence),
        endpoint=alert.endpoint,
        endpoint_url=urls.endpoint(project, alert.endpoint),
        version=alert.version,
        version_url=urls.version(project, model, alert.version) if model else "",
        since=alert.since or alert.opened_at,
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
        closed_why=course_words.found(alert.closed_why) if alert.closed_why else None,
        next_command=next_command(alert),
        is_decided=is_decided(alert.kind),
        onset_position=alert.onset_position,
        last_position=alert.last_position,
        extent=extent_of(alert),
        drifted=figures.get("n_drifted"),
        n_inputs=figures.get("n_columns"),
        psi=figures.get("psi"),
        p_value=figures.get("adjusted_p_value"),
        figures=facts_of(figures),
        story=story,
        may_close=alert.closed_at is None and context.principal.may(WRITE_MONITORS, project),
    )


def is_decided(kind: AlertKind) -> bool:
    """Tell whether a decision answers alerts of a kind: no remedy of ours mends a machine, or what sends the rows."""
    return kind.value in list(Trigger)


def extent_of(alert: Alert) -> Extent | None:
    """Give how much it is, beside what was expected; None where the figures do not say."""
    value_name, expected_name = {
        AlertKind.QUALITY: ("mean", "reference"),
        AlertKind.ERRORS: ("share", "tolerated"),
        AlertKind.RULES: ("share", "tolerated"),
    }.get(alert.kind, ("", ""))
    value, expected = alert.figures.get(value_name), alert.figures.get(expected_name)
    if value is None or expected is None:
        return None
    low, high = alert.figures.get("low"), alert.figures.get("high")
    scale = scale_over([each for each in (value, expected, low, high) if each is not None])
    return Extent(
        value=value,
        low=low,
        high=high,
        n=alert.figures.get("n"),
        expected=expected,
        place=scale.interval(value, low, high),
        expected_place=scale.place(expected),
    )


def _incidents(visit: Visit, endpoint: str) -> tuple[tuple[IncidentRow, ...], str | None]:
    """List the open ones, then the others; the place says which of the two it is in: `open-ID`, `closed-ID`."""
    project, reads = visit.parameters["project"], visit.context.service(AlertReads)
    kind, key = _place(visit.parameters.get("before", "open-"))
    found: tuple[Alert, ...] = ()
    if kind == "open":
        found, following = reads.page(
            project, is_open=True, endpoint=endpoint, limit=INCIDENTS_PER_PAGE, before=key or None
        )
        if following is not None:
            return _incident_rows(visit, found), f"open-{following}"
        key = ""
    room = INCIDENTS_PER_PAGE - len(found)
    if not room:
        return _incident_rows(visit, found), "closed-"
    closed, following = reads.page(project, is_open=False, endpoint=endpoint, limit=room, before=key or None)
    return _incident_rows(visit, (*found, *closed)), f"closed-{following}" if following else None


def _place(before: str) -> tuple[str, str]:
    kind, dash, key = before.partition("-")
    if kind not in ("open", "closed") or not dash:
        raise Invalid(f"`before` has no place in the list: `{before[:100]}`", hint="Leave it out")
    return kind, key


def _incident_rows(visit: Visit, alerts: tuple[Alert, ...]) -> tuple[IncidentRow, ...]:
    decisions = _decisions_of(visit, [alert.id for alert in alerts])
    return tuple(_incident_row(visit, alert, decisions.get(alert.id)) for alert in alerts)


def _incident_row(visit: Visit, alert: Alert, decision: Decision | None) -> IncidentRow:
    project, urls = alert.project, visit.urls
    return IncidentRow(
        url=urls.incident(project, alert.id),
        kind=KIND_WORDS[alert.kind],
        sentence=course_words.found(alert.sentence),
        endpoint=alert.endpoint,
        endpoint_url=urls.endpoint(project, alert.endpoint),
        version=alert.version,
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
        status=in_words(STATUS_WORDS, decision.status.value) if decision else "",
        asks=decision is not None and decision.status is DecisionStatus.ASKING,
        cause=in_words(CAUSE_WORDS, decision.cause.value) if decision and decision.cause else "",
        choice=in_words(REMEDY_WORDS, decision.remedy.value) if decision and decision.remedy else "",
    )


def _decisions_of(visit: Visit, alert_ids: list[str]) -> dict[str, Decision]:
    project = visit.parameters["project"]
    if not alert_ids or not visit.context.principal.may(READ_DECISIONS, project):
        return {}
    return visit.context.service(DecisionReads).of_alerts(project, alert_ids)


def _asking(visit: Visit, endpoint: str) -> tuple[AskingRow, ...]:
    project = visit.parameters["project"]
    if not visit.context.principal.may(READ_DECISIONS, project):
        return ()
    status = DecisionStatus.ASKING.value
    found = visit.context.service(Decisions).list(project, endpoint=endpoint, status=status, limit=_ASKING)
    return tuple(
        AskingRow(
            url=visit.urls.decision(project, decision.record_id),
            endpoint=decision.endpoint,
            remedy=in_words(REMEDY_WORDS, decision.remedy.value) if decision.remedy else REMEDY_WORDS["ask"],
            reason=course_words.found(decision.reason) if decision.reason else None,
            since=decision.updated_at,
        )
        for decision in found.items
    )


def _records(visit: Visit, endpoint: str) -> tuple[tuple[RecordRow, ...], str | None]:
    page = visit.context.service(Catalog).list(
        visit.parameters["project"],
        subject=f"endpoint:{endpoint}" if endpoint else "",
        limit=INCIDENTS_PER_PAGE,
        before=visit.parameters.get("before"),
    )
    return tuple(_record_row(visit, record) for record in page.items), page.next


def _record_row(visit: Visit, record: DecisionRecord) -> RecordRow:
    return RecordRow(
        url=visit.urls.decision(record.project, record.id),
        kind=record.kind,
        problem=course_words.found(record.problem),
        subject=clipped(record.subject, _SENTENCE),
        subject_url=reference_url(visit.urls, record.project, record.subject) or "",
        cause=in_words(CAUSE_WORDS, record.cause) if record.cause else "",
        choice=in_words(REMEDY_WORDS, record.choice) if record.choice else "",
        author=record.author,
        created_at=record.created_at,
        is_closed=record.closed_at is not None,
    )


def _tabs(visit: Visit, endpoint: str, *, is_decisions: bool) -> tuple[Tab, ...]:
    project, urls = visit.parameters["project"], visit.urls
    given = {"endpoint": endpoint or None}
    return (
        Tab(words=INCIDENTS_WORDS, url=urls.incidents(project, **given), is_current=not is_decisions),
        Tab(
            words=mark("All decisions"),
            url=urls.incidents(project, view="decisions", **given),
            is_current=is_decisions,
        ),
    )


def _model(visit: Visit, alert: Alert) -> str:
    """Name the model of an endpoint; empty where that is gone or not to be seen."""
    if not visit.context.principal.may(READ_ENDPOINTS, alert.project):
        return ""
    try:
        return visit.context.service(Endpoints).get(alert.project, alert.endpoint).model
    except NotFound:
        return ""


def _story(visit: Visit, alert: Alert, decision: Decision | None) -> StoryContext | None:
    """Tell the decision that answered an alert; without one, what was recorded about the endpoint meanwhile."""
    if not visit.context.principal.may(READ_RECORDS, alert.project):
        return None
    if decision is not None:
        record = visit.context.service(Catalog).get(alert.project, decision.record_id)
        return tell_story(visit, record, decision)
    found = visit.context.service(Catalog).list(
        alert.project, subject=f"endpoint:{alert.endpoint}", limit=_SEARCHED
    )
    until = alert.closed_at or visit.context.clock.now()
    meanwhile = [record for record in found.items if alert.opened_at <= record.created_at <= until]
    return tell_story(visit, meanwhile[-1], None) if meanwhile else None


_INCIDENT_COLUMNS = (
    Column(key="what", words=mark("Incident")),
    Column(key="state", words=mark("State")),
    Column(key="endpoint", words=mark("Endpoint")),
    Column(key="since", words=mark("Since")),
    Column(key="lasted", words=mark("Lasted"), is_number=True),
    Column(key="cause", words=mark("Cause")),
    Column(key="choice", words=mark("Choice")),
)

_RECORD_COLUMNS = (
    Column(key="what", words=mark("Decision")),
    Column(key="state", words=mark("State")),
    Column(key="about", words=mark("About")),
    Column(key="cause", words=mark("Cause")),
    Column(key="choice", words=mark("Choice")),
    Column(key="author", words=mark("By")),
    Column(key="at", words=mark("When")),
)

PAGES = (
    Page(
        path=INCIDENTS_PATH,
        needs=READ_RECORDS,
        template="noria.decisions/incidents.html",
        build=incidents_page,
        query=("before", "endpoint", "view"),
    ),
    Page(
        path=INCIDENT_PATH,
        needs=READ_MONITORS,
        template="noria.decisions/incident.html",
        build=incident_page,
        query=(EARLIER,),
    ),
)
