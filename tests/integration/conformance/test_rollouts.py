"""Rollouts of every strategy, ways back, approvals and cascades: over each transport and on each database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict, Forbidden, Invalid
from noria.core.permissions import Principal, Role
from noria.core.workspace import Workspace
from noria.registry.versions import ModelVersions
from noria.serving.endpoints import NothingToRollBack
from noria.serving.entities import (
    ApprovalPoint,
    Approvals,
    Cascade,
    Deployment,
    Reason,
    Rollout,
    RolloutStatus,
    RolloutStep,
    Share,
    Strategy,
    WarmVersion,
)
from noria.serving.gate_rules import Gates, QualityGate
from noria.serving.packing import json_entry, pack
from noria.serving.plans import EndpointPlan, PlannedCascade
from noria.serving.predictions import CaptureRole
from noria.serving.rollouts.approving import MayNotApprove, NotApproved
from noria.serving.rollouts.deployment import CascadeStands, RolloutUnderWay
from noria.serving.rollouts.fitting import SignatureDiffers
from noria.serving.rollouts.passage import RolloutFinished, advance
from noria.serving.rollouts.warm import let_go_of_warm
from noria.serving.service import Captures, Cascades, Endpoints, Rollouts
from noria.serving.tables import rollouts
from support.conformance import Services
from support.serving import follow, predictions, register_version, signature

PROJECT = "default"
AT = datetime(2030, 1, 1, tzinfo=UTC)
STEP = RolloutStep(weight=0.5, bake_s=10, min_requests=100)
STEP_LATER = RolloutStep(weight=0.9, bake_s=10, min_requests=100)


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock(AT)


@pytest.fixture
def versions(workspace: Workspace) -> None:
    """Register three versions that take and give the same."""
    for _ in range(3):
        register_version(workspace)


def deploy(services: Services, version: int, name: str = "live", /, **options: object) -> Rollout:
    plan = Deployment(model="digits", version=version, **options)  # type: ignore[arg-type]
    return services(Endpoints).deploy(PROJECT, name, plan)


def planned(services: Services) -> EndpointPlan:
    (plan,) = services(Endpoints).plans().plans or []
    return plan


def weights(services: Services) -> dict[int, float]:
    return {version.version: version.weight for version in planned(services).versions}


def look(services: Services, context: Context, clock: ManualClock, rollout: Rollout) -> Rollout:
    """Let the model servers follow, both versions see 400 requests, time pass, and the control loop look."""
    follow(services(Endpoints))
    advance(context, rollout.id)
    endpoint = services(Endpoints).get(PROJECT, rollout.endpoint)
    seen = f"{endpoint.name}-{endpoint.revision}-{clock.now():%M%S}"
    answers = {
        version: predictions(
            [f"{0 if endpoint.shadows else version}-{seen}-{n}" for n in range(400)],
            version=version,
            revision=endpoint.revision,
        )
        for version in (1, 2)
    }
    beside = CaptureRole.SHADOW if endpoint.shadows else CaptureRole.ANSWER
    shadows = [msgspec.structs.replace(each, role=beside) for each in answers[2]]
    for batch in (answers[1], shadows):
        packed = pack([json_entry(each) for each in batch])
        services(Captures).append_packed(PROJECT, rollout.endpoint, packed)
    clock.advance(11)
    return advance(context, rollout.id)[0]


@pytest.mark.parametrize(
    ("strategy", "promote", "seen", "end"),
    [
        (Strategy.BLUE_GREEN, None, [(0, 1.0), (1, 0)], RolloutStatus.PROMOTED),
        (Strategy.SHADOW, None, [(0, 0.5)], RolloutStatus.COMPARED),
        (Strategy.SHADOW, True, [(0, 0.5)], RolloutStatus.PROMOTED),
        (Strategy.AB, None, [(0.5, 0)], RolloutStatus.ROLLED_BACK),
    ],
)
@pytest.mark.alike
@pytest.mark.usefixtures("versions")
def test_a_strategy_from_its_start_to_its_end(
    services: Services,
    context: Context,
    clock: ManualClock,
    strategy: Strategy,
    promote: bool | None,
    seen: list[tuple[float, float]],
    end: RolloutStatus,
) -> None:
    """What model servers are told in each step, and what answers afterwards."""
    deploy(services, 1)
    whole = RolloutStep(weight=1.0, bake_s=10, min_requests=100)
    steps = [whole, whole] if strategy is Strategy.BLUE_GREEN else [STEP]
    rollout = deploy(services, 2, strategy=strategy, steps=steps, promote=promote)
    found: list[tuple[float, float]] = []
    for _ in range(12):
        rollout = look(services, context, clock, rollout)
        if rollout.status.is_finished():
            break
        plan = planned(services)
        place = (weights(services)[2], sum(shadow.share for shadow in plan.shadows))
        if rollout.step >= 0 and place not in found:
            found.append(place)

    assert (found, rollout.status) == (seen, end)
    winner, other = (2, 1) if end is RolloutStatus.PROMOTED else (1, 2)
    endpoint = services(Endpoints).get(PROJECT, "live")
    assert (endpoint.shares, endpoint.shadows) == ([Share(version=winner, weight=1.0)], [])
    until = clock.now() + timedelta(seconds=600)
    assert endpoint.warm == ([WarmVersion(version=other, until=until)] if winner == 2 else [])
    step, n = rollout.history[1], rollout.history[1].n_requests
    assert step.new is not None
    assert step.old is not None
    assert (step.new.n_requests, step.old.n_requests) == (step.n_requests, step.n_requests)
    assert step.mirrored == seen[0][1]
    assert (step.pairs and (step.pairs.n, step.pairs.n_agreed)) == ((n, n) if step.mirrored else None)


@pytest.mark.parametrize(
    ("quality", "patience_s", "end"),
    [
        (QualityGate(min_labels=30, required=True), None, None),
        (QualityGate(min_labels=30, required=True), 60.0, RolloutStatus.ROLLED_BACK),
        (QualityGate(min_labels=30), 60.0, RolloutStatus.PROMOTED),
    ],
)
@pytest.mark.alike
@pytest.mark.usefixtures("versions")
def test_a_gate_without_data_waits_or_goes_back_as_it_is_set(
    services: Services,
    context: Context,
    clock: ManualClock,
    quality: QualityGate,
    patience_s: float | None,
    end: RolloutStatus | None,
) -> None:
    """It says which labels are missing; one that needs none lets the rollout pass."""
    lacking = "Not judged: 0 labels for the new version and 0 for the old one, 30 needed for each"
    deploy(services, 1)
    rollout = deploy(
        services,
        2,
        strategy=Strategy.CANARY,
        steps=[STEP],
        patience_s=patience_s,
        gates=Gates(latency=None, quality=quality),
    )
    while not rollout.status.is_finished() and clock.now() < AT + timedelta(minutes=5):
        rollout = look(services, context, clock, rollout)
    check = services(Rollouts).check(PROJECT, rollout.id)

    assert rollout.status is (end or RolloutStatus.RUNNING)
    if end is None:
        assert check.waits_for == [lacking]
    elif end is RolloutStatus.ROLLED_BACK:
        assert rollout.reason == f"Undecided for 60 s after its bake time: {lacking}"
    told = check.results or rollout.history[-1].results
    assert lacking in [result.sentence for result in told]


@pytest.mark.usefixtures("versions")
def test_two_rollouts_at_once_are_one(services: Services) -> None:
    """Of two persons who deploy at the same instant one is told that the other's rollout is under way."""
    deploy(services, 1)
    start = threading.Barrier(2)

    def put(version: int) -> Rollout | RolloutUnderWay:
        start.wait()
        try:
            return deploy(services, version, strategy=Strategy.CANARY, steps=[STEP])
        except RolloutUnderWay as refusal:
            return refusal

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(put, (2, 3)))
    (refusal,) = [answer for answer in answers if isinstance(answer, RolloutUnderWay)]
    (begun,) = [answer for answer in answers if isinstance(answer, Rollout)]

    assert begun.id in (refusal.hint or "")
    assert services(Endpoints).get(PROJECT, "live").rollout_id == begun.id
    assert set(weights(services)) == {1, begun.to_version}


