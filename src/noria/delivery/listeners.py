"""Which webhooks are told of a change: those that listen to it, and whose owner may read it today."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from noria.access.authentication import any_user, principal_of_name
from noria.access.tables import projects
from noria.core.context import Context
from noria.core.permissions import Principal
from noria.delivery.entities import WebhookEvent, WebhookStatus
from noria.delivery.tables import webhooks
from noria.registry.permissions import READ_MODELS
from noria.registry.queries import home_of

_ACTIVE = sa.select(
    webhooks.c.pk, webhooks.c.events, webhooks.c.owner, webhooks.c.projects, webhooks.c.by_visitor
).where(webhooks.c.status == str(WebhookStatus.ACTIVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A webhook that is told.

    Attributes
    ----------
    home
        Project whose models its owner calls by their plain names.
    """

    pk: int
    home: str


def anybody_listens(connection: sa.Connection, events: Iterable[WebhookEvent]) -> bool:
    """Tell whether an active webhook listens to any of these events, whoever owns it."""
    wanted = set(events)
    return any(wanted.intersection(row.events) for row in connection.execute(_ACTIVE))


def listeners(
    connection: sa.Connection, context: Context, event: WebhookEvent, project: str
) -> list[Listener]:
    """List the webhooks that are told of an event in a project."""
    rows = [row for row in connection.execute(_ACTIVE).fetchall() if event in row.events]
    owners = {row.owner: principal_of_name(connection, context.clock, row.owner) for row in rows}
    found = []
    for row in rows:
        owner = owners[row.owner]
        if owner is not None and _is_told(connection, row, owner, project):
            found.append(Listener(pk=row.pk, home=_home(connection, owner, row.projects)))
    return found


def reach_of(principal: Principal) -> list[str] | None:
    """Give the projects that a webhook made by this caller is told of; None for all, those to come included."""
    if principal.may(READ_MODELS, None):
        return None
    return sorted(project for project in principal.project_roles if principal.may(READ_MODELS, project))


def _is_told(connection: sa.Connection, row: Any, owner: Principal, project: str) -> bool:
    if row.by_visitor and any_user(connection):
        # It was made by somebody whom nobody had to know; since then everybody has to sign in.
        return False
    within = row.projects is None or project in row.projects
    return within and owner.may(READ_MODELS, project)


def _home(connection: sa.Connection, owner: Principal, reach: list[str] | None) -> str:
    names = connection.execute(sa.select(projects.c.name)).scalars()
    return home_of(
        [name for name in names if owner.may(READ_MODELS, name) and (reach is None or name in reach)]
    )
