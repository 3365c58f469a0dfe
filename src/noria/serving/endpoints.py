"""Operations on endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.errors import Conflict
from noria.core.events.log import append
from noria.core.operations import Service, operation
from noria.registry.uses import release_versions
from noria.serving.entities import (
    Deployment,
    Endpoint,
    EndpointPage,
    Reason,
    Rollout,
    RolloutPage,
    RolloutStatus,
)
from noria.serving.events import ENDPOINT_DELETED
from noria.serving.locate import COLUMNS, EndpointRow, endpoint_row
from noria.serving.model_servers import planned_options, tell_of_changes
from noria.serving.permissions import DEPLOY, READ_ENDPOINTS, REPLAY, SERVE
from noria.serving.plans import (
    EndpointPlan,
    ModelServer,
    ModelServerList,
    PlannedCascade,
    PlannedShadow,
    PlannedVersion,
    PlanSet,
    ServerReport,
)
from noria.serving.repairs.standing import planned_repairs
from noria.serving.rollouts.deployment import Deployer
from noria.serving.rollouts.passage import end
from noria.serving.rollouts.sight import (
    alive_servers,
    rollout_under_way,
    select_rollouts,
    stored_rollout,
    version_before,
)
from noria.serving.service_logs import count_lines
from noria.serving.tables import endpoint_options, endpoints, model_servers, rollouts


class NothingToRollBack(Conflict):
    """The endpoint has no earlier version to go back to."""

    code = "nothing_to_roll_back"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"The endpoint `{endpoint}` has served no other version before that is there still",
            hint=f"Deploy another version: `noria deploy MODEL@VERSION --to {endpoint}`",
        )


class Endpoints(Service):
    """Stable names in front of model versions."""

    @operation("GET", "/projects/{project}/endpoints", needs=READ_ENDPOINTS)
    def list(self, project: str, limit: int = 100, after: str = "") -> EndpointPage:
        """List endpoints in the order of their names, from the one that follows `after`."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(*COLUMNS)
                .where(
                    endpoints.c.project_pk == project_pk(connection, project),
                    endpoints.c.deleted_at.is_(None),
                    endpoints.c.name > after,
                )
                .order_by(endpoints.c.name)
                .limit(bound + 1)
            )
            rows = [EndpointRow._make(row) for row in connection.execute(query)]
            items = _entities(connection, project, rows[:bound], self.context.clock.now())
        return EndpointPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/endpoints/{name}", needs=READ_ENDPOINTS)
    def get(self, project: str, name: str) -> Endpoint:
        """Get one endpoint."""
        with self.context.database.read() as connection:
            found = endpoint_row(connection, project, name)
            return _entities(connection, project, [found], self.context.clock.now())[0]

    @operation("POST", "/projects/{project}/endpoints/{name}/deployments", needs=DEPLOY)
    def deploy(self, project: str, name: str, plan: Deployment) -> Rollout:
        """Put a model version behind an endpoint, which is made if there is none.

        The first version of an endpoint answers at once, and so does a `replace` that nobody has to approve: their
        rollout has ended when this returns. Every other rollout goes forward under the control loop of the running
        server. Deploying the version that answers already gives the rollout that brought it.

        Raises
        ------
        RolloutUnderWay
            If another rollout of the endpoint has not ended.
        SignatureDiffers
            If the version does not take or give what the endpoint's clients are used to.
        CascadeStands
            If two versions answer in turn at the endpoint.
        """
        return Deployer(self).deploy(project, name, plan)

    @operation("POST", "/projects/{project}/endpoints/{name}/rollback", needs=DEPLOY)
    def rollback(self, project: str, name: str, why: Reason) -> Rollout:
        """Go back: abort the rollout under way, or else replace the version by the one before it.

        Going back waits for no gate and for nobody's approval. The version before is loaded still for `keep_warm_s`
        after it was replaced, so it answers at once; later it is loaded first.
        """
        reason = why.reason or "Rolled back by hand"
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, name, lock=True)
            stored = rollout_under_way(connection, place.pk)
            if stored is not None:
                return end(connection, self.context, stored, RolloutStatus.ROLLED_BACK, reason, [])
            before = version_before(connection, project, place)
        if before is None:
            raise NothingToRollBack(name)
        back = Deployment(model=place.model, version=before, reason=reason)
        return Deployer(self).deploy(project, name, back, is_rollback=True)

    @operation("GET", "/projects/{project}/endpoints/{name}/history", needs=READ_ENDPOINTS)
    def history(self, project: str, name: str, limit: int = 50, before: str | None = None) -> RolloutPage:
        """List the rollouts of an endpoint, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, name)
            query = select_rollouts().where(rollouts.c.endpoint_pk == place.pk)
            if before is not None:
                query = query.where(rollouts.c.id < before)
            rows = connection.execute(query.order_by(rollouts.c.id.desc()).limit(bound + 1)).mappings().all()
        items = [stored_rollout(row).rollout for row in rows[:bound]]
        return RolloutPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("DELETE", "/projects/{project}/endpoints/{name}", needs=DEPLOY)
    def delete(self, project: str, name: str) -> None:
        """Take an endpoint away; what it captured is kept. A rollout under way fails."""
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, name, lock=True)
            release_versions(
                connection, project=project, endpoint=name, digests=place.digests.values(), keep=()
            )
            stored = rollout_under_way(connection, place.pk)
            if stored is not None:
                reason = "The endpoint was deleted"
                end(connection, self.context, stored, RolloutStatus.FAILED, reason, [])
            connection.execute(
                sa.update(endpoints)
                .where(endpoints.c.pk == place.pk)
                .values(deleted_at=self.context.clock.now(), revision=place.revision + 1)
            )
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=ENDPOINT_DELETED,
                subject=f"endpoint:{name}",
                project=project,
            )

    @operation("GET", "/serving/plans", needs=SERVE)
    def plans(self, etag: str = "") -> PlanSet:
        """Give what model servers are to serve, in all projects.

        Parameters
        ----------
        etag
            Of the plans that the asker has; when it is still right, the plans are left out.
        """
        with self.context.database.read() as connection:
            current = _etag(connection)
            if current == etag:
                return PlanSet(etag=current)
            query = (
                sa.select(projects.c.name.label("project"), *COLUMNS)
                .join(projects, projects.c.pk == endpoints.c.project_pk)
                .where(endpoints.c.deleted_at.is_(None))
                .order_by(projects.c.name, endpoints.c.name)
            )
            rows = connection.execute(query).all()
            asked = planned_options(connection)
            mended = planned_repairs(connection)
        plans = [_plan(row[0], EndpointRow._make(row[1:])) for row in rows]
        return PlanSet(
            etag=current,
            plans=[
                msgspec.structs.replace(plan, **asked.get(row[1], {}), repair=mended.get(row[1], []))
                for plan, row in zip(plans, rows, strict=True)
            ],
        )

    @operation("POST", "/serving/reports", needs=SERVE, status=200)
    def report(self, seen: ServerReport) -> None:
        """Take a model server's sign of life, and what it made of the plans."""
        now = self.context.clock.now()
        same = model_servers.c.server == seen.server
        if seen.url is not None:
            # One that was killed and started again answers at the same address under a new name.
            same = sa.or_(same, model_servers.c.url == seen.url)
        with self.context.database.write() as connection:
            tell_of_changes(connection, self.context, seen)
            count_lines(connection, self.context, seen)
            connection.execute(sa.delete(model_servers).where(same))
            if not seen.leaving:
                connection.execute(
                    sa.insert(model_servers).values(
                        server=seen.server,
                        url=seen.url,
                        seen_at=now,
                        endpoints=seen.endpoints,
                        n_dropped=seen.n_dropped,
                        standing=seen.standing,
                    )
                )

    @operation("GET", "/serving/model-servers", needs=READ_ENDPOINTS)
    def servers(self) -> ModelServerList:
        """List the model servers that reported lately."""
        with self.context.database.read() as connection:
            return ModelServerList(items=alive_servers(connection, self.context.clock.now()))

    @operation("POST", "/projects/{project}/endpoints/{name}/replays", needs=REPLAY, status=200)
    def permit_replay(self, project: str, name: str) -> None:
        """Do nothing: a model server asks this with its caller's credential, to learn what the caller may do."""
        with self.context.database.read() as connection:
            endpoint_row(connection, project, name)


