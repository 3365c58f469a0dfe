"""Pipelines that are run against a workspace: what is recorded, reused and told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.access.authentication import authenticate
from noria.core.clock import Clock, ManualClock
from noria.core.config import Settings
from noria.core.context import Context
from noria.core.errors import Invalid, NotFound
from noria.core.ids import new_id
from noria.core.objects.service import Objects
from noria.core.permissions import Principal, Role
from noria.core.workspace import InProcess, Workspace
from noria.data.client import dataset
from noria.pipelines.cache_entities import NewCacheEntry, StoredValue
from noria.pipelines.entities import NewPipelineRun, NewStep, PipelineEnd, StepReport, StepStatus
from noria.pipelines.failures import PipelineFailed, StepFailed
from noria.pipelines.permissions import PERMISSIONS_OF_JOBS, WRITE_PIPELINES
from noria.pipelines.run_records import LEASE_S, PipelineRunNotFound, mark_killed
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.pipelines.service import PipelineRuns, StepCache
from noria.tracking.entities import RunEnd, RunStatus
from noria.tracking.service import Runs
from support.conformance import Services
from support.project import UserProject, user_project

PROJECT = "default"
START = datetime(2026, 3, 1, tzinfo=UTC)

PIPELINE = """
    import noria
    import numpy as np
    from noria import pipeline, step


    @step
    def load(name: str) -> np.ndarray:
        return noria.dataset(name).numpy()


    @step
    def split(x: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        n = int(len(x) * share)
        return x[:n], x[n:]


    @step
    def mean(x: np.ndarray) -> float:
        noria.log({"n": len(x)})
        return float(x.mean())


    @pipeline
    def study(name: str = "points", share: float = 0.5) -> dict[str, float]:
        left, right = split(load(name), share)
        return {"left": mean(left), "right": mean(right)}
"""


@pytest.fixture
def clock() -> Clock:
    """Give a clock that the tests move, for leases."""
    return ManualClock(START)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[UserProject]:
    """Give a project with one pipeline."""
    with user_project(tmp_path / "project") as made:
        made.write("flow.py", PIPELINE)
        yield made


def run(workspace: Workspace, project: UserProject, **params: Any) -> PipelineResult:
    """Run the pipeline of the project as it stands now."""
    return run_pipeline(at_home(workspace, project), project.load("flow").study, params)


def at_home(workspace: Workspace, project: UserProject) -> Workspace:
    """Give the workspace as seen from the project's folder."""
    settings = workspace.settings
    moved = Settings(
        workspace=settings.workspace,
        database_url=settings.database_url,
        objects_url=settings.objects_url,
        project_root=project.root,
    )
    return Workspace(moved, workspace.backend, workspace.clock)


def test_steps_elsewhere_have_a_token_that_ends_with_the_run(services: Services, context: Context) -> None:
    """It holds what jobs may do, in this project, and less from a caller that may do less."""
    runs = services(PipelineRuns)
    started = runs.start(PROJECT, NewPipelineRun(run_id=new_id(), name="study", pipeline="flow:study"))
    run_id = started.run.id
    secrets = [runs.issue_token(PROJECT, run_id).token for _ in range(2)]
    narrow = Principal(
        name="x", role=Role.SCIENTIST, holds_key=True, only=frozenset({"runs.read", "users.manage"})
    )
    less = context.acting_as(narrow).service(PipelineRuns).issue_token(PROJECT, run_id).token

    def holder(secret: str) -> Principal | None:
        with context.database.read() as connection:
            return authenticate(connection, context.clock, secret)

    found, lesser = holder(secrets[0]), holder(less)
    assert found is not None
    assert lesser is not None
    assert found.only == PERMISSIONS_OF_JOBS
    assert lesser.only == frozenset({"runs.read"})
    assert found.may(WRITE_PIPELINES, PROJECT)
    assert not found.may(WRITE_PIPELINES, "another")
    with pytest.raises(PipelineRunNotFound):
        runs.issue_token(PROJECT, "0" * 32)
    services(Runs).end(PROJECT, run_id, RunEnd())
    runs.finish(PROJECT, run_id, PipelineEnd(status=RunStatus.FINISHED))
    assert [holder(secret) for secret in (*secrets, less)] == [None] * 3


def statuses(result: PipelineResult) -> dict[str, str]:
    """Give the status of each step by name and occurrence."""
    return {f"{step.name}{step.occurrence or ''}": str(step.status) for step in result.steps}


def reasons(result: PipelineResult) -> dict[str, str]:
    """Give the reason of each step."""
    return {f"{step.name}{step.occurrence or ''}": step.reason for step in result.steps}


def add_points(workspace: Workspace, *values: float) -> None:
    dataset("points", workspace=workspace).add(np.array(values))


def test_a_run_is_recorded_with_all_that_made_it(workspace: Workspace, project: UserProject) -> None:
    """A finished run keeps params, data version, code, environment, steps, metrics and outputs."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    result = run(workspace, project, share=0.5)
    tracked = workspace.service(Runs).get(PROJECT, result.run_id)
    kept = workspace.service(PipelineRuns).get(PROJECT, result.run_id)

    assert {name: output.value for name, output in result.outputs.items()} == {"left": 1.5, "right": 4.0}
    assert (tracked.status, tracked.experiment) == (RunStatus.FINISHED, "study")
    assert tracked.params == {"name": "points", "share": "0.5"}
    assert tracked.tags["noria.pipeline"] == "flow:study"
    assert [link.ref for link in tracked.inputs] == ["dataset:points@1"]
    assert {link.digest for link in tracked.outputs} == {o.digest for o in result.outputs.values()}
    assert tracked.metrics == {"n": 2.0}
    assert (kept.n_steps, kept.n_reused, kept.n_failed) == (4, 0, 0)
    assert kept.snapshot == result.snapshot is not None
    environment = workspace.objects().get(kept.environment or "", limit_bytes=1 << 20)
    assert b'"numpy"' in environment
    assert [step.name for step in workspace.service(PipelineRuns).steps(PROJECT, result.run_id).items] == [
        "load",
        "split",
        "mean",
        "mean",
    ]


def test_a_second_run_reuses_every_step_and_tells_the_same(
    workspace: Workspace, project: UserProject
) -> None:
    """An unchanged run runs nothing, and its outputs, metrics and lineage are those of the first."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    first, second = run(workspace, project), run(workspace, project)
    tracked = [workspace.service(Runs).get(PROJECT, result.run_id) for result in (first, second)]

    assert set(statuses(second).values()) == {"reused"}
    assert reasons(second)["load"] == f"unchanged since run {first.run_id}"
    assert second.outputs["right"].value == 4.0
    assert tracked[0].inputs == tracked[1].inputs
    assert tracked[0].metrics == tracked[1].metrics


def test_only_what_a_changed_parameter_reaches_runs_again(workspace: Workspace, project: UserProject) -> None:
    """With another parameter the steps before it are reused, and the reason names both values."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    run(workspace, project, share=0.5)
    result = run(workspace, project, share=0.25)

    assert statuses(result) == {
        "load": "reused",
        "split": "finished",
        "mean": "finished",
        "mean1": "finished",
    }
    assert reasons(result)["split"] == "parameter `share` was 0.5, is 0.25"
    assert reasons(result)["mean"] == "input `x` has other content"


def test_a_new_version_of_the_data_is_noticed(workspace: Workspace, project: UserProject) -> None:
    """A step that reads the newest version of a dataset runs again when there is a newer one; a pinned one does not."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    run(workspace, project)
    run(workspace, project, name="points@1")
    add_points(workspace, 4.0, 6.0)
    followed, pinned = run(workspace, project), run(workspace, project, name="points@1")

    assert statuses(followed)["load"] == "finished"
    assert reasons(followed)["load"] == "`dataset:points` was `dataset:points@1`, is `dataset:points@2`"
    assert statuses(pinned)["load"] == "reused"


def test_equal_content_on_the_way_stops_the_change(workspace: Workspace, project: UserProject) -> None:
    """A step that runs again and gives the same as before changes nothing for the steps after it."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    run(workspace, project)
    text = (project.root / "flow.py").read_text()
    project.write("flow.py", text.replace(".numpy()", ".numpy() + 0.0"))
    result = run(workspace, project)

    assert statuses(result) == {"load": "finished", "split": "reused", "mean": "reused", "mean1": "reused"}


def test_forced_steps_run(workspace: Workspace, project: UserProject) -> None:
    """With `force` everything runs, and what it gives is reused afterwards."""
    add_points(workspace, 1.0, 2.0)
    run(workspace, project)
    forced = run_pipeline(at_home(workspace, project), project.load("flow").study, {}, force=True)

    assert set(reasons(forced).values()) == {"forced"}
    assert set(statuses(run(workspace, project)).values()) == {"reused"}


def test_a_step_that_raises_is_named_with_its_line(workspace: Workspace, project: UserProject) -> None:
    """A failure names the step, the line and the error; the run is kept as failed, what finished is reused."""
    project.write(
        "flow.py",
        """
        from noria import pipeline, step


        @step
        def one() -> int:
            return 1


        @step
        def divide(a: int, b: int) -> float:
            return a / b


        @pipeline
        def study(b: int = 0) -> float:
            return divide(one(), b)
        """,
    )
    with pytest.raises(StepFailed, match=r"`divide` failed at flow.py:11: ZeroDivisionError") as caught:
        run(workspace, project)
    (failed,) = workspace.service(PipelineRuns).list(PROJECT).items
    steps = workspace.service(PipelineRuns).steps(PROJECT, failed.run_id).items
    mended = run(workspace, project, b=2)

    assert "return a / b" in caught.value.details["traceback"]
    assert "noria/pipelines" not in caught.value.details["traceback"]
    assert failed.status is RunStatus.FAILED
    assert failed.error is not None
    assert failed.error.code == "step_failed"
    assert [(step.name, str(step.status)) for step in steps] == [("one", "finished"), ("divide", "failed")]
    assert workspace.service(Runs).get(PROJECT, failed.run_id).status is RunStatus.FAILED
    assert statuses(mended) == {"one": "reused", "divide": "finished"}


def test_an_error_of_the_body_is_told_with_its_line(workspace: Workspace, project: UserProject) -> None:
    """What the body of a pipeline raises outside of steps names the pipeline and the line."""
    project.write(
        "flow.py",
        """
        from noria import pipeline


        @pipeline
        def study() -> int:
            return {}["missing"]
        """,
    )
    with pytest.raises(PipelineFailed, match=r"`study` failed at flow.py:6: KeyError: 'missing'"):
        run(workspace, project)


def test_an_output_that_was_lost_is_made_again(
    workspace: Workspace, context: Context, project: UserProject
) -> None:
    """A result whose bytes are damaged or deleted behind our back is no result: the step runs and mends it."""
    add_points(workspace, 1.0, 2.0, 3.0, 5.0)
    first = run(workspace, project)
    split = next(step for step in first.steps if step.name == "split")
    digest = split.outputs[0].digest.removeprefix("blake3:")
    files = [path for path in Path(context.settings.objects_url).rglob("*") if path.is_file()]
    (path,) = [path for path in files if digest.endswith(path.name)]
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    again = run(workspace, project)

    assert statuses(again)["split"] == "finished"
    assert reasons(again)["split"] == f"its output of run {first.run_id} is gone or damaged"
    assert set(statuses(run(workspace, project)).values()) == {"reused"}


def test_a_killed_run_is_marked_when_its_lease_is_over(
    workspace: Workspace, context: Context, clock: ManualClock
) -> None:
    """A run whose process died is killed at the next look after its lease; one that still beats is not."""
    runs = workspace.service(PipelineRuns)
    dead = runs.start(PROJECT, NewPipelineRun(run_id="0" * 31 + "1", name="study", pipeline="flow:study")).run
    clock.advance(LEASE_S / 2)
    alive = runs.start(
        PROJECT, NewPipelineRun(run_id="0" * 31 + "2", name="study", pipeline="flow:study")
    ).run
    clock.advance(LEASE_S * 0.75)
    listed = {item.run_id: item for item in runs.list(PROJECT).items}
    killed = runs.get(PROJECT, dead.id)

    assert listed[alive.id].status is RunStatus.RUNNING
    assert killed.status is RunStatus.KILLED
    assert killed.error is not None
    assert "reused" in (killed.error.hint or "")
    assert mark_killed(context) == 0


def test_a_run_that_was_taken_for_dead_goes_on(workspace: Workspace, clock: ManualClock) -> None:
    """A process that slept through its lease goes on with its run at the next beat."""
    runs = workspace.service(PipelineRuns)
    started = runs.start(PROJECT, NewPipelineRun(run_id="0" * 31 + "1", name="s", pipeline="flow:s")).run
    clock.advance(LEASE_S * 2)
    slept = runs.get(PROJECT, started.id).status
    runs.beat(PROJECT, started.id)

    assert slept is RunStatus.KILLED
    assert runs.get(PROJECT, started.id).status is RunStatus.RUNNING


def test_runs_are_listed_in_pages(services: Services) -> None:
    """Pages follow one another, newest first, also for one pipeline only."""
    runs = services(PipelineRuns)
    for n in range(1, 5):
        name = "a" if n % 2 else "b"
        runs.start(PROJECT, NewPipelineRun(run_id=f"{n:032x}", name=name, pipeline=f"flow:{name}"))
    first = runs.list(PROJECT, limit=3)
    second = runs.list(PROJECT, limit=3, before=first.next)
    only = runs.list(PROJECT, pipeline="flow:a")

    assert [int(item.run_id, 16) for item in (*first.items, *second.items)] == [4, 3, 2, 1]
    assert second.next is None
    assert [int(item.run_id, 16) for item in only.items] == [3, 1]
    assert [
        (item.pipeline, item.n_runs, int(item.last.run_id, 16)) for item in runs.pipelines(PROJECT).items
    ] == [
        ("flow:b", 2, 4),
        ("flow:a", 2, 3),
    ]


def test_an_unknown_run_is_not_found(services: Services) -> None:
    """Asking for what is not there names the id and the command that lists runs."""
    with pytest.raises(PipelineRunNotFound, match="`feed`") as caught:
        services(PipelineRuns).get(PROJECT, "feed")

    assert "noria pipelines history" in (caught.value.hint or "")


def stored(workspace: Workspace, data: bytes, *, portable: bool = True) -> StoredValue:
    info = workspace.service(Objects).put(PROJECT, [data])
    codec = "bytes" if portable else "pickle"
    return StoredValue(codec=codec, digest=info.digest, size_bytes=len(data), portable=portable)


def step_report(key: str, position: int = 0) -> StepReport:
    return StepReport(
        step="p.py:s",
        name="s",
        position=position,
        status=StepStatus.FINISHED,
        reason="first run",
        key=key,
        started_at=START,
        duration_s=0.1,
    )


def as_user(context: Context, name: str) -> Workspace:
    """Give the workspace as another signed-in person sees it, in process."""
    principal = Principal(name=name, role=Role.SCIENTIST, holds_key=True)
    return Workspace(context.settings, InProcess(context.acting_as(principal)), context.clock)


def keep(workspace: Workspace, key: str, value: StoredValue, run_id: str = "0" * 31 + "1") -> None:
    runs = workspace.service(PipelineRuns)
    runs.start(PROJECT, NewPipelineRun(run_id=run_id, name="study", pipeline="flow:study"))
    entry = NewCacheEntry(key=key, step="p.py:s", outputs=[value])
    runs.step(PROJECT, run_id, NewStep(report=step_report(key), entry=entry))


def test_a_second_writer_never_replaces_an_entry(workspace: Workspace, context: Context) -> None:
    """Of two people who compute the same key, each keeps what they computed; a third gets the first."""
    ana, bob = as_user(context, "ana"), as_user(context, "bob")
    keep(ana, "k" * 64, stored(ana, b"by ana"), run_id="0" * 31 + "1")
    keep(bob, "k" * 64, stored(bob, b"by bob"), run_id="0" * 31 + "2")
    writers = [
        answer.entry.writer if answer.entry else None
        for answer in (who.service(StepCache).lookup(PROJECT, "k" * 64) for who in (ana, bob, workspace))
    ]

    assert writers == ["ana", "bob", "ana"]


def test_a_pickle_is_reused_by_its_writer_only(workspace: Workspace, context: Context) -> None:
    """What runs code when it is read back is given to nobody but who wrote it, and the others learn why."""
    ana = as_user(context, "ana")
    keep(ana, "k" * 64, stored(ana, b"pickle", portable=False))
    own = ana.service(StepCache).lookup(PROJECT, "k" * 64)
    foreign = workspace.service(StepCache).lookup(PROJECT, "k" * 64)

    assert own.entry is not None
    assert foreign.entry is None
    assert "`ana`" in (foreign.reason or "")


@pytest.mark.parametrize(
    "claim",
    [{"codec": "pickle"}, {"portable": False}, {"code": ["antigravity:x"]}],
    ids=lambda claim: next(iter(claim)),
)
def test_what_could_run_code_is_kept_from_others(
    workspace: Workspace, context: Context, claim: dict[str, Any]
) -> None:
    """A value that claims to be data but is a pickle, or names code to import, is given to nobody else."""
    ana = as_user(context, "ana")
    keep(ana, "k" * 64, msgspec.structs.replace(stored(ana, b"bytes"), **claim))

    assert ana.service(StepCache).lookup(PROJECT, "k" * 64).own
    assert workspace.service(StepCache).lookup(PROJECT, "k" * 64).entry is None


def test_an_output_must_have_entered_the_project(workspace: Workspace) -> None:
    """Nobody can make an entry of bytes that were never uploaded; nothing of the step is kept then."""
    value = StoredValue(codec="bytes", digest="blake3:" + "0" * 64, size_bytes=1)
    with pytest.raises(NotFound):
        keep(workspace, "k" * 64, value)

    assert workspace.service(StepCache).lookup(PROJECT, "k" * 64).entry is None
    assert workspace.service(PipelineRuns).steps(PROJECT, "0" * 31 + "1").items == []


def test_a_step_told_twice_is_one_step(workspace: Workspace) -> None:
    """A request that is repeated, since its answer was lost, changes nothing."""
    runs = workspace.service(PipelineRuns)
    runs.start(PROJECT, NewPipelineRun(run_id="0" * 31 + "1", name="s", pipeline="flow:s"))
    for _ in range(2):
        runs.step(PROJECT, "0" * 31 + "1", NewStep(report=step_report("k" * 64)))

    assert runs.get(PROJECT, "0" * 31 + "1").n_steps == 1
    more = [NewStep(report=step_report(f"{n}" * 64, position=n)) for n in range(3)]
    wrong = NewStep(
        report=step_report("k" * 64, position=3),
        entry=NewCacheEntry(key="j" * 64, step="p.py:s", outputs=[]),
    )
    with pytest.raises(Invalid, match="key"):
        runs.record_steps(PROJECT, "0" * 31 + "1", [*more, wrong])
    assert runs.get(PROJECT, "0" * 31 + "1").n_steps == 1  # all of them or none
    runs.record_steps(PROJECT, "0" * 31 + "1", more)
    assert [step.position for step in runs.steps(PROJECT, "0" * 31 + "1").items] == [0, 1, 2]
    assert runs.get(PROJECT, "0" * 31 + "1").n_steps == 3
