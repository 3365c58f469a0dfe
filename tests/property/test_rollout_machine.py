"""A rollout ends promoted or rolled back, never split, in whatever order things happen to it."""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict
from noria.core.events.log import EventLog
from noria.core.permissions import Principal, Role
from noria.core.workspace import InProcess, Workspace
from noria.registry.uses import ModelVersionInUse
from noria.registry.versions import ModelVersions
from noria.serving.entities import (
    MOVES,
    ApprovalPoint,
    Approvals,
    Deployment,
    Reason,
    Rollout,
    RolloutStatus,
    RolloutStep,
    Share,
    Strategy,
)
from noria.serving.gate_rules import Gates, QualityGate
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel
from noria.serving.rollouts.approving import NotApproved
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.passage import RolloutFinished, RolloutMoved, advance, make_move
from noria.serving.rollouts.progress import Finding, judge
from noria.serving.rollouts.sight import StoredRollout, load_rollout, see
from noria.serving.rollouts.warm import let_go_of_warm
from noria.serving.service import Captures, Endpoints, Rollouts
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.serving import follow, predictions, register_version

OLD, NEW = 1, 2
WEIGHTS: dict[Strategy, list[float]] = {
    Strategy.REPLACE: [],
    Strategy.CANARY: [0.1, 0.5],
    Strategy.BLUE_GREEN: [0.8, 1.0],
    Strategy.SHADOW: [0.8],
    Strategy.AB: [0.4],
}
STEPS = {
    strategy: [RolloutStep(weight=weight, bake_s=10, min_requests=20) for weight in weights]
    for strategy, weights in WEIGHTS.items()
}
ENDS = ("rollout.promoted", "rollout.rolled_back", "rollout.compared", "rollout.failed")
EVA = Principal(name="eva", role=Role.ENGINEER, holds_key=True)


@functools.cache
def _template() -> Path:
    return migrated_file(Path(tempfile.mkdtemp(prefix="noria-rollout-")))


