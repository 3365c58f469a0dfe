"""Put a version behind an endpoint: what is checked, and what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service
from noria.registry.entities import AliasTarget, ServableVersion, Signature, TensorSpec
from noria.registry.rules import check_consent, servable
from noria.registry.service import Models
from noria.registry.uses import use_version
from noria.serving.entities import (
    Deployment,
    Rollout,
    RolloutSection,
    RolloutStatus,
    Share,
    Strategy,
    check_steps,
)
from noria.serving.events import ENDPOINT_CREATED, ROLLOUT_PROMOTED, ROLLOUT_STARTED
from noria.serving.locate import EndpointRow, find_endpoint
from noria.serving.rollouts.passage import settle_shares
from noria.serving.rollouts.progress import LOADING
from noria.serving.rollouts.sight import load_rollout, select_rollouts, stored_rollout
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


class SignatureDiffers(Conflict):
    """The version takes or gives something else than the version that the endpoint's clients know."""

    code = "signature_differs"

    def __init__(self, endpoint: str, version: ServableVersion, differences: list[str]) -> None:
        super().__init__(
            f"`{version.model}@{version.version}` does not fit the clients of the endpoint `{endpoint}`: "
            + "; ".join(differences),
            hint="Deploy it to an endpoint of its own: `--to NAME`",
            details={"differences": differences},
        )


class _Changed(Exception):
    """The endpoint changed between the look and the write."""


class Deployer:
    """One deployment, on behalf of the service that was asked for it."""

    def __init__(self, service: Service) -> None:
        self._context: Context = service.context
        self._models = service.sibling(Models)

    def deploy(self, project: str, name: str, plan: Deployment) -> Rollout:
        """Check the wish against what is there, and begin the rollout."""
        check_name("endpoint", name)
        version = servable(self._models.resolve(project, f"{plan.model}@{plan.version}"))
        check_consent(version)
        if plan.steps is not None:
            check_steps(plan.steps)
        for _ in range(_ATTEMPTS):
            with self._context.database.read() as connection:
                found = find_endpoint(connection, project, name)
            if found is not None:
                self._check_fits(project, found, version)
            try:
                rollout = self._write(project, name, plan, version, found)
            except (_Changed, sa.exc.IntegrityError):
                continue
            return settle_alias(self._models, rollout)
        raise Conflict(f"The endpoint `{name}` is being changed by others", hint="Try again")

    def _check_fits(self, project: str, endpoint: EndpointRow, version: ServableVersion) -> None:
        # The endpoint knows the model by the name that it had when it was first deployed.
        if version.model not in (endpoint.model, self._models.get(project, endpoint.model).name):
            raise Conflict(
                f"The endpoint `{endpoint.name}` serves the model `{endpoint.model}`, not `{version.model}`",
                hint="Deploy to an endpoint of its own: `--to NAME`",
            )
        serving = max(endpoint.shares, key=lambda share: share.weight).version
        if serving == version.version:
            return
        known = servable(self._models.version(project, endpoint.model, serving))
        differences = signature_differences(known.signature, version.signature)
        if known.task != version.task:
            differences.insert(0, f"it is for {version.task}, not {known.task}")
        if differences:
            raise SignatureDiffers(endpoint.name, version, differences)

    def _write(
        self, project: str, name: str, plan: Deployment, version: ServableVersion, seen: EndpointRow | None
    ) -> Rollout:
        with self._context.database.write(durable=True) as connection:
            found = find_endpoint(connection, project, name, lock=True)
            if (found and (found.pk, found.revision)) != (seen and (seen.pk, seen.revision)):
                raise _Changed
            if found is None:
                self._use(connection, project, name, version)
                return self._create(connection, project, name, plan, version)
            repeated = _repeated(connection, found, plan, version)
            if repeated is not None:
                return repeated
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
        self, connection: sa.Connection, project: str, name: str, plan: Deployment, version: ServableVersion
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
        settle_shares(connection, self._context, project, name, shares, 1)
        return self._insert_rollout(connection, made, plan, version, None, 1)

    def _start(
        self,
        connection: sa.Connection,
        project: str,
        endpoint: EndpointRow,
        plan: Deployment,
        version: ServableVersion,
    ) -> Rollout:
        old = max(endpoint.shares, key=lambda share: share.weight).version
        weight = 1.0 if plan.strategy is Strategy.REPLACE else 0.0
        shares = [Share(version=old, weight=1.0 - weight), Share(version=version.version, weight=weight)]
        revision = endpoint.revision + 1
        shares = [share for share in shares if share.weight or share.version == version.version]
        connection.execute(
            sa.update(endpoints)
            .where(endpoints.c.pk == endpoint.pk)
            .values(
                shares=shares,
                revision=revision,
                digests={**endpoint.digests, version.version: version.digest},
            )
        )
        settle_shares(connection, self._context, project, endpoint.name, shares, revision)
        return self._insert_rollout(connection, endpoint.pk, plan, version, old, revision)

    def _insert_rollout(
        self,
        connection: sa.Connection,
        endpoint_pk: int,
        plan: Deployment,
        version: ServableVersion,
        old: int | None,
        endpoint_revision: int,
    ) -> Rollout:
        defaults = self._context.settings.section("rollouts", RolloutSection)
        at_once = old is None or plan.strategy is Strategy.REPLACE
        steps = [] if at_once else plan.steps or defaults.steps()
        if not at_once:
            check_steps(steps)
        now = self._context.clock.now()
        identity = new_id()
        connection.execute(
            sa.insert(rollouts).values(
                id=identity,
                endpoint_pk=endpoint_pk,
                strategy=(Strategy.REPLACE if at_once else plan.strategy).value,
                from_version=old,
                to_version=version.version,
                steps=steps,
                step=LOADING,
                status=(RolloutStatus.PROMOTED if at_once else RolloutStatus.RUNNING).value,
                gates=plan.gates or defaults.gates,
                patience_s=plan.patience_s if plan.patience_s is not None else defaults.patience_s,
                history=[],
                reason=plan.reason,
                decision_id=plan.decision_id,
                alias=plan.alias,
                started_by=self._context.principal.name,
                created_at=now,
                step_started_at=None,
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


def signature_differences(known: Signature, new: Signature) -> list[str]:
    """Say how a signature differs from the one that clients know, one sentence each.

    What is sent must be the same in name, datatype and shape. What comes back must be the same in name and datatype;
    its sizes may differ, since a classifier that learned a new class gives one more probability.
    """
    return [
        *_tensor_differences("input", known.inputs, new.inputs, sizes=True),
        *_tensor_differences("output", known.outputs, new.outputs, sizes=False),
    ]


def _tensor_differences(
    kind: str, known: list[TensorSpec], new: list[TensorSpec], *, sizes: bool
) -> list[str]:
    before = {tensor.name: tensor for tensor in known}
    after = {tensor.name: tensor for tensor in new}
    found = [f"it lacks the {kind} `{name}`" for name in before if name not in after]
    found += [f"it has the further {kind} `{name}`" for name in after if name not in before]
    for name in [name for name in before if name in after]:
        was, now = before[name], after[name]
        if was.datatype != now.datatype:
            found.append(f"the {kind} `{name}` is {now.datatype}, not {was.datatype}")
        if len(was.shape) != len(now.shape) or (sizes and list(was.shape) != list(now.shape)):
            found.append(f"the {kind} `{name}` has the shape {list(now.shape)}, not {list(was.shape)}")
    return found


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
