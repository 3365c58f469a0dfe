"""Put a version behind an endpoint: what is checked, and what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, Invalid
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service
from noria.core.serialisation import convert
from noria.registry.entities import AliasTarget, ServableVersion
from noria.registry.rules import check_consent, servable
from noria.registry.service import Models
from noria.registry.uses import use_version
from noria.serving.entities import Approvals, Deployment, Rollout, RolloutStatus, RolloutStep, Share, Strategy
from noria.serving.events import ENDPOINT_CREATED, ROLLOUT_PROMOTED, ROLLOUT_STARTED
from noria.serving.gate_rules import Gates
from noria.serving.locate import EndpointRow, find_endpoint
from noria.serving.rollouts.fitting import check_fits
from noria.serving.rollouts.passage import settle, warm_version
from noria.serving.rollouts.sight import load_rollout, select_rollouts, stored_rollout
from noria.serving.rollouts.steps import LOADING, RolloutSection, check_steps, stricter
from noria.serving.tables import endpoints, rollouts

if TYPE_CHECKING:
    from noria.core.context import Context

_ATTEMPTS = 5


class RolloutUnderWay(Conflict):
    """Another rollout of the endpoint has not ended."""

    code = "rollout_under_way"

    def __init__(self, endpoint: str, rollout: Rollout) -> None:
        super().__init__(
            f"The endpoint `{endpoint}` is in the middle of a rollout to version {rollout.to_version}",
            hint=f"Wait for it, or end it: `noria rollouts abort {rollout.id}`",
            details={"rollout_id": rollout.id},
        )


class CascadeStands(Conflict):
    """Two versions answer in turn at the endpoint, so there is no one version to take the place of."""

    code = "cascade_stands"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"The endpoint `{endpoint}` answers in two phases",
            hint=f"End that first: `noria endpoints cascade {endpoint} --off`",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A wish with what the settings add to it."""

    wish: Deployment
    steps: list[RolloutStep]
    gates: Gates
    patience_s: float | None
    keep_warm_s: float
    promotes: bool
    approvals: Approvals | None
    is_rollback: bool

    @property
    def at_once(self) -> bool:
        """Whether the version takes its place now."""
        return self.wish.strategy is Strategy.REPLACE and self.approvals is None


class _Changed(Exception):
    """The endpoint changed between the look and the write."""