class RolloutMachine(RuleBasedStateMachine):
    """Operations, traffic, time, looks of the control loop, and looks that were overtaken by something else."""

    @initialize(
        strategy=st.sampled_from(Strategy),
        quality=st.booleans(),
        promote=st.booleans(),
        approvals=st.sampled_from([None, None, ApprovalPoint.START, ApprovalPoint.SWITCH]),
    )
    def deploy(
        self, strategy: Strategy, quality: bool, promote: bool, approvals: ApprovalPoint | None
    ) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        folder = Path(self.temporary.name)
        shutil.copyfile(_template(), folder / "noria.db")
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        opened = open_test_context(workspace_settings(folder, f"sqlite:///{folder / 'noria.db'}"), self.clock)
        self.opened = opened
        self.context: Context = opened.__enter__()
        workspace = Workspace(self.context.settings, InProcess(self.context), self.clock)
        register_version(workspace)
        register_version(workspace)
        self.endpoints, self.rollouts = workspace.service(Endpoints), workspace.service(Rollouts)
        self.captures, self.versions = workspace.service(Captures), workspace.service(ModelVersions)
        self.endpoints.deploy("default", "live", Deployment(model="digits", version=OLD))
        self.ids = itertools.count()
        self.overtaken: list[tuple[StoredRollout, Finding]] = []
        gates = Gates(quality=QualityGate(required=True)) if quality else Gates()
        if strategy is Strategy.REPLACE and approvals is None:
            approvals = ApprovalPoint.SWITCH  # else it has ended at once
        plan = Deployment(
            model="digits",
            version=NEW,
            strategy=strategy,
            steps=STEPS[strategy],
            gates=gates,
            promote=promote if strategy is Strategy.SHADOW else None,
            approvals=None if approvals is None else Approvals(before=approvals),
        )
        self.last = self.endpoints.deploy("default", "live", plan)

    @rule()
    def look(self) -> None:
        advance(self.context, self.last.id)

    @rule(seconds=st.sampled_from([0.5, 5.0, 11.0, 11.0, 86_400.0, -3_600.0]))
    def pass_time(self, seconds: float) -> None:
        """Or let the clock jump, ahead or back."""
        self.clock.advance(seconds)
        let_go_of_warm(self.context)

    @rule()
    def approve(self) -> None:
        try:
            self.context.acting_as(EVA).service(Rollouts).approve("default", self.last.id, Reason())
        except Conflict:
            found = self.rollouts.get("default", self.last.id)
            assert found.status.is_finished() or found.approvals is None

    @precondition(lambda self: not self.last.status.is_finished())
    @rule(version=st.sampled_from([OLD, NEW]))
    def delete_a_version_in_the_middle(self, version: int) -> None:
        with pytest.raises(ModelVersionInUse):
            self.versions.delete("default", "digits", version)

    @precondition(lambda self: not self.last.status.is_finished())
    @rule()
    def roll_the_endpoint_back(self) -> None:
        assert self.endpoints.rollback("default", "live", Reason()).status is RolloutStatus.ROLLED_BACK

    @rule(follows=st.sampled_from([True, True, True, False]))
    def model_server_reports(self, follows: bool) -> None:
        follow(self.endpoints, failed=None if follows else {str(NEW): "cannot be loaded"})

    @rule(
        n=st.integers(1, 400), failing=st.sampled_from([0.0, 0.0, 0.0, 0.6]), wrong=st.sampled_from([0, 0, 9])
    )
    def traffic(self, n: int, failing: float, wrong: int) -> None:
        """Requests to both versions; the new one may fail or be wrong."""
        revision = self.endpoints.get("default", "live").revision
        ids = [f"p{next(self.ids)}" for _ in range(n)]
        bad = ids[: int(failing * n)]
        batch = [
            *predictions([f"{i}-old" for i in ids], version=OLD, revision=revision),
            *predictions(bad, version=NEW, revision=revision, error="broken"),
            *predictions(ids[len(bad) :], version=NEW, revision=revision, answer=wrong or 7),
        ]
        self.captures.append("default", "live", CaptureBatch(predictions=batch))
        truths = [NewLabel(prediction_id=p.id, value=7) for p in batch]
        self.captures.label("default", "live", LabelBatch(labels=truths))

    @rule()
    def look_and_be_killed_before_the_write(self) -> None:
        """The finding is remembered, and written later as if a second control loop had been as far."""
        with self.context.database.read() as connection:
            stored = load_rollout(connection, self.last.id)
            self.overtaken.append((stored, judge(see(connection, stored, self.clock.now()))))

    @precondition(lambda self: self.overtaken)
    @rule()
    def write_what_was_found_before(self) -> None:
        stored, finding = self.overtaken.pop()
        if finding.move == "nothing":
            return
        changed = self.rollouts.get("default", self.last.id).revision != stored.rollout.revision
        try:
            with self.context.database.write() as connection:
                make_move(connection, self.context, stored, finding)
        except (RolloutMoved, RolloutFinished):
            assert changed
        else:
            assert not changed

    @rule(action=st.sampled_from(["pause", "resume", "promote", "abort", "deploy"]))
    def operate(self, action: str) -> None:
        before = self.rollouts.get("default", self.last.id)
        acts: dict[str, Callable[[], Rollout]] = {
            "pause": lambda: self.rollouts.pause("default", before.id, Reason()),
            "resume": lambda: self.rollouts.resume("default", before.id),
            "promote": lambda: self.rollouts.promote("default", before.id, Reason()),
            "abort": lambda: self.rollouts.abort("default", before.id, Reason()),
            "deploy": self.deploy_beside,
        }
        try:
            acts[action]()
        except RolloutUnderWay:
            assert action == "deploy"
        except NotApproved:
            assert action == "promote"
            assert before.approvals is not None
            assert not before.approved
        except Conflict:
            assert before.status.is_finished()

    def deploy_beside(self) -> Rollout:
        if self.rollouts.get("default", self.last.id).status.is_finished():
            return self.last
        return self.endpoints.deploy("default", "live", Deployment(model="digits", version=OLD))

    @invariant()
    def moves_are_allowed(self) -> None:
        """What is seen of the status follows the table, and an end is final."""
        found = self.rollouts.get("default", self.last.id)
        assert found.revision >= self.last.revision
        assert found.status is self.last.status or _reachable(self.last.status, found.status)
        if self.last.status.is_finished():
            assert found == self.last
        self.last = found

    @invariant()
    def nothing_is_split(self) -> None:
        """The shares are those of the rollout's state and sum to one."""
        endpoint = self.endpoints.get("default", "live")
        assert abs(sum(share.weight for share in endpoint.shares) - 1) < 1e-9
        rollout = self.rollouts.get("default", self.last.id)
        if rollout.status.is_finished():
            winner = NEW if rollout.status is RolloutStatus.PROMOTED else OLD
            assert endpoint.shares == [Share(version=winner, weight=1.0)]
            assert endpoint.rollout_id is None
        else:
            weight, mirrored = _seen(rollout)
            assert endpoint.shares[-1] == Share(version=NEW, weight=weight)
            assert endpoint.shadows == ([Share(version=NEW, weight=mirrored)] if mirrored else [])
            assert endpoint.rollout_id == rollout.id

    @invariant()
    def nobody_is_passed_over(self) -> None:
        """The new version answers every request only where somebody else has agreed, if that was asked for."""
        rollout, plans = self.rollouts.get("default", self.last.id), self.endpoints.plans().plans
        assert plans
        weights = {version.version: version.weight for version in plans[0].versions}
        if rollout.approvals is not None and not rollout.approved:
            assert weights.get(NEW, 0.0) < 1
            before_start = rollout.approvals.before is ApprovalPoint.START
            assert not (before_start and (weights.get(NEW, 0.0) or plans[0].shadows))

    @invariant()
    def the_event_log_tells_the_same(self) -> None:
        """One end at most, and one event for each change of shares."""
        events = EventLog(self.context.database).read(0, limit=1000)
        about = [e for e in events if e.subject == f"rollout:{self.last.id}"]
        ends = [e for e in about if e.type in ENDS]
        assert len(ends) == int(self.last.status.is_finished())
        shares = [e.payload["revision"] for e in events if e.type == "endpoint.changed"]
        assert shares == list(range(1, self.endpoints.get("default", "live").revision + 1))

    def teardown(self) -> None:
        """Left to itself with healthy traffic, it comes to an end."""
        if not hasattr(self, "last"):
            return
        try:
            self.rollouts_end()
        finally:
            self.opened.__exit__(None, None, None)
            self.temporary.cleanup()

    def rollouts_end(self) -> None:
        for _ in range(40):
            if self.rollouts.get("default", self.last.id).status.is_finished():
                break
            if self.last.status is RolloutStatus.PAUSED:
                self.rollouts.resume("default", self.last.id)
            self.approve()
            follow(self.endpoints)
            self.traffic(400, 0.0, 0)
            self.clock.advance(11)
            advance(self.context, self.last.id)
            self.moves_are_allowed()
        ends = {RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK}
        assert self.last.status in (ends if self.last.promotes else {*ends, RolloutStatus.COMPARED})
        self.nothing_is_split()
        self.the_event_log_tells_the_same()


def _seen(rollout: Rollout) -> tuple[float, float]:
    """Give the shares that the new version answers and predicts along, told again from the strategy's description."""
    if rollout.step < 0:
        return 0.0, 0.0
    weight = WEIGHTS[rollout.strategy][rollout.step]
    compares = rollout.strategy is Strategy.SHADOW or (
        rollout.strategy is Strategy.BLUE_GREEN and rollout.step == 0
    )
    return (0.0, weight) if compares else (weight, 0.0)


def _reachable(start: RolloutStatus, end: RolloutStatus) -> bool:
    return end in MOVES[start] or any(end in MOVES[between] for between in MOVES[start])


RolloutMachine.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 8), stateful_step_count=20
)
TestRollout = RolloutMachine.TestCase
