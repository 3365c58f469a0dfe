"""Every kind of graph, in every executor, on a folder and on a server: the same results, logs, lineage and errors."""

from __future__ import annotations

import json
import random
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main
from noria.core.clock import SystemClock
from noria.core.config import Settings, load_settings
from noria.core.errors import Invalid, NoriaError, Unavailable
from noria.core.objects.service import Objects
from noria.core.workspace import OverHttp, Workspace, open_workspace, use_workspace
from noria.pipelines.executors.child import OtherCode
from noria.pipelines.executors.choice import ExecutorChoice
from noria.pipelines.failures import ClusterLost
from noria.pipelines.jobs_entry import pipeline_job
from noria.pipelines.outputs import Output
from noria.pipelines.run_records import PipelineRunOver
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.pipelines.service import Jobs, PipelineRuns, StepCache
from noria.pipelines.snapshots import take_snapshot
from noria.pipelines.storing import ValueStore
from noria.tracking.service import Runs
from support.buckets import S3Server, running_moto
from support.conformance import open_test_context, workspace_settings
from support.live_server import KEY, LiveServer
from support.processes import Processes
from support.project import UserProject, user_project
from support.waiting import wait_until

FLOW = Path(__file__).with_name("matrix_flow.py")
RAISES = FLOW.read_text().splitlines().index('    raise ValueError(f"cannot do {n}")') + 1


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserProject]:
    """Give the project with every kind of graph."""
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(FLOW, root / "flow.py")
    (root / "noria.toml").write_text("")
    (root / "source.txt").write_text("one\ntwo\n")
    (root / "tools").mkdir()
    (root / "tools" / "count.sh").write_text('for _ in $(seq "$2"); do cat "$1"; done\n')
    with user_project(root) as made:
        yield made


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """Give a server that speaks S3."""
    with running_moto() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(s3: S3Server) -> Iterator[str]:
    """Give the address of a Dask cluster of two workers, each a process that may read and write the bucket."""
    from distributed import LocalCluster

    make: Any = LocalCluster
    with make(n_workers=2, threads_per_worker=1, dashboard_address=":0", env=s3.environment) as made:
        yield made.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """Give a server for workspaces."""
    live = LiveServer()
    live.offer(Objects, PipelineRuns, StepCache, Runs)
    yield live
    live.close()


@pytest.fixture
def place(tmp_path: Path, migrated: Path, project: UserProject) -> Settings:
    """Give the settings of a fresh workspace folder."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copyfile(migrated, folder / "noria.db")
    made = workspace_settings(folder)
    return Settings(
        workspace=made.workspace,
        database_url=made.database_url,
        objects_url=made.objects_url,
        project_root=project.root,
    )


@pytest.fixture
def store(request: pytest.FixtureRequest, place: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give the settings of a fresh workspace whose objects or rows are kept elsewhere than in its folder."""
    if request.param == "bucket":
        bucket: S3Server = request.getfixturevalue("s3")
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        return replace(place, objects_url=f"s3://{bucket.bucket}/{secrets.token_hex(8)}")
    if request.param == "postgres":
        return replace(place, database_url=request.getfixturevalue("migrated_postgres_url"))
    return place


@contextmanager
def opened(settings: Settings, server: LiveServer | None) -> Iterator[Workspace]:
    """Open a workspace: the folder itself, or a server that has it."""
    if server is None:
        with open_workspace(settings, send_left=False) as workspace:
            yield workspace
        return
    with open_test_context(settings, SystemClock()) as context, server.serving(context):
        there = Settings(
            workspace=server.url,
            database_url="",
            objects_url="",
            token=KEY,
            project_root=settings.project_root,
        )
        with open_workspace(there, send_left=False) as workspace:
            yield workspace


def study(
    workspace: Workspace, project: UserProject, name: str, choice: ExecutorChoice | None, **params: Any
) -> PipelineResult:
    """Run a pipeline of the project as a new process would."""
    return run_pipeline(workspace, getattr(project.load("flow"), name), params, executor=choice)


