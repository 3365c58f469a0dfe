"""The page of a rollout: its steps, what the gates say, and what became of it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from noria.core.events.log import Event, EventLog
from noria.core.web.drawings import Interval, scale_over
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.retelling import Sentence
from noria.core.web.urls import ROLLOUT_PATH
from noria.serving.entities import (
    Approval,
    ApprovalPoint,
    Rollout,
    RolloutCheck,
    RolloutStatus,
    Share,
    StepResult,
)
from noria.serving.events import ROLLOUT_PAUSED, ROLLOUT_RESUMED
from noria.serving.gate_rules import GateResult, Verdict
from noria.serving.page_views import (
    ApprovalsView,
    Badge,
    GateRow,
    RolloutContext,
    ShareBar,
    StepRow,
    TimelineRow,
)
from noria.serving.permissions import APPROVE, DEPLOY, READ_ENDPOINTS
from noria.serving.rollouts.progress import baked_s
from noria.serving.rollouts.steps import LOADING, answered, mirrored, shares_at
from noria.serving.sentences import retelling
from noria.serving.service import Rollouts
from noria.serving.words import FIGURE_WORDS, GATE_WORDS, ROLLOUT_STATES, ROLLOUT_WORDS, STRATEGY_WORDS

ENDPOINTS_WORDS = mark("Endpoints")

_PAUSES: Final = 40

VERDICT_WORDS = {
    Verdict.PASS: mark("passed"),
    Verdict.FAIL: mark("failed"),
    Verdict.WAIT: mark("undecided"),
}
VERDICT_STATES = {Verdict.PASS: ("good", "✓"), Verdict.FAIL: ("bad", "✕"), Verdict.WAIT: ("busy", "…")}


def rollout_page(visit: Visit) -> RolloutContext:
    """Show a rollout: how far it is, what its gates say, and how it came there."""
    project, rollouts = visit.parameters["project"], visit.context.service(Rollouts)
    rollout = rollouts.get(project, visit.parameters["rollout_id"])
    is_finished = rollout.status.is_finished()
    check = None if is_finished else rollouts.check(project, rollout.id)
    now, urls = visit.context.clock.now(), visit.urls
    step = rollout.steps[rollout.step] if rollout.step > LOADING else None
    return RolloutContext(
        live=not is_finished,
        beat_s=3,
        trail=(
            Crumb(text=ENDPOINTS_WORDS, url=urls.endpoints(project), is_ours=True),
            Crumb(text=rollout.endpoint, url=urls.endpoint(project, rollout.endpoint)),
            Crumb(text=mark("rollout"), is_ours=True),
        ),
        now=now,
        rollout_id=rollout.id,
        endpoint=rollout.endpoint,
        endpoint_url=urls.endpoint(project, rollout.endpoint),
        model=rollout.model,
        from_version=rollout.from_version,
        from_url="" if rollout.from_version is None else _version(visit, rollout, rollout.from_version),
        to_version=rollout.to_version,
        to_url=_version(visit, rollout, rollout.to_version),
        badge=rollout_badge(rollout.status),
        is_finished=is_finished,
        is_paused=rollout.status is RolloutStatus.PAUSED,
        strategy=STRATEGY_WORDS[rollout.strategy],
        reason=retelling.find(rollout.reason) if rollout.reason else None,
        started_by=rollout.started_by,
        created_at=rollout.created_at,
        ended_at=rollout.ended_at,
        alias=rollout.alias or "",
        decision_url=urls.decision(project, rollout.decision_id) if rollout.decision_id else "",
        patience_s=rollout.patience_s,
        confidence=rollout.gates.confidence,
        abort_confidence=rollout.gates.abort_confidence,
        shares=() if is_finished else share_bars(visit, rollout, shares_at(rollout, rollout.step)),
        mirrored=check.mirrored if check else 0.0,
        approvals=_approvals(visit, rollout),
        waits_for=tuple(retelling.find(each) for each in check.waits_for) if check else (),
        progress=check.n_requests if check else 0,
        needed=step.min_requests if step and step.min_requests else None,
        bake_left_s=_bake_left_s(rollout, check, now),
        steps=_steps(rollout, check),
        timeline=_timeline(rollout, _pauses(visit, rollout)),
        may_deploy=visit.context.principal.may(DEPLOY, project),
    )


def rollout_badge(status: RolloutStatus) -> Badge:
    """Give how a rollout stands."""
    state, sign = ROLLOUT_STATES[status]
    return Badge(state=state, words=ROLLOUT_WORDS[status], sign=sign)


def share_bars(visit: Visit, rollout: Rollout, shares: list[Share]) -> tuple[ShareBar, ...]:
    """Lay the shares of a rollout side by side."""
    made, start = [], 0.0
    for share in shares:
        url = _version(visit, rollout, share.version)
        made.append(ShareBar(version=share.version, url=url, weight=share.weight, start=start))
        start += share.weight
    return tuple(made)


def _version(visit: Visit, rollout: Rollout, version: int) -> str:
    return visit.urls.version(rollout.project, rollout.model, version)


def _approvals(visit: Visit, rollout: Rollout) -> ApprovalsView | None:
    asked, principal = rollout.approvals, visit.context.principal
    if asked is None:
        return None
    role = principal.role_in(rollout.project)
    names = tuple(given.by for given in rollout.approved)
    is_able = role is not None and role.contains(asked.role) and principal.may(APPROVE, rollout.project)
    is_new = principal.name not in (rollout.started_by, *names)
    return ApprovalsView(
        n=asked.n,
        role=asked.role.value,
        is_before_start=asked.before is ApprovalPoint.START,
        names=names,
        may_approve=is_able and is_new and not rollout.status.is_finished(),
    )


def _bake_left_s(rollout: Rollout, check: RolloutCheck | None, now: datetime) -> float | None:
    if check is None or rollout.step == LOADING or rollout.step_started_at is None:
        return None
    if rollout.status is RolloutStatus.PAUSED:
        return None
    return max(0.0, rollout.steps[rollout.step].bake_s - baked_s(rollout, now))


def _pauses(visit: Visit, rollout: Rollout) -> list[Event]:
    return EventLog(visit.context.database).latest(
        types=[ROLLOUT_PAUSED, ROLLOUT_RESUMED],
        subject=f"rollout:{rollout.id}",
        project=rollout.project,
        limit=_PAUSES,
    )


def _steps(rollout: Rollout, check: RolloutCheck | None) -> tuple[StepRow, ...]:
    first = LOADING if rollout.steps else 0
    return tuple(_step(rollout, index, check) for index in range(first, len(rollout.steps)))


def _step(rollout: Rollout, index: int, check: RolloutCheck | None) -> StepRow:
    plan = rollout.steps[index] if index > LOADING else None
    ended = next((each for each in rollout.history if each.step == index), None)
    is_now = check is not None and check.step == index
    results = check.results if check is not None and is_now else ended.results if ended else []
    requests = check.n_requests if check is not None and is_now else ended.n_requests if ended else None
    pairs = check.pairs if check is not None and is_now else ended.pairs if ended else None
    return StepRow(
        number=index + 1,
        weight=answered(rollout, index),
        mirrored=mirrored(rollout, index),
        figures=tuple(each for each in (ended.new, ended.old) if each) if ended and plan else (),
        bake_s=plan.bake_s if plan else None,
        min_requests=plan.min_requests if plan else None,
        pairs=pairs if pairs is not None and pairs.n else None,
        badge=_step_badge(rollout, ended, is_now=is_now),
        is_now=is_now,
        n_requests=requests,
        started_at=rollout.step_started_at if is_now else ended.started_at if ended else None,
        ended_at=ended.ended_at if ended else None,
        gates=tuple(gate_row(result) for result in results),
    )


def _step_badge(rollout: Rollout, ended: StepResult | None, *, is_now: bool) -> Badge | None:
    if is_now:
        return rollout_badge(rollout.status)
    if ended is None:
        return None
    state, sign = VERDICT_STATES[ended.verdict]
    return Badge(state=state, words=VERDICT_WORDS[ended.verdict], sign=sign)


def gate_row(result: GateResult) -> GateRow:
    """Give what a gate says, with its interval and limit on one scale."""
    state, sign = VERDICT_STATES[result.verdict]
    place, limit = _place(result)
    return GateRow(
        words=GATE_WORDS.get(result.gate, result.gate),
        badge=Badge(state=state, words=VERDICT_WORDS[result.verdict], sign=sign),
        sentence=retelling.find(result.sentence),
        figures=tuple(
            (FIGURE_WORDS.get(name, name), value)
            for name, value in result.figures.items()
            if value is not None
        ),
        place=place,
        limit=limit,
    )


def _place(result: GateResult) -> tuple[Interval | None, float | None]:
    ends = [result.figures.get(name) for name in ("lower", "upper", "limit")]
    known = [float(end) for end in ends if end is not None and math.isfinite(end)]
    if len(known) != len(ends):
        return None, None
    low, high, limit = known
    scale = scale_over([low, high, limit])
    return scale.interval((low + high) / 2, low, high), scale.place(limit)


def _timeline(rollout: Rollout, pauses: list[Event]) -> tuple[TimelineRow, ...]:
    rows = [
        TimelineRow(
            at=rollout.created_at,
            state="none",
            words=mark("Begun by %(name)s"),
            values={"name": rollout.started_by},
        ),
        *(_ended_step(each) for each in rollout.history if each.verdict is Verdict.PASS),
        *(_approval_row(each) for each in rollout.approved),
        *(_pause_row(event) for event in pauses),
    ]
    if rollout.ended_at is not None:
        rows.append(_end_row(rollout, rollout.ended_at))
    return tuple(sorted(rows, key=lambda row: row.at, reverse=True))


def _ended_step(result: StepResult) -> TimelineRow:
    if result.step == LOADING:
        words, values = mark("The model servers have loaded the new version"), {}
    else:
        words, values = mark("Step %(number)s passed"), {"number": str(result.step + 1)}
    return TimelineRow(at=result.ended_at, state="good", words=words, values=values)


def _approval_row(given: Approval) -> TimelineRow:
    return TimelineRow(
        at=given.at,
        state="good",
        words=mark("Approved by %(name)s"),
        values={"name": given.by},
        text=_told(given.reason),
    )


def _pause_row(event: Event) -> TimelineRow:
    is_pause = event.type == ROLLOUT_PAUSED
    return TimelineRow(
        at=event.at,
        state="look" if is_pause else "busy",
        words=mark("Paused by %(name)s") if is_pause else mark("Resumed by %(name)s"),
        values={"name": event.actor},
        text=_told(event.payload.get("reason")),
    )


def _told(reason: object) -> Sentence | None:
    return retelling.find(str(reason)) if reason else None


_END_WORDS = {
    RolloutStatus.PROMOTED: mark("Promoted: version %(version)s answers every request"),
    RolloutStatus.ROLLED_BACK: mark("Rolled back: version %(version)s answers every request"),
    RolloutStatus.COMPARED: mark("Compared: version %(version)s answers every request as before"),
    RolloutStatus.FAILED: mark("Failed"),
}


def _end_row(rollout: Rollout, at: datetime) -> TimelineRow:
    is_promoted = rollout.status is RolloutStatus.PROMOTED
    version = rollout.to_version if is_promoted or rollout.from_version is None else rollout.from_version
    return TimelineRow(
        at=at,
        state=ROLLOUT_STATES[rollout.status][0],
        words=_END_WORDS[rollout.status],
        values={"version": str(version)},
        text=_told(rollout.reason),
    )


PAGES = (
    Page(path=ROLLOUT_PATH, needs=READ_ENDPOINTS, template="noria.serving/rollout.html", build=rollout_page),
)