def _entities(
    connection: sa.Connection, project: str, rows: Sequence[EndpointRow], now: datetime
) -> list[Endpoint]:
    query = sa.select(rollouts.c.endpoint_pk, rollouts.c.id).where(
        rollouts.c.endpoint_pk.in_([row.pk for row in rows]), rollouts.c.ended_at.is_(None)
    )
    active = dict(connection.execute(query).all())
    servers = alive_servers(connection, now)
    return [
        row.entity(project, rollout_id=active.get(row.pk), urls=_urls(servers, project, row.name))
        for row in rows
    ]


def _urls(servers: list[ModelServer], project: str, name: str) -> list[str]:
    return [
        server.url
        for server in servers
        if server.url is not None
        and any((plan.project, plan.endpoint) == (project, name) for plan in server.endpoints)
    ]


def _etag(connection: sa.Connection) -> str:
    # Keys are never reused and revisions only grow, so equal counts, sums and largest keys mean equal plans.
    query = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.max(endpoints.c.pk), 0), sa.func.sum(endpoints.c.revision)
    ).where(endpoints.c.deleted_at.is_(None))
    options = sa.select(sa.func.sum(endpoint_options.c.revision))
    found = [*connection.execute(query).one(), connection.execute(options).scalar()]
    return ".".join(str(int(value or 0)) for value in found)


def _plan(project: str, row: EndpointRow) -> EndpointPlan:
    cascade = row.cascade
    return EndpointPlan(
        project=project,
        endpoint=row.name,
        model=row.model,
        revision=row.revision,
        versions=[
            PlannedVersion(version=version, digest=row.digests[version], weight=weight)
            for version, weight in _weights(row).items()
        ],
        shadows=[
            PlannedShadow(version=share.version, digest=row.digests[share.version], share=share.weight)
            for share in row.shadows or ()
        ],
        cascade=None if cascade is None else PlannedCascade(**msgspec.structs.asdict(cascade)),
    )


def _weights(row: EndpointRow) -> dict[int, float]:
    weights = {share.version: share.weight for share in row.shares}
    others = [*row.loaded, *(each.version for each in row.warm or ())]
    return weights | {version: 0.0 for version in sorted(others) if version not in weights}
