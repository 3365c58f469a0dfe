"""Read rollouts, and what their next move depends on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import NotFound
from noria.registry.rows import find_model, get_version
from noria.serving.counts import read_counts
from noria.serving.entities import Rollout, RolloutStatus, Strategy
from noria.serving.locate import EndpointRow
from noria.serving.pairs import read_pairs
from noria.serving.plans import AppliedPlan, ModelServer
from noria.serving.predictions import StatsTable
from noria.serving.rollouts.progress import Followers, Sight
from noria.serving.sums import PairStats
from noria.serving.tables import endpoints, model_servers, rollouts

SERVER_ALIVE_S = 15.0
"""A model server that did not report for so long is taken for gone; it reports every few seconds."""


class StoredRollout(NamedTuple):
    """A rollout and what is stored beside it."""

    rollout: Rollout
    pk: int
    endpoint_pk: int
    endpoint_revision: int
    endpoint_deleted: bool
    first_endpoint_revision: int
    step_endpoint_revision: int


def select_rollouts() -> sa.Select[Any]:
    """Give the query that `stored_rollout` reads rows of."""
    return (
        sa.select(
            rollouts,
            projects.c.name.label("project"),
            endpoints.c.name.label("endpoint"),
            endpoints.c.model,
            endpoints.c.revision.label("endpoint_revision"),
            endpoints.c.deleted_at,
        )
        .join(endpoints, endpoints.c.pk == rollouts.c.endpoint_pk)
        .join(projects, projects.c.pk == endpoints.c.project_pk)
    )


def stored_rollout(row: sa.RowMapping) -> StoredRollout:
    """Read a row of `select_rollouts`."""
    values = {name: row[name] for name in Rollout.__struct_fields__}
    values["status"] = RolloutStatus(row["status"])
    values["strategy"] = Strategy(row["strategy"])
    # What was written before there was such a thing.
    values |= {name: default for name, default in _LATER.items() if row[name] is None}
    return StoredRollout(
        rollout=Rollout(**values),
        pk=row["pk"],
        endpoint_pk=row["endpoint_pk"],
        endpoint_revision=row["endpoint_revision"],
        endpoint_deleted=row["deleted_at"] is not None,
        first_endpoint_revision=row["first_endpoint_revision"],
        step_endpoint_revision=row["step_endpoint_revision"],
    )


_LATER = {"promotes": True, "approved": [], "keep_warm_s": 0.0, "is_rollback": False, "baked_s": 0.0}


def load_rollout(connection: sa.Connection, rollout_id: str, project: str | None = None) -> StoredRollout:
    """Find a rollout by its id.

    Raises
    ------
    NotFound
        If there is none, or it belongs to another project.
    """
    query = select_rollouts().where(rollouts.c.id == rollout_id)
    if project is not None:
        query = query.where(projects.c.name == project)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no rollout `{rollout_id}`", hint="See `noria rollouts list`")
    return stored_rollout(row)


def version_before(connection: sa.Connection, project: str, endpoint: EndpointRow) -> int | None:
    """Give the version that answered every request before the one that does now; None where there was none.

    Going back takes a version off, so going back twice leads to the one before that. Versions that were deleted since
    are passed over.
    """
    query = (
        sa.select(rollouts.c.to_version, rollouts.c.is_rollback)
        .where(rollouts.c.endpoint_pk == endpoint.pk, rollouts.c.status == RolloutStatus.PROMOTED.value)
        .order_by(rollouts.c.pk)
    )
    stack: list[int] = []
    for version, is_rollback in connection.execute(query):
        if is_rollback and version in stack:
            while stack[-1] != version:
                stack.pop()
        else:
            stack.append(version)
    earlier = (version for version in reversed(stack[:-1]) if version != stack[-1])
    return next((each for each in earlier if exists(connection, project, endpoint.model, each)), None)


def exists(connection: sa.Connection, project: str, model: str, version: int) -> bool:
    """Tell whether a version is there still."""
    try:
        get_version(connection, find_model(connection, project, model), version)
    except NotFound:
        return False
    return True


def rollout_under_way(connection: sa.Connection, endpoint_pk: int) -> StoredRollout | None:
    """Give the rollout of an endpoint that has not ended, if there is one."""
    query = select_rollouts().where(rollouts.c.endpoint_pk == endpoint_pk, rollouts.c.ended_at.is_(None))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else stored_rollout(row)


def see(connection: sa.Connection, stored: StoredRollout, now: datetime) -> Sight:
    """Gather what the next move of a rollout depends on."""
    rollout = stored.rollout
    since_start = StatsTable(
        items=read_counts(connection, stored.endpoint_pk, stored.first_endpoint_revision)
    )
    in_step = StatsTable(items=read_counts(connection, stored.endpoint_pk, stored.step_endpoint_revision))
    return Sight(
        rollout=rollout,
        now=now,
        step=in_step.of(rollout.to_version),
        new=since_start.of(rollout.to_version),
        old=None if rollout.from_version is None else since_start.of(rollout.from_version),
        followers=_followers(alive_servers(connection, now), stored),
        pairs=pairs_since(connection, stored),
    )


def pairs_since(connection: sa.Connection, stored: StoredRollout) -> PairStats:
    """Give the sums over rows that both versions predicted since a rollout began."""
    rollout = stored.rollout
    if rollout.from_version is None:
        return PairStats()
    return read_pairs(
        connection,
        stored.endpoint_pk,
        rollout.to_version,
        rollout.from_version,
        stored.first_endpoint_revision,
    )


def alive_servers(connection: sa.Connection, now: datetime) -> list[ModelServer]:
    """List the model servers that reported lately."""
    query = (
        sa.select(
            model_servers.c.server,
            model_servers.c.url,
            model_servers.c.seen_at,
            model_servers.c.endpoints,
            model_servers.c.n_dropped,
            model_servers.c.standing,
        )
        # One that was seen after now was seen by a clock that has been set back since: it will report again.
        .where(
            model_servers.c.seen_at.between(
                now - timedelta(seconds=SERVER_ALIVE_S), now + timedelta(seconds=SERVER_ALIVE_S)
            )
        )
        .order_by(model_servers.c.seen_at.desc(), model_servers.c.server)
    )
    return [ModelServer(**row) for row in connection.execute(query).mappings()]


def _followers(servers: list[ModelServer], stored: StoredRollout) -> Followers:
    rollout = stored.rollout
    applied: list[AppliedPlan] = [
        plan
        for server in servers
        for plan in server.endpoints
        if (plan.project, plan.endpoint) == (rollout.project, rollout.endpoint)
    ]
    failures = [
        plan.failed[str(rollout.to_version)] for plan in applied if str(rollout.to_version) in plan.failed
    ]
    return Followers(
        n_alive=len(applied),
        following=all(plan.revision >= stored.step_endpoint_revision for plan in applied),
        failure=failures[0] if failures else None,
    )