def facts(workspace: Workspace, result: PipelineResult) -> dict[str, Any]:
    """Give what must be the same wherever the steps ran."""
    run = workspace.service(Runs).get("default", result.run_id)
    console = workspace.service(Runs).artifact("default", result.run_id, "noria/console.log").read().decode()
    points = workspace.service(Runs).history("default", result.run_id, "told").items
    return {
        "outputs": {name: output.value for name, output in result.outputs.items()},
        "steps": [
            (
                step.position,
                step.step,
                step.occurrence,
                step.status,
                step.reason,
                step.key,
                step.attempts,
                [stored.digest for stored in step.outputs],
                step.error and (step.error.code, step.error.message),
                step.sources,
                step.group,
                step.item,
            )
            for step in result.steps
        ],
        "params": run.params["told"],
        "tag": run.tags["told"],
        "points": [(point.step, point.value) for point in points],
        "before": run.metrics["before"],
        "printed": sorted(line for line in console.splitlines() if line.startswith("growing")),
        "inputs": run.inputs,
        "made": run.outputs,
    }


def left_by(workspace: Workspace, run_id: str) -> PipelineResult:
    """Give what a run of another process left."""
    runs = workspace.service(PipelineRuns)
    kept = runs.get("default", run_id)
    values = ValueStore(workspace.objects())
    return PipelineResult(
        run_id=run_id,
        status=kept.status,
        outputs={name: Output(stored, values.load) for name, stored in kept.outputs.items()},
        steps=runs.steps("default", run_id, limit=1000).items,
    )


EXECUTORS = ["inline", "processes", "dask"]


