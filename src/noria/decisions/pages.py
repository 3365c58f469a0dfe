"""The page of a decision: its story, which a person reads in a minute."""

from __future__ import annotations

from noria.catalog.entities import DecisionRecord
from noria.catalog.permissions import READ_RECORDS
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.web.pages import Page, Visit
from noria.core.web.urls import DECISION_PATH
from noria.decisions.story import StoryContext, tell
from noria.serving.entities import Rollout
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.service import Rollouts

_ROLLOUTS_SEARCHED = 50


def story(visit: Visit) -> StoryContext:
    """Gather the story of a decision record."""
    project = visit.parameters["project"]
    record = visit.context.service(Catalog).get(project, visit.parameters["record_id"])
    may_see_rollouts = visit.context.principal.may(READ_ENDPOINTS, project)
    rollouts = _rollouts(visit.context, record) if may_see_rollouts else []
    return tell(record, rollouts, visit.context.clock.now())


def _rollouts(context: Context, record: DecisionRecord) -> list[Rollout]:
    """Find the rollouts that the decision began, oldest first."""
    kind, _, endpoint = record.subject.partition(":")
    if kind != "endpoint":
        return []
    action = record.action or {}
    try:
        page = context.service(Rollouts).list(record.project, endpoint=endpoint, limit=_ROLLOUTS_SEARCHED)
    except NotFound:
        return []
    ours = {record.id, action.get("decision_id")} - {None}
    found = [r for r in page.items if r.decision_id in ours or r.id == action.get("rollout_id")]
    return found[::-1]


PAGES = (Page(path=DECISION_PATH, needs=READ_RECORDS, template="noria.decisions/decision.html", build=story),)