class Deployer:
    """One deployment, on behalf of the service that was asked for it."""

    def __init__(self, service: Service) -> None:
        self._context: Context = service.context
        self._models = service.sibling(Models)

    def deploy(self, project: str, name: str, plan: Deployment, *, is_rollback: bool = False) -> Rollout:
        """Check the wish against what is there, and begin the rollout.

        Parameters
        ----------
        is_rollback
            It leads back to a version that answered before: that waits for nobody, and ends a cascade.
        """
        check_name("endpoint", name)
        version = servable(self._models.resolve(project, f"{plan.model}@{plan.version}"))
        check_consent(version)
        planned = self._planned(plan, is_rollback=is_rollback)
        for _ in range(_ATTEMPTS):
            with self._context.database.read() as connection:
                found = find_endpoint(connection, project, name)
            if found is not None:
                check_fits(self._models, project, found, version)
            try:
                rollout = self._write(project, name, planned, version, found)
            except (_Changed, sa.exc.IntegrityError):
                continue
            return settle_alias(self._models, rollout)
        raise Conflict(f"The endpoint `{name}` is being changed by others", hint="Try again")

    def _planned(self, plan: Deployment, *, is_rollback: bool) -> _Planned:
        defaults = self._context.settings.section("rollouts", RolloutSection)
        steps = defaults.steps(plan.strategy) if plan.steps is None else plan.steps
        gates = plan.gates or defaults.gates
        check_steps(steps, plan.strategy)
        _check_wish(plan, gates)
        convert(msgspec.to_builtins(plan), Deployment, what="deployment")
        approvals = None if is_rollback else stricter(defaults.approvals, plan.approvals)
        return _Planned(
            wish=plan,
            steps=[] if plan.strategy is Strategy.REPLACE else steps,
            gates=gates,
            patience_s=defaults.patience_s if plan.patience_s is None else plan.patience_s,
            keep_warm_s=defaults.keep_warm_s if plan.keep_warm_s is None else plan.keep_warm_s,
            promotes=plan.strategy is not Strategy.SHADOW if plan.promote is None else plan.promote,
            approvals=approvals,
            is_rollback=is_rollback,
        )

    def _write(
        self, project: str, name: str, plan: _Planned, version: ServableVersion, seen: EndpointRow | None
    ) -> Rollout:
        with self._context.database.write(durable=True) as connection:
            found = find_endpoint(connection, project, name, lock=True)
            if (found and (found.pk, found.revision)) != (seen and (seen.pk, seen.revision)):
                raise _Changed
            if found is None:
                self._use(connection, project, name, version)
                return self._create(connection, project, name, plan, version)
            repeated = _repeated(connection, found, plan.wish, version)
            if repeated is not None:
                return repeated
            if found.cascade is not None and not plan.is_rollback:
                raise CascadeStands(name)
            self._use(connection, project, name, version)
            return self._start(connection, project, found, plan, version)

    def _use(self, connection: sa.Connection, project: str, name: str, version: ServableVersion) -> None:
        use_version(
            connection,
            self._context,
            project=project,
            model=version.model,
            version=version.version,
            endpoint=name,
        )

    def _create(
        self, connection: sa.Connection, project: str, name: str, plan: _Planned, version: ServableVersion
    ) -> Rollout:
        shares = [Share(version=version.version, weight=1.0)]
        values = {
            "id": new_id(),
            "project_pk": project_pk(connection, project),
            "name": name,
            "model": version.model,
            "task": version.task,
            "shares": shares,
            "digests": {version.version: version.digest},
            "revision": 1,
            "created_at": self._context.clock.now(),
        }
        made = connection.execute(
            sa.insert(endpoints).values(**values).returning(endpoints.c.pk)
        ).scalar_one()
        self._tell(
            connection,
            ENDPOINT_CREATED,
            f"endpoint:{name}",
            project,
            {"model": version.model, "version": version.version},
        )
        settle(connection, self._context, project, name)
        return self._insert_rollout(connection, made, plan, version, None, 1)

    def _start(
        self,
        connection: sa.Connection,
        project: str,
        endpoint: EndpointRow,
        plan: _Planned,
        version: ServableVersion,
    ) -> Rollout:
        old = max(endpoint.shares, key=lambda share: share.weight).version
        values: dict[str, Any] = {"shares": [Share(version=version.version, weight=1.0)]}
        if plan.at_once:
            values |= {"warm": warm_version(self._context, old, plan.keep_warm_s) or None, "cascade": None}
        else:
            values["shares"] = [
                Share(version=old, weight=1.0),
                Share(version=version.version, weight=0.0),
            ]
        connection.execute(
            sa.update(endpoints)
            .where(endpoints.c.pk == endpoint.pk)
            .values(
                revision=endpoint.revision + 1,
                digests={**endpoint.digests, version.version: version.digest},
                **values,
            )
        )
        settle(connection, self._context, project, endpoint.name)
        return self._insert_rollout(connection, endpoint.pk, plan, version, old, endpoint.revision + 1)

    def _insert_rollout(
        self,
        connection: sa.Connection,
        endpoint_pk: int,
        plan: _Planned,
        version: ServableVersion,
        old: int | None,
        endpoint_revision: int,
    ) -> Rollout:
        at_once = old is None or plan.at_once
        now, identity = self._context.clock.now(), new_id()
        connection.execute(
            sa.insert(rollouts).values(
                id=identity,
                endpoint_pk=endpoint_pk,
                strategy=(Strategy.REPLACE if at_once else plan.wish.strategy).value,
                from_version=old,
                to_version=version.version,
                steps=[] if at_once else plan.steps,
                step=LOADING,
                status=(RolloutStatus.PROMOTED if at_once else RolloutStatus.RUNNING).value,
                gates=plan.gates,
                patience_s=plan.patience_s,
                promotes=at_once or plan.promotes,
                approvals=None if at_once else plan.approvals,
                keep_warm_s=plan.keep_warm_s,
                is_rollback=plan.is_rollback,
                history=[],
                reason=plan.wish.reason,
                decision_id=plan.wish.decision_id,
                alias=plan.wish.alias,
                started_by=self._context.principal.name,
                created_at=now,
                ended_at=now if at_once else None,
                first_endpoint_revision=endpoint_revision,
                step_endpoint_revision=endpoint_revision,
                revision=1,
            )
        )
        rollout = load_rollout(connection, identity).rollout
        self._tell_of(connection, rollout)
        return rollout

    def _tell_of(self, connection: sa.Connection, rollout: Rollout) -> None:
        payload = {
            "rollout_id": rollout.id,
            "endpoint": rollout.endpoint,
            "strategy": rollout.strategy.value,
            "from": rollout.from_version,
            "to": rollout.to_version,
            "decision_id": rollout.decision_id,
        }
        subject = f"rollout:{rollout.id}"
        self._tell(connection, ROLLOUT_STARTED, subject, rollout.project, payload)
        if rollout.status is RolloutStatus.PROMOTED:
            self._tell(connection, ROLLOUT_PROMOTED, subject, rollout.project, payload)

    def _tell(
        self, connection: sa.Connection, type_: Any, subject: str, project: str, payload: dict[str, Any]
    ) -> None:
        append(
            connection,
            self._context.clock,
            actor=self._context.principal.name,
            type=type_,
            subject=subject,
            project=project,
            payload=payload,
        )


