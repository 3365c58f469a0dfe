"""Deliveries on record: who is told of an event, and how each of them goes.

All state is in our tables. An event becomes a delivery to a webhook once, whoever plans it again; a delivery that was
sent and not yet recorded when the process died is sent again, under the same identifier.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.control.workflows import JSON
from noria.delivery.calling import Outcome, Target, call
from noria.delivery.entities import DeliveryStatus, WebhookEvent, WebhookStatus
from noria.delivery.listeners import listeners
from noria.delivery.payloads import Change, tell
from noria.delivery.tables import webhook_deliveries, webhooks
from noria.registry.queries import shown_name

PAUSES_S = (1.0, 2.0, 8.0, 60.0, 300.0, 1800.0)
"""Between the attempts of a delivery, of which there is one more."""

LONGEST_WAIT_S = 3600.0
"""The longest that a receiver may ask us to wait."""

KEPT = timedelta(days=30)
_AT_ONCE = 8
_ERROR_CHARS = 500
_WAITING = str(DeliveryStatus.WAITING)

_log = logging.getLogger("noria.delivery")

Bodies = Mapping[str, str]
"""Identifier of a delivery → what is sent."""


def plan(context: Context, change: Change, position: int) -> dict[str, JSON]:
    """Put on record who is told of a change, and give what each is told by the identifier of the delivery."""
    now = context.clock.now()
    with context.database.write() as connection:
        telling = tell(connection, change)
        if telling is None:
            return {}
        connection.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.created_at < now - KEPT))
        bodies: dict[str, JSON] = {}
        for listener in listeners(connection, context, telling.event, telling.project):
            row = {
                "id": str(uuid.uuid4()),
                "webhook_pk": listener.pk,
                "position": position,
                "event": str(telling.event),
                "subject": f"model:{change.model}" + (f"@{change.version}" if change.version else ""),
                "status": _WAITING,
                "n_attempts": 0,
                "created_at": now,
                "due_at": now,
            }
            made = connection.execute(
                context.database.insert(webhook_deliveries)
                .values(**row)
                .on_conflict_do_nothing(index_elements=["webhook_pk", "position"])
                .returning(webhook_deliveries.c.id)
            ).first()
            identity = row["id"] if made else _identity(connection, listener.pk, position)
            name = shown_name(telling.project, telling.model, listener.home)
            bodies[str(identity)] = body_of(telling.event, {"name": name, **telling.data}, now)
        return bodies


def body_of(event: WebhookEvent, data: Mapping[str, JSON], now: datetime) -> str:
    """Give the body of a call."""
    body = {
        "entity": str(event.entity),
        "action": str(event.action),
        "timestamp": now.isoformat(),
        "data": data,
    }
    return msgspec.json.encode(body).decode()


def deliver(context: Context, bodies: Bodies) -> float | None:
    """Make the attempts that are due, and give the seconds until the next one; None when all have ended."""
    with context.database.write() as connection:
        _drop_disabled(connection, bodies, context.clock.now())
        due = _due(connection, bodies, context.clock.now())
    if due:
        with ThreadPoolExecutor(min(_AT_ONCE, len(due)), thread_name_prefix="noria-webhook") as pool:
            outcomes = list(pool.map(lambda row: _attempt(context, row, bodies[row.id]), due))
        with context.database.write() as connection:
            for row, outcome in zip(due, outcomes, strict=True):
                _record(connection, row, outcome, context.clock.now())
    return _next_in(context, bodies)


def _attempt(context: Context, row: Any, body: str) -> Outcome:
    target = Target(webhook_id=row.webhook_id, url=row.url, sealed_secret=row.sealed_secret)
    return call(context, target, delivery_id=row.id, body=body.encode())


def _identity(connection: sa.Connection, webhook_pk: int, position: int) -> str:
    query = sa.select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.webhook_pk == webhook_pk, webhook_deliveries.c.position == position
    )
    return str(connection.execute(query).scalar_one())


def _waiting(bodies: Bodies) -> sa.ColumnElement[bool]:
    return sa.and_(webhook_deliveries.c.id.in_(list(bodies)), webhook_deliveries.c.status == _WAITING)


def _drop_disabled(connection: sa.Connection, bodies: Bodies, now: datetime) -> None:
    disabled = sa.select(webhooks.c.pk).where(webhooks.c.status == str(WebhookStatus.DISABLED))
    connection.execute(
        sa.update(webhook_deliveries)
        .where(_waiting(bodies), webhook_deliveries.c.webhook_pk.in_(disabled))
        .values(status=str(DeliveryStatus.DROPPED), ended_at=now)
    )


def _due(connection: sa.Connection, bodies: Bodies, now: datetime) -> list[Any]:
    query = (
        sa.select(
            webhook_deliveries.c.pk,
            webhook_deliveries.c.id,
            webhook_deliveries.c.n_attempts,
            webhooks.c.id.label("webhook_id"),
            webhooks.c.url,
            webhooks.c.sealed_secret,
        )
        .join_from(webhook_deliveries, webhooks, webhooks.c.pk == webhook_deliveries.c.webhook_pk)
        .where(_waiting(bodies), webhook_deliveries.c.due_at <= now)
        .order_by(webhook_deliveries.c.pk)
    )
    return list(connection.execute(query).fetchall())


def _record(connection: sa.Connection, row: Any, outcome: Outcome, now: datetime) -> None:
    n_attempts = row.n_attempts + 1
    status = _status_after(outcome, n_attempts)
    pause_s = max(PAUSES_S[min(n_attempts, len(PAUSES_S)) - 1], min(outcome.wait_s or 0.0, LONGEST_WAIT_S))
    connection.execute(
        sa.update(webhook_deliveries)
        .where(webhook_deliveries.c.pk == row.pk, webhook_deliveries.c.n_attempts == row.n_attempts)
        .values(
            status=str(status),
            n_attempts=n_attempts,
            response_status=outcome.status,
            error=None if outcome.error is None else outcome.error[:_ERROR_CHARS],
            due_at=now + timedelta(seconds=pause_s),
            ended_at=now if status.is_finished() else None,
        )
    )
    told = {"webhook": row.webhook_id, "delivery": row.id, "status": outcome.status, "error": outcome.error}
    level = logging.WARNING if status is DeliveryStatus.FAILED else logging.DEBUG
    _log.log(level, "webhook.attempt", extra={**told, "n_attempts": n_attempts, "outcome": str(status)})


def _status_after(outcome: Outcome, n_attempts: int) -> DeliveryStatus:
    if outcome.success:
        return DeliveryStatus.DELIVERED
    tried_enough = n_attempts > len(PAUSES_S)
    return DeliveryStatus.WAITING if outcome.again and not tried_enough else DeliveryStatus.FAILED


def _next_in(context: Context, bodies: Bodies) -> float | None:
    query = sa.select(sa.func.min(webhook_deliveries.c.due_at)).where(_waiting(bodies))
    with context.database.read() as connection:
        due_at: datetime | None = connection.execute(query).scalar_one_or_none()
    if due_at is None:
        return None
    return max(0.0, (due_at - context.clock.now()).total_seconds())
