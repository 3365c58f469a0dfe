"""A rollout ends promoted or rolled back, never split, in whatever order things happen to it."""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict
from noria.core.events.log import EventLog
from noria.core.workspace import InProcess, Workspace
from noria.serving.entities import (
    MOVES,
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
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.passage import RolloutFinished, RolloutMoved, advance, make_move
from noria.serving.rollouts.progress import Finding, judge
from noria.serving.rollouts.sight import StoredRollout, load_rollout, see
from noria.serving.service import Captures, Endpoints, Rollouts
from support.conformance import migrated_file, open_test_context, workspace_settings
from support.serving import follow, predictions, register_version

OLD, NEW = 1, 2
STEPS = [
    RolloutStep(weight=0.1, bake_s=10, min_requests=20),
    RolloutStep(weight=0.5, bake_s=10, min_requests=20),
]


@functools.cache
def _template() -> Path:
    return migrated_file(Path(tempfile.mkdtemp(prefix="noria-rollout-")))


class RolloutMachine(RuleBasedStateMachine):
    """Operations, traffic, time, looks of the control loop, and looks that were overtaken by something else."""

    @initialize(quality=st.booleans())
    def deploy(self, quality: bool) -> None:
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
        self.captures = workspace.service(Captures)
        self.endpoints.deploy("default", "live", Deployment(model="digits", version=OLD))
        self.ids = itertools.count()
        self.overtaken: list[tuple[StoredRollout, Finding]] = []
        gates = Gates(quality=QualityGate(required=True)) if quality else Gates()
        plan = Deployment(model="digits", version=NEW, strategy=Strategy.CANARY, steps=STEPS, gates=gates)
        self.last = self.endpoints.deploy("default", "live", plan)

    @rule()
    def look(self) -> None:
        advance(self.context, self.last.id)

    @rule(seconds=st.sampled_from([0.5, 5.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

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
            weight = STEPS[rollout.step].weight if rollout.step >= 0 else 0.0
            assert endpoint.shares[-1] == Share(version=NEW, weight=weight)
            assert endpoint.rollout_id == rollout.id

    @invariant()
    def the_event_log_tells_the_same(self) -> None:
        """One end at most, and one event for each change of shares."""
        events = EventLog(self.context.database).read(0, limit=1000)
        about = [e for e in events if e.subject == f"rollout:{self.last.id}"]
        ends = [e for e in about if e.type in ("rollout.promoted", "rollout.rolled_back", "rollout.failed")]
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
        for _ in range(30):
            if self.rollouts.get("default", self.last.id).status.is_finished():
                break
            if self.last.status is RolloutStatus.PAUSED:
                self.rollouts.resume("default", self.last.id)
            follow(self.endpoints)
            self.traffic(400, 0.0, 0)
            self.clock.advance(11)
            advance(self.context, self.last.id)
            self.moves_are_allowed()
        assert self.last.status in (RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK)
        self.nothing_is_split()
        self.the_event_log_tells_the_same()


def _reachable(start: RolloutStatus, end: RolloutStatus) -> bool:
    return end in MOVES[start] or any(end in MOVES[between] for between in MOVES[start])


RolloutMachine.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 8), stateful_step_count=20
)
TestRollout = RolloutMachine.TestCase
