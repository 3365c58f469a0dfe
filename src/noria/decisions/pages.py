"""The page of a decision: its story, which a person reads in a minute."""

from __future__ import annotations

import dataclasses

from noria.catalog.entities import DecisionRecord
from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.urls import DECISION_PATH
from noria.decisions.entities import Decision
from noria.decisions.permissions import READ_DECISIONS
from noria.decisions.service import Decisions
from noria.decisions.story import StoryContext, tell
from noria.serving.entities import Rollout
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.service import Rollouts

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
    may_see_rollouts = context.principal.may(READ_ENDPOINTS, project)
    rollouts = _rollouts(context, record, decision) if may_see_rollouts else []
    told = tell(record, decision, rollouts, context.clock.now())
    trail = (
        Crumb(text=mark("Incidents"), url=visit.urls.incidents(project), is_ours=True),
        Crumb(text=mark("decision"), is_ours=True),
    )
    return dataclasses.replace(told, trail=trail)


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


PAGES = (Page(path=DECISION_PATH, needs=READ_RECORDS, template="noria.decisions/decision.html", build=story),)
