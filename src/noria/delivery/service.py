"""Operations on webhooks."""

from __future__ import annotations

import builtins
import uuid
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.events.log import EventType, append
from noria.core.ids import is_id, new_id
from noria.core.operations import Service, operation
from noria.core.outbound.client import check_url
from noria.core.permissions import Role
from noria.delivery.calling import Target, call
from noria.delivery.entities import (
    MAX_WEBHOOKS,
    Delivery,
    DeliveryPage,
    DeliveryStatus,
    NewWebhook,
    Webhook,
    WebhookChange,
    WebhookPage,
    WebhookStatus,
    WebhookTest,
    WebhookTestResult,
    check_description,
    check_events,
    check_name,
)
from noria.delivery.events import WEBHOOK_CREATED, WEBHOOK_DELETED, WEBHOOK_UPDATED
from noria.delivery.ledger import body_of
from noria.delivery.listeners import reach_of
from noria.delivery.permissions import MANAGE_WEBHOOKS
from noria.delivery.samples import sample
from noria.delivery.secrets import SecretBox
from noria.delivery.tables import webhook_deliveries, webhooks

_TICK = timedelta(milliseconds=1)
"""What people see of times: a change shows in them however soon it follows."""


class WebhookNotFound(NotFound):
    """There is no such webhook that the caller may see."""

    code = "webhook_not_found"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(
            f"There is no webhook `{webhook_id[:100]}`",
            hint="See `noria webhooks list`",
            details={"webhook": webhook_id[:100]},
        )