@pytest.mark.usefixtures("versions")
def test_rollouts_of_two_endpoints_overlap(services: Services, context: Context, clock: ManualClock) -> None:
    """Of one model and to one version: each goes its own way, and the version is held while either needs it."""
    whole = RolloutStep(weight=1.0, bake_s=10, min_requests=100)
    for name in ("live", "other"):
        deploy(services, 1, name)
    first = deploy(services, 2, strategy=Strategy.CANARY, steps=[STEP, STEP_LATER])
    second = deploy(services, 2, "other", strategy=Strategy.BLUE_GREEN, steps=[whole, whole], keep_warm_s=0)

    def answering() -> dict[str, dict[int, float]]:
        plans = services(Endpoints).plans().plans or []
        return {plan.endpoint: {v.version: v.weight for v in plan.versions} for plan in plans}

    first, second = (look(services, context, clock, rollout) for rollout in (first, second))
    assert (first.step, second.step) == (0, 0)
    assert answering() == {"live": {1: 0.5, 2: 0.5}, "other": {1: 1.0, 2: 0.0}}
    services(Rollouts).abort(PROJECT, first.id, Reason(reason="enough seen"))
    assert answering() == {"live": {1: 1.0}, "other": {1: 1.0, 2: 0.0}}
    with pytest.raises(Conflict, match="`other`"):
        services(ModelVersions).delete(PROJECT, "digits", 2)

    again = deploy(services, 3, strategy=Strategy.CANARY, steps=[STEP])
    for _ in range(6):
        if not second.status.is_finished():
            second = look(services, context, clock, second)
    assert second.status is RolloutStatus.PROMOTED
    assert services(Rollouts).get(PROJECT, first.id).status is RolloutStatus.ROLLED_BACK
    assert services(Rollouts).get(PROJECT, again.id).status is RolloutStatus.RUNNING
    assert answering()["other"] == {2: 1.0}
    assert answering()["live"].keys() == {1, 3}