def _check_wish(plan: Deployment, gates: Gates) -> None:
    if plan.promote is False and plan.strategy is not Strategy.SHADOW:
        raise Invalid(
            f"A rollout of strategy `{plan.strategy.value}` ends with the new version in place when it passes",
            hint="To compare only, use strategy `shadow`",
        )
    if plan.strategy is Strategy.AB and gates.quality is None:
        raise Invalid(
            "An A/B rollout is decided by labelled quality, and its gates leave `quality` out",
            hint="Set `[rollouts.gates.quality]`, or use strategy `canary`",
        )


def settle_alias(models: Models, rollout: Rollout) -> Rollout:
    """Move the alias that a promoted rollout was asked to move. Safe to repeat."""
    if rollout.alias is not None and rollout.status is RolloutStatus.PROMOTED:
        models.set_alias(
            rollout.project, rollout.model, rollout.alias, AliasTarget(version=rollout.to_version)
        )
    return rollout


def serves(connection: sa.Connection, project: str, model: str) -> bool:
    """Tell whether an endpoint knows its model by this name."""
    query = sa.select(endpoints.c.pk).where(
        endpoints.c.project_pk == project_pk(connection, project), endpoints.c.model == model
    )
    return connection.execute(query.limit(1)).first() is not None


def rename_model(context: Context, project: str, before: str, name: str) -> int:
    """Let the endpoints of a model know its new name; give how many there are. Safe to repeat."""
    with context.database.write(durable=True) as connection:
        changed = connection.execute(
            sa.update(endpoints)
            .where(endpoints.c.project_pk == project_pk(connection, project))
            .where(endpoints.c.model == before)
            .values(model=name)
        )
    return changed.rowcount


def _repeated(
    connection: sa.Connection, endpoint: EndpointRow, plan: Deployment, version: ServableVersion
) -> Rollout | None:
    """Give the rollout that this wish asks for again, or refuse a second one beside it."""
    query = select_rollouts().where(rollouts.c.endpoint_pk == endpoint.pk)
    if plan.decision_id is not None:
        same = query.where(
            rollouts.c.decision_id == plan.decision_id, rollouts.c.to_version == version.version
        )
        row = connection.execute(same.order_by(rollouts.c.pk.desc()).limit(1)).mappings().one_or_none()
        if row is not None:
            return stored_rollout(row).rollout
    row = connection.execute(query.where(rollouts.c.ended_at.is_(None))).mappings().one_or_none()
    if row is not None:
        raise RolloutUnderWay(endpoint.name, stored_rollout(row).rollout)
    if endpoint.shares != [Share(version=version.version, weight=1.0)]:
        return None
    brought = query.where(
        rollouts.c.to_version == version.version, rollouts.c.status == RolloutStatus.PROMOTED.value
    )
    row = connection.execute(brought.order_by(rollouts.c.pk.desc()).limit(1)).mappings().one()
    return stored_rollout(row).rollout
