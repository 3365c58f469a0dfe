"""A version that an endpoint serves stays: over each transport and on each database."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import NotFound
from noria.core.objects.references import object_references
from noria.core.workspace import Workspace
from noria.registry.entities import ModelVersion, NewModelVersion, NewName
from noria.registry.service import Models
from noria.registry.uses import ModelVersionInUse
from noria.registry.versions import ModelVersions
from noria.serving.entities import Deployment, Reason, RolloutStatus, Share, Strategy
from noria.serving.held_versions import keep_served_versions
from noria.serving.rollouts.passage import end
from noria.serving.rollouts.sight import load_rollout
from noria.serving.service import Endpoints
from support.conformance import Services
from support.serving import register_version

PROJECT = "default"
USES = object_references.c.owner.startswith("served-version:")


def deploy(services: Services, version: int, endpoint: str = "live", **options: object) -> str:
    plan = Deployment(model="digits", version=version, **options)  # type: ignore[arg-type]
    return services(Endpoints).deploy(PROJECT, endpoint, plan).id


def again(workspace: Workspace, of: ModelVersion) -> ModelVersion:
    """Register the same files once more."""
    assert of.digest is not None
    assert of.task is not None
    assert of.signature is not None
    new = NewModelVersion(digest=of.digest, format="none", task=of.task, signature=of.signature)
    return workspace.service(Models).register(PROJECT, "digits", new)


def deletable(services: Services) -> set[int]:
    """Delete what can be deleted, and give its numbers."""
    gone = set()
    for version in services(Models).versions(PROJECT, "digits").items:
        with suppress(ModelVersionInUse):
            services(ModelVersions).delete(PROJECT, "digits", version.version)
            gone.add(version.version)
    return gone


def test_a_served_version_is_not_deleted(services: Services, workspace: Workspace) -> None:
    """Neither by itself nor with its model; the error names the endpoints and what to do."""
    register_version(workspace)
    register_version(workspace)
    deploy(services, 1)
    deploy(services, 1, "another")

    with pytest.raises(ModelVersionInUse, match=r"`digits@1` .* `another`, `live`") as caught:
        services(ModelVersions).delete(PROJECT, "digits", 1)
    assert "noria endpoints delete another" in str(caught.value.hint)
    assert "noria deploy digits@VERSION --to another" in str(caught.value.hint)
    with pytest.raises(ModelVersionInUse):
        services(Models).delete(PROJECT, "digits")
    assert [version.version for version in services(Models).versions(PROJECT, "digits").items] == [2, 1]
    services(ModelVersions).delete(PROJECT, "digits", 2)


def test_a_replaced_version_can_be_deleted(services: Services, workspace: Workspace) -> None:
    """Also when the one that replaced it is made of the same files."""
    first = register_version(workspace)
    again(workspace, first)
    deploy(services, 1)
    deploy(services, 2)

    assert deletable(services) == {1}


def test_both_versions_of_a_rollout_stay(services: Services, workspace: Workspace) -> None:
    """Until it has ended; then the one that lost is free."""
    for _ in range(3):
        register_version(workspace)
    deploy(services, 1)
    deploy(services, 2, strategy=Strategy.CANARY)

    assert deletable(services) == {3}
    services(Endpoints).rollback(PROJECT, "live", Reason())
    assert services(Endpoints).get(PROJECT, "live").shares == [Share(version=1, weight=1.0)]
    assert deletable(services) == {2}


def test_a_promoted_version_stays(services: Services, workspace: Workspace, context: Context) -> None:
    """The version before it is free."""
    register_version(workspace)
    register_version(workspace)
    deploy(services, 1)
    rollout = deploy(services, 2, strategy=Strategy.CANARY)
    with context.database.write() as connection:
        end(connection, context, load_rollout(connection, rollout), RolloutStatus.PROMOTED, "fine", [])

    assert deletable(services) == {1}


def test_a_deleted_endpoint_lets_go(services: Services, workspace: Workspace, context: Context) -> None:
    """Of the versions of the rollout that was under way too; no trace of its use stays."""
    register_version(workspace)
    register_version(workspace)
    deploy(services, 1)
    deploy(services, 1, "another")
    deploy(services, 2, strategy=Strategy.CANARY)
    services(Endpoints).delete(PROJECT, "live")

    assert deletable(services) == {2}
    services(Endpoints).delete(PROJECT, "another")
    services(Models).delete(PROJECT, "digits")
    with context.database.read() as connection:
        query = sa.select(sa.func.count()).select_from(object_references).where(USES)
        assert connection.execute(query).scalar_one() == 0


def test_a_renamed_model_is_served_still(services: Services, workspace: Workspace) -> None:
    """The error has the name that the model has now."""
    register_version(workspace)
    deploy(services, 1)
    services(Models).rename(PROJECT, "digits", NewName(name="numbers"))

    with pytest.raises(ModelVersionInUse, match="`numbers@1`"):
        services(Models).delete(PROJECT, "numbers")


def test_endpoints_of_before_are_kept_up_with(
    services: Services, workspace: Workspace, context: Context
) -> None:
    """What they serve is kept from the next look on; a version that is gone by then is passed over."""
    for _ in range(3):
        register_version(workspace)
    deploy(services, 1)
    deploy(services, 2, "gone")
    with context.database.write() as connection:
        connection.execute(sa.delete(object_references).where(USES))
    services(ModelVersions).delete(PROJECT, "digits", 2)

    assert [keep_served_versions(context) for _ in range(2)] == [1, 0]
    assert deletable(services) == {3}


@pytest.mark.parametrize("turn", range(3))
def test_deploying_and_deleting_at_once(services: Services, workspace: Workspace, turn: int) -> None:
    """Either the version is deployed and stays, or it is gone and nothing serves it."""
    register_version(workspace)
    register_version(workspace)
    deploy(services, 1)
    start = threading.Barrier(2)
    refused: list[str] = []

    def delete() -> None:
        start.wait()
        try:
            services(ModelVersions).delete(PROJECT, "digits", 2)
        except ModelVersionInUse:
            refused.append("delete")

    def put() -> None:
        start.wait()
        try:
            deploy(services, 2)
        except NotFound:
            refused.append("deploy")

    threads = [threading.Thread(target=target) for target in ((delete, put) if turn % 2 else (put, delete))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    left = {version.version for version in services(Models).versions(PROJECT, "digits").items}
    serving = services(Endpoints).get(PROJECT, "live").version
    assert (left, serving) == (({1, 2}, 2) if refused == ["delete"] else ({1}, 1))
