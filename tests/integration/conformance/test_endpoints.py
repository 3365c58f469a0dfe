"""Endpoints: deployments, plans, model servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.workspace import Workspace
from noria.registry.entities import AliasTarget, Task
from noria.registry.service import Models
from noria.serving.endpoints import NothingToRollBack
from noria.serving.entities import Deployment, Reason, RolloutStatus, RolloutStep, Share, Strategy
from noria.serving.plans import ServerReport
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.fitting import SignatureDiffers
from noria.serving.service import Endpoints, Rollouts
from support.conformance import Services
from support.serving import follow, register_version, signature


def _deploy(services: Services, version: int | str, **options: object) -> object:
    plan = Deployment(model="digits", version=version, **options)  # type: ignore[arg-type]
    return services(Endpoints).deploy("default", "live", plan)


def test_the_first_deployment_makes_the_endpoint(services: Services, workspace: Workspace) -> None:
    """There is nothing to compare with, so the version answers at once, whatever the strategy."""
    register_version(workspace)

    rollout = services(Endpoints).deploy(
        "default", "live", Deployment(model="digits", version=1, strategy=Strategy.CANARY)
    )
    found = services(Endpoints).get("default", "live")

    assert (rollout.status, rollout.from_version, rollout.to_version) == (RolloutStatus.PROMOTED, None, 1)
    assert found.shares == [Share(version=1, weight=1.0)]
    assert (found.model, found.task, found.revision, found.rollout_id) == (
        "digits",
        "classification",
        1,
        None,
    )


def test_a_replacement_answers_at_once(services: Services, workspace: Workspace) -> None:
    """All requests go to the new version, and the way back is one call."""
    register_version(workspace)
    register_version(workspace)
    _deploy(services, 1)

    _deploy(services, 2)
    assert services(Endpoints).get("default", "live").shares == [Share(version=2, weight=1.0)]
    back = services(Endpoints).rollback("default", "live", Reason(reason="worse"))

    assert (back.from_version, back.to_version, back.reason) == (2, 1, "worse")
    assert services(Endpoints).get("default", "live").shares == [Share(version=1, weight=1.0)]


def test_the_first_version_cannot_be_rolled_back(services: Services, workspace: Workspace) -> None:
    """There is nothing before it."""
    register_version(workspace)
    _deploy(services, 1)

    with pytest.raises(NothingToRollBack):
        services(Endpoints).rollback("default", "live", Reason())


def test_a_canary_begins_with_nothing(services: Services, workspace: Workspace) -> None:
    """The new version is loaded, but gets no request before the control loop has seen it loaded."""
    register_version(workspace)
    register_version(workspace)
    _deploy(services, 1)

    rollout = services(Endpoints).deploy(
        "default",
        "live",
        Deployment(model="digits", version=2, strategy=Strategy.CANARY, steps=[RolloutStep(weight=0.2)]),
    )
    found = services(Endpoints).get("default", "live")

    assert (rollout.status, rollout.step) == (RolloutStatus.RUNNING, -1)
    assert found.shares == [Share(version=1, weight=1.0), Share(version=2, weight=0.0)]
    assert found.rollout_id == rollout.id
    assert services(Rollouts).check("default", rollout.id).waits_for[0].startswith("No model server")


def test_a_second_rollout_beside_the_first_is_refused(services: Services, workspace: Workspace) -> None:
    """One passage at a time; the error names the one under way."""
    for _ in range(3):
        register_version(workspace)
    _deploy(services, 1)
    _deploy(services, 2, strategy=Strategy.CANARY)

    with pytest.raises(RolloutUnderWay) as caught:
        _deploy(services, 3)

    assert "noria rollouts abort" in (caught.value.hint or "")


def test_a_decision_deploys_once(services: Services, workspace: Workspace) -> None:
    """Asking again with the same decision gives the rollout that it started, also after its end."""
    register_version(workspace)
    register_version(workspace)
    _deploy(services, 1)
    plan = Deployment(model="digits", version=2, strategy=Strategy.CANARY, decision_id="d1")

    first = services(Endpoints).deploy("default", "live", plan)
    second = services(Endpoints).deploy("default", "live", plan)
    services(Rollouts).abort("default", first.id, Reason())
    third = services(Endpoints).deploy("default", "live", plan)

    assert first.id == second.id == third.id


def test_deploying_what_answers_already_changes_nothing(services: Services, workspace: Workspace) -> None:
    """A script may run twice."""
    register_version(workspace)
    first = _deploy(services, 1)

    assert _deploy(services, 1) == first
    assert services(Endpoints).get("default", "live").revision == 1


def test_another_signature_is_refused_with_the_difference(services: Services, workspace: Workspace) -> None:
    """Clients would break; the error says at what."""
    register_version(workspace)
    register_version(workspace, taking=signature(columns=5))
    register_version(workspace, task=Task.REGRESSION)
    _deploy(services, 1)

    with pytest.raises(SignatureDiffers, match=r"the input `x` has the shape \[-1, 5\], not \[-1, 4\]"):
        _deploy(services, 2)
    with pytest.raises(SignatureDiffers, match="it is for regression, not classification"):
        _deploy(services, 3)


def test_a_version_that_learned_a_class_fits(services: Services, workspace: Workspace) -> None:
    """One probability more breaks nobody."""
    register_version(workspace)
    register_version(workspace, taking=signature(classes=4))
    _deploy(services, 1)

    _deploy(services, 2)

    assert services(Endpoints).get("default", "live").version == 2


def test_another_model_is_refused(services: Services, workspace: Workspace) -> None:
    """An endpoint stands for one model."""
    register_version(workspace)
    register_version(workspace, "letters")
    _deploy(services, 1)

    with pytest.raises(Conflict, match="serves the model `digits`, not `letters`"):
        services(Endpoints).deploy("default", "live", Deployment(model="letters", version=1))


def test_unknown_names_suggest_near_ones(services: Services, workspace: Workspace) -> None:
    """A typing error is named with its mend."""
    register_version(workspace)
    _deploy(services, 1)

    with pytest.raises(NotFound) as caught:
        services(Endpoints).get("default", "lvie")
    assert "live" in (caught.value.hint or "")
    with pytest.raises(NotFound):
        _deploy(services, 9)
    with pytest.raises(Invalid):
        services(Endpoints).deploy("default", "no spaces", Deployment(model="digits", version=1))


def test_an_alias_names_the_version_and_moves_with_it(services: Services, workspace: Workspace) -> None:
    """Deploying by alias pins the version that it means now; a promotion can move another alias."""
    register_version(workspace)
    services(Models).set_alias("default", "digits", "challenger", AliasTarget(version=1))

    _deploy(services, "challenger", alias="champion")

    assert services(Models).resolve("default", "digits@champion").version == 1


def test_plans_name_what_to_load(services: Services, workspace: Workspace) -> None:
    """Model servers get every endpoint of every project, and nothing twice."""
    made = register_version(workspace)
    services(Projects).create(NewProject(name="team"))
    register_version(workspace, project="team")
    _deploy(services, 1)
    services(Endpoints).deploy("team", "live", Deployment(model="digits", version=1))

    first = services(Endpoints).plans()
    again = services(Endpoints).plans(etag=first.etag)

    assert first.plans is not None
    assert [(plan.project, plan.endpoint) for plan in first.plans] == [("default", "live"), ("team", "live")]
    assert [(v.version, v.digest, v.weight) for v in first.plans[0].versions] == [(1, made.digest, 1.0)]
    assert (again.etag, again.plans) == (first.etag, None)


def test_every_change_of_a_plan_changes_the_etag(services: Services, workspace: Workspace) -> None:
    """Nothing is missed: a new endpoint, a change of shares, a deleted endpoint, one of the same name again."""
    register_version(workspace)
    register_version(workspace)
    etag = services(Endpoints).plans().etag
    changes: list[Callable[[], object]] = [
        lambda: _deploy(services, 1),
        lambda: _deploy(services, 2),
        lambda: services(Endpoints).delete("default", "live"),
        lambda: _deploy(services, 1),
    ]
    for change in changes:
        change()
        found = services(Endpoints).plans(etag=etag)
        assert found.plans is not None
        assert found.etag != etag
        etag = found.etag


def test_a_deleted_endpoint_frees_its_name_and_ends_its_rollout(
    services: Services, workspace: Workspace
) -> None:
    """What it captured stays with it; a new endpoint of the name begins anew."""
    register_version(workspace)
    register_version(workspace)
    _deploy(services, 1)
    rollout = services(Endpoints).deploy(
        "default", "live", Deployment(model="digits", version=2, strategy=Strategy.CANARY)
    )
    before = services(Endpoints).get("default", "live")

    services(Endpoints).delete("default", "live")

    assert services(Rollouts).get("default", rollout.id).status is RolloutStatus.FAILED
    with pytest.raises(NotFound):
        services(Endpoints).get("default", "live")
    _deploy(services, 2)
    after = services(Endpoints).get("default", "live")
    assert (after.version, after.revision) == (2, 1)
    assert after.id != before.id


def test_model_servers_are_known_by_their_reports(services: Services, workspace: Workspace) -> None:
    """An endpoint shows where it answers; a server that started again at its address is not counted twice."""
    register_version(workspace)
    _deploy(services, 1)
    url = "http://127.0.0.1:9999"

    follow(services(Endpoints), server="one", url=url)
    follow(services(Endpoints), server="two", url=url)

    assert services(Endpoints).get("default", "live").urls == [url]
    assert [server.server for server in services(Endpoints).servers().items] == ["two"]
    services(Endpoints).report(ServerReport(server="two", url=url, endpoints=[], leaving=True))
    assert services(Endpoints).servers().items == []


def test_endpoints_are_listed_by_name_in_pages(services: Services, workspace: Workspace) -> None:
    """Pages continue where the last one ended."""
    register_version(workspace)
    for name in ("b", "a", "c"):
        services(Endpoints).deploy("default", name, Deployment(model="digits", version=1))

    first = services(Endpoints).list("default", limit=2)
    second = services(Endpoints).list("default", limit=2, after=first.next or "")

    assert [e.name for e in first.items] == ["a", "b"]
    assert [e.name for e in second.items] == ["c"]
    assert second.next is None


def test_history_lists_rollouts_newest_first(services: Services, workspace: Workspace) -> None:
    """Every passage of the endpoint, in pages."""
    register_version(workspace)
    register_version(workspace)
    _deploy(services, 1)
    _deploy(services, 2)
    _deploy(services, 1)

    first = services(Endpoints).history("default", "live", limit=2)
    second = services(Endpoints).history("default", "live", before=first.next)

    assert [(r.from_version, r.to_version) for r in first.items + second.items] == [(2, 1), (1, 2), (None, 1)]
    assert second.next is None
    assert services(Rollouts).list("default", endpoint="live", limit=3).items == first.items + second.items
    assert services(Rollouts).list("default", status=RolloutStatus.RUNNING).items == []
