"""Decisions as rows: open one, move it, find it. Each write is a compare-and-set that may be repeated."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.catalog.entities import NewRecord, RecordKind
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import Conflict, NotFound
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.decisions.entities import MOVES, Decision, DecisionStatus, Moment, Trigger
from noria.decisions.events import DECISION_STARTED, DECISION_SUPERSEDED
from noria.decisions.tables import decisions

_NEWEST = 200


class DecisionMoved(Conflict):
    """The decision no longer stands where the move begins."""

    code = "decision_moved"

    def __init__(self, decision: Decision, to: DecisionStatus) -> None:
        super().__init__(
            f"The decision `{decision.id}` is {decision.status.value} and cannot become {to.value}",
            hint=f"See `noria decisions show {decision.id}`",
        )


class DecisionUnderWay(Conflict):
    """Another decision about the endpoint is open."""

    code = "decision_under_way"

    def __init__(self, found: Decision) -> None:
        super().__init__(
            f"The decision `{found.id}` about `{found.endpoint}` is open: it is {found.status.value}",
            hint=f"See `noria decisions show {found.id}`",
            details={"decision": found.id},
        )


class NewDecision(msgspec.Struct, frozen=True, kw_only=True):
    """An incident to open a decision about."""

    project: str
    endpoint: str
    model: str
    version: int
    trigger: Trigger
    alert_id: str | None
    onset_position: int
    sentence: str


def open_decision(context: Context, new: NewDecision) -> Decision:
    """Open a decision and its record; asking again for the same alert gives the one there is.

    Raises
    ------
    DecisionUnderWay
        If another one about the endpoint is open.
    """
    with context.database.read() as connection:
        standing = _standing(connection, new)
    if standing is not None:
        return standing
    made = _draft(context, new)
    record = context.service(Catalog).create(new.project, _record(made, new.sentence))
    made = msgspec.structs.replace(made, record_id=record.id)
    with context.database.write(durable=True) as connection:
        owner = project_pk(connection, new.project)
        known = _standing(connection, new)
        if known is not None:
            return known
        insert = context.database.insert(decisions).values(
            id=made.id,
            project_pk=owner,
            endpoint=made.endpoint,
            status=made.status.value,
            alert_id=made.alert_id,
            open_endpoint=made.endpoint,
            body=made,
            created_at=made.created_at,
        )
        claimed = insert.on_conflict_do_nothing(index_elements=["project_pk", "open_endpoint"])
        if connection.execute(claimed.returning(decisions.c.pk)).first() is None:
            raise DecisionUnderWay(_standing_at(connection, owner, made.endpoint))
        payload = {
            "model": made.model,
            "version": made.version,
            "trigger": made.trigger.value,
            "alert": made.alert_id,
        }
        tell(connection, context, DECISION_STARTED, made, new.sentence, payload)
    return made


def move(
    context: Context,
    project: str,
    decision_id: str,
    to: DecisionStatus,
    *,
    text: str,
    event: EventType | None = None,
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> Decision:
    """Move a decision, and tell so; a move that was made already is left as it is.

    Parameters
    ----------
    text
        What happened, for the timeline and the event.
    changes
        Fields of the decision that change with it.

    Raises
    ------
    DecisionMoved
        If the decision does not stand where it can move from.
    """
    with context.database.write(durable=True) as connection:
        found = find_decision(connection, project, decision_id, lock=True)
        asked_round = changes.get("round", found.round)
        if (found.status, found.round) == (to, asked_round):
            return found
        if to not in MOVES[found.status]:
            raise DecisionMoved(found, to)
        moved = _moved(context, found, to, text, changes)
        store(connection, moved)
        if event is not None:
            tell(connection, context, event, moved, text, payload or {})
    return moved


def note(
    context: Context,
    project: str,
    decision_id: str,
    *,
    text: str,
    event: EventType,
    payload: dict[str, Any],
    **changes: Any,
) -> Decision:
    """Add to a decision that stays where it is; the same line is not added twice in a row.

    Raises
    ------
    DecisionMoved
        If it has ended.
    """
    with context.database.write(durable=True) as connection:
        found = find_decision(connection, project, decision_id, lock=True)
        if found.status.is_finished():
            raise DecisionMoved(found, found.status)
        if found.timeline and found.timeline[-1].text == text:
            return found
        noted = _moved(context, found, found.status, text, changes)
        store(connection, noted)
        tell(connection, context, event, noted, text, payload)
    return noted


def supersede(context: Context, project: str, decision_id: str, by: str) -> Decision:
    """End a decision that waits, since a more urgent one is to take its place."""
    text = f"A more urgent alert about the endpoint takes over: {by}"
    return move(
        context,
        project,
        decision_id,
        DecisionStatus.DONE,
        text=text,
        event=DECISION_SUPERSEDED,
        reason=text,
    )


def find_decision(
    connection: sa.Connection, project: str, decision_id: str, *, lock: bool = False
) -> Decision:
    """Read a decision.

    Raises
    ------
    NotFound
        If the project has none of this id.
    """
    query = (
        sa.select(decisions.c.body)
        .where(decisions.c.id == decision_id)
        .where(decisions.c.project_pk == project_pk(connection, project))
    )
    found: Decision | None = connection.execute(
        query.with_for_update() if lock else query
    ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no decision `{decision_id}`", hint="See `noria decisions list`")
    return found


def store(connection: sa.Connection, decision: Decision) -> None:
    """Write a decision over what is there."""
    connection.execute(
        sa.update(decisions)
        .where(decisions.c.id == decision.id)
        .values(
            status=decision.status.value,
            open_endpoint=decision.endpoint if decision.status.is_open() else None,
            body=decision,
        )
    )


def tell(
    connection: sa.Connection,
    context: Context,
    type_: EventType,
    decision: Decision,
    sentence: str,
    payload: dict[str, Any],
) -> None:
    """Append an event about a decision."""
    common = {
        "decision": decision.id,
        "record": decision.record_id,
        "endpoint": decision.endpoint,
        "status": decision.status.value,
        "sentence": sentence,
    }
    append(
        connection,
        context.clock,
        actor=context.principal.name,
        type=type_,
        subject=f"decision:{decision.id}",
        project=decision.project,
        payload={**common, **payload},
    )


def _draft(context: Context, new: NewDecision) -> Decision:
    now = context.clock.now()
    return Decision(
        id=new_id(),
        project=new.project,
        endpoint=new.endpoint,
        model=new.model,
        version=new.version,
        trigger=new.trigger,
        alert_id=new.alert_id,
        onset_position=new.onset_position,
        record_id="",
        status=DecisionStatus.DIAGNOSING,
        started_by=context.principal.name,
        created_at=now,
        updated_at=now,
        timeline=[Moment(at=now, status=DecisionStatus.DIAGNOSING, text=new.sentence)],
    )


def _record(decision: Decision, sentence: str) -> NewRecord:
    return NewRecord(
        kind=RecordKind.REMEDY,
        subject=f"endpoint:{decision.endpoint}",
        problem=sentence,
        key=f"decision:{decision.alert_id or decision.id}",
    )


def _moved(
    context: Context, found: Decision, to: DecisionStatus, text: str, changes: dict[str, Any]
) -> Decision:
    now = context.clock.now()
    return msgspec.structs.replace(
        found,
        status=to,
        updated_at=now,
        ended_at=now if to.is_finished() else None,
        timeline=[*found.timeline, Moment(at=now, status=to, text=text)],
        **changes,
    )


def _standing(connection: sa.Connection, new: NewDecision) -> Decision | None:
    """Give the decision that the alert has already; refuse another one beside one that is open."""
    if new.alert_id is not None:
        found = find_of_alert(connection, new.alert_id)
        if found is not None:
            return found
    standing = find_open(connection, new.project, new.endpoint)
    if standing is not None:
        raise DecisionUnderWay(standing)
    return None


def find_of_alert(connection: sa.Connection, alert_id: str) -> Decision | None:
    """Read the decision that an alert opened."""
    query = sa.select(decisions.c.body).where(decisions.c.alert_id == alert_id)
    found: Decision | None = connection.execute(query).scalar_one_or_none()
    return found


def acted_alone(
    connection: sa.Connection, project: str, endpoint: str, *, now: datetime, except_id: str = ""
) -> int:
    """Count the decisions about an endpoint that were carried out within 24 hours without a person."""
    since = now - timedelta(days=1)
    query = (
        sa.select(decisions.c.body)
        .where(decisions.c.project_pk == project_pk(connection, project))
        .where(decisions.c.endpoint == endpoint)
        .order_by(decisions.c.id.desc())
        .limit(_NEWEST)
    )
    bodies: Iterable[Decision] = connection.execute(query).scalars()
    return sum(
        decision.id != except_id
        and any(m.status is DecisionStatus.ACTING and m.at >= since for m in decision.timeline)
        and not any(m.status is DecisionStatus.ASKING for m in decision.timeline)
        for decision in bodies
    )


def find_open(connection: sa.Connection, project: str, endpoint: str) -> Decision | None:
    """Read the open decision about an endpoint."""
    return _at(connection, project_pk(connection, project), endpoint)


def _standing_at(connection: sa.Connection, owner: int, endpoint: str) -> Decision:
    found = _at(connection, owner, endpoint)
    if found is None:
        raise Conflict(f"A decision about `{endpoint}` ended just now", hint="Try again")
    return found


def _at(connection: sa.Connection, owner: int, endpoint: str) -> Decision | None:
    query = (
        sa.select(decisions.c.body)
        .where(decisions.c.project_pk == owner)
        .where(decisions.c.open_endpoint == endpoint)
    )
    found: Decision | None = connection.execute(query).scalar_one_or_none()
    return found