def chosen(name: str, request: pytest.FixtureRequest) -> ExecutorChoice:
    """Give the choice of an executor by its name."""
    if name == "dask":
        return ExecutorChoice(on=request.getfixturevalue("cluster"))
    return ExecutorChoice(workers=2 if name == "processes" else None)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Keep what the first executor on a folder gave."""
    return {}


@pytest.mark.parametrize(
    ("store", "served"),
    [("folder", False), ("folder", True), ("bucket", False), ("bucket", True), ("postgres", True)],
    indirect=["store"],
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_graph_gives_the_same_everywhere(
    executor: str,
    store: Settings,
    served: bool,
    request: pytest.FixtureRequest,
    project: UserProject,
    expected: dict[str, Any],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Steps in another process, on a cluster and over a server leave the same record, and are found again by all."""
    choice = chosen(executor, request)
    note = project.root / "note"
    note.unlink(missing_ok=True)
    given = {"source": project.root / "source.txt", "note": str(note)}
    with opened(store, request.getfixturevalue("server") if served else None) as workspace:
        first = study(workspace, project, "everything", choice, **given)
        found = facts(workspace, first)
        again = study(workspace, project, "everything", None, **given)

    assert found == expected.setdefault("facts", found)
    assert found["outputs"]["written"] == 4
    assert found["outputs"]["counted"] == [4, 3]  # a command sees its files, and what it writes
    assert "growing by a command" in found["printed"]
    assert "growing 10" in capfd.readouterr().out
    ran = [step.name for step in again.steps if step.status != "reused"]
    assert sorted(ran) == ["always", "fail"]
    assert [step.outputs for step in again.steps] == [step.outputs for step in first.steps]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_command_line_leaves_what_the_library_leaves(
    executor: str,
    request: pytest.FixtureRequest,
    place: Settings,
    project: UserProject,
    expected: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`noria run` on each executor, in a workspace where nothing was run: the same outputs, steps, logs and lineage."""
    note = project.root / "note"
    note.unlink(missing_ok=True)
    choice = chosen(executor, request)
    where = ["--workers", str(choice.workers)] if choice.workers else ["--on", choice.on] if choice.on else []
    project.load("flow")
    monkeypatch.chdir(project.root)
    capfd.readouterr()
    given = ["-p", f"source={project.root / 'source.txt'}", "-p", f"note={note}"]
    assert main(["run", "flow:everything", *given, "--json", "--workspace", place.workspace, *where]) == 0
    answer = json.loads(capfd.readouterr().out)

    with opened(place, None) as workspace:
        found = facts(workspace, left_by(workspace, answer["run_id"]))
    assert found == expected.setdefault("facts", found)
    assert answer["outputs"]["total"]["value"] == found["outputs"]["total"]


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_job_that_was_asked_for_by_http_leaves_what_the_library_leaves(
    executor: str,
    place: Settings,
    project: UserProject,
    expected: dict[str, Any],
    processes: Processes,
    noria_command: tuple[str, ...],
) -> None:
    """A worker that gets code and work from a server, as processes of their own, runs every graph alike."""
    note = project.root / "note"
    note.unlink(missing_ok=True)
    server = processes.start([*noria_command, "server", "--port", "0", "--workspace", place.workspace])
    server.wait_for_output("Noria answers at")
    worker = processes.start([*noria_command, "worker", "--workspace", place.workspace])
    worker.wait_for_output("worker.started")
    project.load("flow")
    given = {"source": str(project.root / "source.txt"), "note": str(note)}
    with open_workspace(load_settings(workspace=place.workspace), send_left=False) as workspace:
        assert isinstance(workspace.backend, OverHttp)
        new = pipeline_job(
            "flow:everything",
            given,
            snapshot=take_snapshot(workspace, project.root),
            workers=2 if executor == "processes" else None,
        )
        jobs = workspace.service(Jobs)
        job = jobs.submit("default", new)
        wait_until(
            lambda: jobs.get("default", job.id).status.ended, 120, lambda: str(jobs.get("default", job.id))
        )
        result: Any = jobs.get("default", job.id).result
        found = facts(workspace, left_by(workspace, result["run_id"]))
    assert found == expected.setdefault("facts", found)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_errors_are_the_same_everywhere(
    executor: str,
    request: pytest.FixtureRequest,
    place: Settings,
    project: UserProject,
    expected: dict[str, Any],
) -> None:
    """A step that raises, misdeclares, runs too long or is killed is told in the same words by all."""
    choice = chosen(executor, request)
    names = ["failing", "misdeclared", "overlong", *(["shot"] if executor != "inline" else [])]
    told: dict[str, Any] = {}
    with opened(place, None) as workspace:
        for name in names:
            with pytest.raises(NoriaError) as caught:
                study(workspace, project, name, choice)
            run = workspace.service(PipelineRuns).list("default", limit=1).items[0]
            assert (run.status, run.error and run.error.message) == ("failed", caught.value.message)
            told[name] = (caught.value.code, caught.value.message, caught.value.hint)
        if executor != "inline":
            with pytest.raises(Invalid, match=r"argument `thing` of the step `takes` cannot be given"):
                study(workspace, project, "unsendable", choice)
            with pytest.raises(OtherCode, match=r"has other code .* variable `STAMP` in flow.py was"):
                study(workspace, project, "stamping", choice)

    shot = told.pop("shot", None)
    assert told == expected.setdefault("errors", told)
    assert told["failing"][1] == f"The step `fail` failed at flow.py:{RAISES}: ValueError: cannot do 2"
    assert told["overlong"][0] == "step_timed_out"
    assert shot is None or "probably because it was out of memory" in shot[1]


def test_the_command_line_gives_what_the_library_gives(
    place: Settings, project: UserProject, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`noria run --workers` reuses what the library stored, and `--from` runs a step and what depends on it."""
    note = project.root / "note"
    note.unlink(missing_ok=True)
    given = {"source": project.root / "source.txt", "note": str(note)}
    with opened(place, None) as workspace, use_workspace(workspace):
        first = project.load("flow").everything.options(workers=1).run(**given)
    monkeypatch.chdir(project.root)
    capfd.readouterr()
    command = ["run", "flow:everything", "-p", "source=source.txt", "-p", f"note={note}", "--json"]
    command += ["--workspace", place.workspace, "--workers", "2", "--from", "split"]

    assert main(command) == 0

    answer = json.loads(capfd.readouterr().out)
    ran = [step["name"] for step in answer["steps"] if step["status"] == "finished"]
    assert sorted(ran) == ["always", "both", "split", "total"]
    assert answer["outputs"]["total"]["value"] == first.outputs["total"].value
    assert main([*command[:-1], "splot"]) == 2
    assert "Did you mean `split`?" in capfd.readouterr().err
    for wrong in (["--workers", "0"], ["--on", "slurm://x"], ["--workers", "2", "--on", "dask://x:1"]):
        assert main(["run", "flow:shot", "--workspace", place.workspace, *wrong]) != 0


def test_a_cluster_that_does_not_answer_is_told(
    place: Settings, project: UserProject, free_port: int
) -> None:
    """Nothing is recorded when the cluster cannot be reached."""
    with opened(place, None) as workspace:
        with pytest.raises(Unavailable, match="No scheduler of Dask answers"):
            study(workspace, project, "shot", ExecutorChoice(on=f"dask://127.0.0.1:{free_port}"))
        assert workspace.service(PipelineRuns).list("default").items == []


def _marks(note: Path) -> list[str]:
    return note.read_text().split() if note.exists() else []


@pytest.mark.parametrize("n_rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_a_run_killed_at_any_instant_goes_on_and_repeats_no_finished_step(
    n_rounds: int,
    place: Settings,
    project: UserProject,
    processes: Processes,
    noria_command: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """After SIGKILL nothing of the run stays behind, and `--resume` runs what was not recorded, once."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for number in range(n_rounds):
        note = tmp_path / f"marks-{number}"
        command = [*noria_command, "run", "flow:marking", "-p", f"note={note}", "--workers", "2"]
        child = processes.start(
            command,
            name="noria",
            cwd=project.root,
            env={"NORIA_WORKSPACE": place.workspace, "TMPDIR": str(scratch)},
        )
        n_marks = random.Random(number).randint(1, 6)
        wait_until(lambda: len(_marks(note)) >= n_marks or not child.running, 60, child.output)  # noqa: B023
        child.kill()
        wait_until(lambda: not [*scratch.glob("noria-steps-*")], 30, lambda: "its folder stays")
        with opened(place, None) as workspace:
            runs = workspace.service(PipelineRuns)
            run_id = runs.list("default", limit=1).items[0].run_id
            done = {step.occurrence for step in runs.steps("default", run_id).items}
            before = _marks(note)
            result = run_pipeline(
                workspace,
                project.load("flow").marking,
                {"note": str(note)},
                resume=run_id,
                executor=ExecutorChoice(workers=2),
            )
            with pytest.raises(PipelineRunOver):
                run_pipeline(workspace, project.load("flow").marking, {"note": str(note)}, resume=run_id)

        assert result.run_id == run_id
        assert result.outputs["output"].value == 15
        repeated = _marks(note)[len(before) :]
        assert sorted(map(int, repeated)) == sorted(set(range(6)) - done)


def test_an_interrupted_run_stops_its_steps(
    place: Settings,
    project: UserProject,
    processes: Processes,
    noria_command: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """Ctrl-C ends the processes of the steps with the run, kept as killed, with which no other pipeline goes on."""
    note = tmp_path / "marks"
    command = ["run", "flow:marking", "-p", f"note={note}", "-p", "pause_s=600", "--workers", "2"]
    child = processes.start(
        [*noria_command, *command], name="noria", cwd=project.root, env={"NORIA_WORKSPACE": place.workspace}
    )
    wait_until(lambda: len(_marks(note)) == 2 or not child.running, 60, child.output)

    child.process.send_signal(signal.SIGINT)

    assert child.wait() != 0
    assert processes.survivors() == []
    with opened(place, None) as workspace:
        found = workspace.service(PipelineRuns).list("default", limit=1).items[0]
        assert found.status == "killed"
        with pytest.raises(Invalid, match="is one of `flow:marking`"):
            run_pipeline(workspace, project.load("flow").failing, {}, resume=found.run_id)


@pytest.mark.soak
def test_a_cluster_that_goes_away_is_told_and_the_run_goes_on_elsewhere(
    place: Settings, project: UserProject, processes: Processes, free_port: int, tmp_path: Path
) -> None:
    """The error names the command that lets the run go on."""
    note, address = tmp_path / "marks", f"127.0.0.1:{free_port}"
    program = [sys.executable, "-m", "dask"]
    scheduler = processes.start([*program, "scheduler", "--port", str(free_port), "--no-dashboard"])
    processes.start([*program, "worker", address, "--nthreads", "2", "--no-nanny", "--no-dashboard"])

    def end_scheduler() -> None:
        wait_until(lambda: len(_marks(note)) >= 3, 60, scheduler.output)
        scheduler.kill()

    ender = threading.Thread(target=end_scheduler)
    ender.start()
    given = {"note": str(note), "n": 4, "pause_s": 4.0}
    with opened(place, None) as workspace:
        with pytest.raises(ClusterLost, match="went away while it ran the step `mark`") as caught:
            study(workspace, project, "marking", ExecutorChoice(on=f"dask://{address}"), **given)
        ender.join()
        run_id = workspace.service(PipelineRuns).list("default", limit=1).items[0].run_id
        result = run_pipeline(workspace, project.load("flow").marking, given, resume=run_id)

    assert f"--resume {run_id}" in (caught.value.hint or "")
    assert result.outputs["output"].value == 6