class Webhooks(Service):
    """Addresses that are called when something happens. People see their own; admins see all.

    A webhook is told of what its owner may read at that time, in all projects.
    """

    @operation("POST", "/webhooks", needs=MANAGE_WEBHOOKS)
    def create(self, new: NewWebhook) -> Webhook:
        """Make a webhook; whether its address may be called is decided at each call."""
        caller, now, identity = self.context.principal, self.context.clock.now(), new_id()
        check_url(new.url)
        events = check_events(new.events)
        row = {
            "id": identity,
            "name": check_name(new.name),
            "url": new.url,
            "events": events,
            "status": str(new.status),
            "description": check_description(new.description) or None,
            "sealed_secret": self._seal(identity, new.secret),
            "owner": caller.name,
            "projects": reach_of(caller),
            "by_visitor": not caller.holds_key,
            "created_at": now,
            "updated_at": now,
        }
        with self.context.database.write(durable=True) as connection:
            self._require_room(connection)
            connection.execute(sa.insert(webhooks).values(**row))
            told = {"name": new.name, "events": [str(event) for event in events]}
            self._tell(connection, WEBHOOK_CREATED, identity, told)
        return self.get(identity)

    @operation("GET", "/webhooks", needs=MANAGE_WEBHOOKS)
    def list(self, limit: int = 100, after: str = "") -> WebhookPage:
        """List webhooks, newest first; `after` is the `next` of the page before."""
        if after and not is_id(after):
            raise Invalid(
                f"`{after[:100]}` is not a page of webhooks", hint="Leave it out for the first page"
            )
        bound = max(1, min(limit, 1000))
        query = self._visible().order_by(webhooks.c.id.desc()).limit(bound + 1)
        if after:
            query = query.where(webhooks.c.id < after)
        with self.context.database.read() as connection:
            items = [_webhook(row) for row in connection.execute(query)]
        return WebhookPage(items=items[:bound], next=items[bound - 1].id if len(items) > bound else None)

    @operation("GET", "/webhooks/{webhook_id}", needs=MANAGE_WEBHOOKS)
    def get(self, webhook_id: str) -> Webhook:
        """Get a webhook."""
        with self.context.database.read() as connection:
            return _webhook(self._row(connection, webhook_id))

    @operation("PATCH", "/webhooks/{webhook_id}", needs=MANAGE_WEBHOOKS)
    def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        """Change a webhook; its owner, and so what it is told of, stays who it is."""
        values = self._changed(webhook_id, change)
        with self.context.database.write(durable=True) as connection:
            before = self._row(connection, webhook_id)
            updated_at = max(self.context.clock.now(), before.updated_at + _TICK)
            connection.execute(
                sa.update(webhooks).where(webhooks.c.pk == before.pk).values(**values, updated_at=updated_at)
            )
            told = {"changed": sorted("secret" if name == "sealed_secret" else name for name in values)}
            self._tell(connection, WEBHOOK_UPDATED, webhook_id, told)
        return self.get(webhook_id)

    @operation("DELETE", "/webhooks/{webhook_id}", needs=MANAGE_WEBHOOKS)
    def delete(self, webhook_id: str) -> None:
        """Remove a webhook with its deliveries; those on their way are not tried again."""
        with self.context.database.write(durable=True) as connection:
            row = self._row(connection, webhook_id)
            connection.execute(sa.delete(webhook_deliveries).where(webhook_deliveries.c.webhook_pk == row.pk))
            connection.execute(sa.delete(webhooks).where(webhooks.c.pk == row.pk))
            self._tell(connection, WEBHOOK_DELETED, webhook_id, {"name": row.name})

    @operation("POST", "/webhooks/{webhook_id}/test", needs=MANAGE_WEBHOOKS, status=200)
    def test(self, webhook_id: str, wanted: WebhookTest) -> WebhookTestResult:
        """Call a webhook once with made-up data, disabled or not, and tell how it answered."""
        with self.context.database.read() as connection:
            row = self._row(connection, webhook_id)
        event = wanted.event or row.events[0]
        check_events([event])
        body = body_of(event, sample(event), self.context.clock.now())
        target = Target(webhook_id=row.id, url=row.url, sealed_secret=row.sealed_secret)
        outcome = call(self.context, target, delivery_id=str(uuid.uuid4()), body=body.encode())
        return WebhookTestResult(
            success=outcome.success,
            response_status=outcome.status,
            response_body=outcome.body,
            error=outcome.error,
        )

    @operation("GET", "/webhooks/{webhook_id}/deliveries", needs=MANAGE_WEBHOOKS)
    def deliveries(self, webhook_id: str, limit: int = 100, before: int = 0) -> DeliveryPage:
        """List the deliveries of the last 30 days, newest first; `before` is the `next` of the page before."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            row = self._row(connection, webhook_id)
            query = (
                sa.select(*_DELIVERY_COLUMNS)
                .where(webhook_deliveries.c.webhook_pk == row.pk)
                .order_by(webhook_deliveries.c.position.desc())
                .limit(bound + 1)
            )
            if before:
                query = query.where(webhook_deliveries.c.position < before)
            items = [
                Delivery(**{**found, "status": DeliveryStatus(found["status"])})
                for found in connection.execute(query).mappings()
            ]
        more = len(items) > bound
        return DeliveryPage(items=items[:bound], next=items[bound - 1].position if more else None)

    def _changed(self, webhook_id: str, change: WebhookChange) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if change.name is not None:
            values["name"] = check_name(change.name)
        if change.url is not None:
            check_url(change.url)
            values["url"] = change.url
        if change.events is not None:
            values["events"] = check_events(change.events)
        if change.description is not None:
            values["description"] = check_description(change.description) or None
        if change.secret is not None:
            values["sealed_secret"] = self._seal(webhook_id, change.secret)
        if change.status is not None:
            values["status"] = str(change.status)
        return values

    def _seal(self, webhook_id: str, secret: str | None) -> str | None:
        return SecretBox(self.context.settings.folder).seal(webhook_id, secret) if secret else None

    def _require_room(self, connection: sa.Connection) -> None:
        count = sa.select(sa.func.count()).where(webhooks.c.owner == self.context.principal.name)
        if connection.execute(count).scalar_one() >= MAX_WEBHOOKS:
            raise Conflict(f"There are {MAX_WEBHOOKS} webhooks of yours already", hint="Delete one first")

    def _row(self, connection: sa.Connection, webhook_id: str) -> Any:
        row = connection.execute(self._visible().where(webhooks.c.id == webhook_id)).first()
        if row is None:
            raise WebhookNotFound(webhook_id)
        return row

    def _visible(self) -> sa.Select[Any]:
        caller = self.context.principal
        query = sa.select(webhooks)
        return query if caller.role is Role.ADMIN else query.where(webhooks.c.owner == caller.name)

    def _tell(
        self, connection: sa.Connection, kind: EventType, webhook_id: str, payload: dict[str, Any]
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=f"webhook:{webhook_id}",
            payload=payload,
        )


_DELIVERY_COLUMNS: builtins.list[sa.Column[Any]] = [
    webhook_deliveries.c[name] for name in Delivery.__struct_fields__
]


def _webhook(row: Any) -> Webhook:
    return Webhook(
        id=row.id,
        name=row.name,
        url=row.url,
        events=row.events,
        status=WebhookStatus(row.status),
        description=row.description,
        has_secret=row.sealed_secret is not None,
        owner=row.owner,
        projects=row.projects,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
