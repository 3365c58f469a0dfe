"""The page of a decision: its story, which a person reads in a minute."""

from __future__ import annotations

import dataclasses

from noria.access.page_comments import discussion
from noria.catalog.entities import DecisionRecord
from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.web.discussions import EARLIER
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.references import reference_url
from noria.core.web.urls import DECISION_PATH
from noria.decisions import course_words
from noria.decisions.entities import Decision, DecisionStatus, Remedy
from noria.decisions.evidence_words import retelling
from noria.decisions.permissions import DECIDE, READ_DECISIONS
from noria.decisions.service import Decisions
from noria.decisions.story import tell
from noria.decisions.story_views import Question, StoryContext
from noria.decisions.words import REMEDY_WORDS, in_words
from noria.serving.entities import Rollout
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.service import Rollouts

INCIDENTS_WORDS = mark("Incidents")

_SEARCHED = 50
"""Newest decisions and rollouts of an endpoint among which those of a record are looked for."""


def story(visit: Visit) -> StoryContext:
    """Gather the story that an id means: a decision's, or a record's that may have no decision."""
    context, project, wanted = visit.context, visit.parameters["project"], visit.parameters["record_id"]
    sees_decisions = context.principal.may(READ_DECISIONS, project)
    decision = _decision(context, project, wanted) if sees_decisions else None
    record = context.service(Catalog).get(project, decision.record_id if decision else wanted)
    if decision is None and sees_decisions:
        decision = _decision_of(context, record)
    trail = (
        Crumb(text=INCIDENTS_WORDS, url=visit.urls.incidents(project), is_ours=True),
        Crumb(text=mark("decision"), is_ours=True),
    )
    said = discussion(visit, project, f"record:{record.id}", record.id)
    return dataclasses.replace(tell_story(visit, record, decision), trail=trail, comments=said)


def tell_story(visit: Visit, record: DecisionRecord, decision: Decision | None) -> StoryContext:
    """Tell a record with the rollouts that it led to, and with what it asks a person."""
    context, project, urls = visit.context, record.project, visit.urls
    may_see_rollouts = context.principal.may(READ_ENDPOINTS, project)
    rollouts = _rollouts(context, record, decision) if may_see_rollouts else []
    told = tell(record, decision, rollouts, context.clock.now())
    alert_id = decision.alert_id if decision else None
    return dataclasses.replace(
        told,
        question=_question(visit, decision) if decision else None,
        subject_url=reference_url(urls, project, record.subject) or "",
        incident_url=urls.incident(project, alert_id) if alert_id else "",
    )


def _question(visit: Visit, decision: Decision) -> Question | None:
    if decision.status is not DecisionStatus.ASKING:
        return None
    urls, remedy = visit.urls, decision.remedy or Remedy.ASK
    return Question(
        decision_id=decision.id,
        endpoint=decision.endpoint,
        remedy=in_words(REMEDY_WORDS, remedy.value),
        from_version=decision.version,
        to_version=decision.target_version,
        repair=tuple(retelling.find(column.words or column.column) for column in decision.repair),
        pin=decision.pin,
        reason=course_words.found(decision.reason) if decision.reason else None,
        approve_url=urls.decision(decision.project, decision.id, "approve"),
        reject_url=urls.decision(decision.project, decision.id, "reject"),
        may_answer=visit.context.principal.may(DECIDE, decision.project),
    )


def _decision(context: Context, project: str, wanted: str) -> Decision | None:
    try:
        return context.service(Decisions).get(project, wanted)
    except NotFound:
        return None


def _decision_of(context: Context, record: DecisionRecord) -> Decision | None:
    endpoint = _endpoint(record)
    if endpoint is None:
        return None
    page = context.service(Decisions).list(record.project, endpoint=endpoint, limit=_SEARCHED)
    return next((decision for decision in page.items if decision.record_id == record.id), None)


def _rollouts(context: Context, record: DecisionRecord, decision: Decision | None) -> list[Rollout]:
    """Find the rollouts that the decision began, oldest first."""
    endpoint = _endpoint(record)
    if endpoint is None:
        return []
    ours = {record.id, decision.id if decision else record.id}
    named = (record.action or {}).get("rollout")
    page = context.service(Rollouts).list(record.project, endpoint=endpoint, limit=_SEARCHED)
    return [r for r in reversed(page.items) if r.decision_id in ours or r.id == named]


def _endpoint(record: DecisionRecord) -> str | None:
    kind, _, name = record.subject.partition(":")
    return name if kind == "endpoint" else None


PAGES = (
    Page(
        path=DECISION_PATH,
        needs=READ_RECORDS,
        template="noria.decisions/decision.html",
        build=story,
        query=(EARLIER,),
    ),
)