@pytest.mark.usefixtures("versions")
def test_the_version_before_stays_loaded_for_its_time(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """So going back takes no loading; it can be deleted all the same, and is let go of when its time is over."""
    deploy(services, 1)
    deploy(services, 2, keep_warm_s=60)
    etag = services(Endpoints).plans().etag

    assert weights(services) == {1: 0.0, 2: 1.0}
    services(Endpoints).rollback(PROJECT, "live", Reason())
    assert weights(services) == {1: 1.0, 2: 0.0}
    assert services(Endpoints).get(PROJECT, "live").warm[0].until == clock.now() + timedelta(seconds=600)
    assert let_go_of_warm(context) == 0
    clock.advance(601)
    assert [let_go_of_warm(context) for _ in range(2)] == [1, 0]
    assert weights(services) == {1: 1.0}
    assert services(Endpoints).plans().etag != etag
    deploy(services, 3)
    services(ModelVersions).delete(PROJECT, "digits", 1)
    assert let_go_of_warm(context) == 1
    assert weights(services) == {3: 1.0}
    deploy(services, 2, keep_warm_s=0)
    assert weights(services) == {2: 1.0}


@pytest.mark.usefixtures("versions")
def test_going_back_twice_goes_back_two_versions(services: Services) -> None:
    """Two persons who roll back do not bring the bad version back; one that was deleted is passed over."""
    for version in (1, 2, 3):
        deploy(services, version)

    assert services(Endpoints).rollback(PROJECT, "live", Reason()).to_version == 2
    assert services(Endpoints).rollback(PROJECT, "live", Reason()).to_version == 1
    with pytest.raises(NothingToRollBack):
        services(Endpoints).rollback(PROJECT, "live", Reason())
    deploy(services, 2)
    deploy(services, 3)
    services(ModelVersions).delete(PROJECT, "digits", 2)
    assert services(Endpoints).rollback(PROJECT, "live", Reason()).to_version == 1


@pytest.mark.usefixtures("versions")
def test_a_rollout_waits_for_others_than_who_began_it(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """With the role that was asked for, each once; going back waits for nobody."""
    deploy(services, 1)
    asked = Approvals(n=2, before=ApprovalPoint.START)
    rollout = deploy(services, 2, approvals=asked)
    others = [
        context.acting_as(Principal(name=name, role=role, holds_key=True)).service(Rollouts)
        for name, role in (("eva", Role.ENGINEER), ("leo", Role.ADMIN), ("ida", Role.SCIENTIST))
    ]

    with pytest.raises(NotApproved, match="2 persons of the role engineer or above, other than local"):
        services(Rollouts).promote(PROJECT, rollout.id, Reason())
    with pytest.raises(MayNotApprove, match="began the rollout"):
        services(Rollouts).approve(PROJECT, rollout.id, Reason())
    with pytest.raises(MayNotApprove, match="has the role scientist"):
        others[2].approve(PROJECT, rollout.id, Reason())
    with pytest.raises(Forbidden):
        context.acting_as(Principal(name="vic", role=Role.VIEWER)).service(Rollouts).approve(
            PROJECT, rollout.id, Reason()
        )
    for _ in range(2):
        others[0].approve(PROJECT, rollout.id, Reason(reason="looks well"))
    follow(services(Endpoints))
    waiting, _ = advance(context, rollout.id)
    assert [given.by for given in waiting.approved] == ["eva"]
    assert services(Rollouts).check(PROJECT, rollout.id).waits_for[0].startswith("One person")
    others[1].approve(PROJECT, rollout.id, Reason())
    assert advance(context, rollout.id)[0].status is RolloutStatus.PROMOTED
    with pytest.raises(RolloutFinished):
        others[1].approve(PROJECT, rollout.id, Reason())
    assert services(Endpoints).rollback(PROJECT, "live", Reason()).status is RolloutStatus.PROMOTED


@pytest.mark.usefixtures("versions")
def test_two_versions_answer_in_turn(services: Services, workspace: Workspace) -> None:
    """Until that is ended, or the endpoint goes back; what answers then is one version."""
    deploy(services, 1)
    deploy(services, 2, keep_warm_s=0)
    cascade = Cascade(first=3, second=2, min_confidence=0.8)

    made = services(Cascades).set(PROJECT, "live", cascade)

    assert (made.cascade, made.shares) == (cascade, [Share(version=2, weight=1.0)])
    assert planned(services).cascade == PlannedCascade(first=3, second=2, min_confidence=0.8)
    assert weights(services) == {2: 1.0, 3: 0.0}
    with pytest.raises(CascadeStands):
        deploy(services, 3)
    with pytest.raises(Conflict, match="`live`"):
        services(ModelVersions).delete(PROJECT, "digits", 3)
    services(Cascades).end(PROJECT, "live")
    services(Cascades).end(PROJECT, "live")
    assert (planned(services).cascade, weights(services)) == (None, {2: 1.0})
    services(Cascades).set(PROJECT, "live", cascade)
    services(Endpoints).rollback(PROJECT, "live", Reason())
    assert (planned(services).cascade, weights(services)[1]) == (None, 1.0)
    register_version(workspace, taking=signature(columns=5))
    for wrong, error in (
        (Cascade(first=1, second=1, min_confidence=0.5), Invalid),
        (Cascade(first=1, second=3, min_confidence=0.5), Invalid),
        (Cascade(first=4, second=1, min_confidence=0.5), SignatureDiffers),
    ):
        with pytest.raises(error):
            services(Cascades).set(PROJECT, "live", wrong)
    deploy(services, 2, strategy=Strategy.SHADOW)
    with pytest.raises(RolloutUnderWay):
        services(Cascades).set(PROJECT, "live", Cascade(first=3, second=1, min_confidence=0.5))


@pytest.mark.alike
@pytest.mark.usefixtures("versions")
def test_rollouts_that_were_under_way_before_strategies_go_on(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """What they lack is what it was then: they promote, wait for nobody, and keep nothing warm."""
    deploy(services, 1)
    rollout = deploy(services, 2, strategy=Strategy.CANARY, steps=[STEP])
    columns = ("promotes", "approvals", "approved", "keep_warm_s", "is_rollback", "baked_s", "looked_at")
    with context.database.write() as connection:
        connection.execute(sa.update(rollouts).values(dict.fromkeys(columns)))
    while not rollout.status.is_finished():
        assert clock.now() < AT + timedelta(minutes=5)
        rollout = look(services, context, clock, rollout)

    assert (rollout.status, rollout.promotes, rollout.is_rollback) == (RolloutStatus.PROMOTED, True, False)
    assert services(Endpoints).get(PROJECT, "live").warm == []


@pytest.mark.usefixtures("versions")
def test_a_model_server_of_before_the_clock_was_set_back_holds_nothing_up(
    services: Services, context: Context, clock: ManualClock
) -> None:
    """It reported in what is the future now and may be gone; one that lives reports again."""
    deploy(services, 1)
    follow(services(Endpoints), server="gone")
    clock.advance(-3600)
    rollout = deploy(services, 2, strategy=Strategy.CANARY, steps=[STEP])

    follow(services(Endpoints), server="alive")

    assert advance(context, rollout.id)[0].step == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": Strategy.CANARY, "promote": False}, "ends with the new version in place"),
        ({"strategy": Strategy.SHADOW, "patience_s": -1.0}, "patience_s"),
        ({"strategy": Strategy.AB, "steps": [RolloutStep(weight=1.0)]}, "both versions answer"),
    ],
)
@pytest.mark.alike
@pytest.mark.usefixtures("versions")
def test_wishes_that_mean_nothing_are_refused(
    services: Services, options: dict[str, object], message: str
) -> None:
    """Nothing is begun."""
    deploy(services, 1)

    with pytest.raises(Invalid, match=message):
        deploy(services, 2, **options)
    assert services(Endpoints).get(PROJECT, "live").rollout_id is None
