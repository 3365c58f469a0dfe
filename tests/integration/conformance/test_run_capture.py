"""What a run captures by itself, and keeps of what it is given, on a folder and on a server alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import noria
from noria.core.errors import Conflict, Invalid
from noria.core.workspace import Workspace, use_workspace
from noria.tracking.client import Capture
from noria.tracking.entities import Run, RunStatus
from noria.tracking.service import Runs
from support.waiting import wait_until

SECRET = "zuckerwatte-42"


@pytest.fixture(autouse=True)
def _current(workspace: Workspace) -> Iterator[None]:
    with use_workspace(workspace):
        yield


@pytest.fixture
def runs(workspace: Workspace) -> Runs:
    return workspace.service(Runs)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Work in a repository with a change that holds a secret; gives its commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "0.1", "--password", "hunter2", SECRET])
    (folder / "a.py").write_text("lr = 1\n")
    for arguments in (["init", "-q"], ["add", "a.py"], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)
    (folder / "a.py").write_text(f"lr = 2\npassword = 'hunter2'\n# {SECRET}\n")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return head.stdout.strip()


def kept(runs: Runs, run: Run, path: str) -> str:
    return runs.artifact("default", run.id, path).read().decode()


def paths(runs: Runs, run: Run) -> list[str]:
    return [artifact.path for artifact in runs.artifacts("default", run.id).items]


def test_a_run_tells_where_it_came_from(
    runs: Runs, repository: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commit, difference, environment, command line and console are kept, without the secrets in them."""
    with noria.run() as active:
        sys.stdout.write(f"epoch 1, token={SECRET}\n")
        sys.stderr.write("a warning\n")
    run = runs.get("default", active.id)
    diff, console = kept(runs, run, "noria/uncommitted.diff"), kept(runs, run, "noria/console.log")

    assert run.source is not None
    assert (run.source.git_commit, run.source.git_dirty) == (repository, True)
    assert run.source.command == "train.py --lr 0.1 --password *** ***"
    assert run.source.host
    assert "+lr = 2" in diff
    assert "+password = ***" in diff
    assert console == "epoch 1, token=***\na warning\n"
    assert f"noria @ file://{Path(__file__).parents[3]}" in kept(runs, run, "noria/requirements.txt")
    assert SECRET in capsys.readouterr().out
    for text in (diff, console, kept(runs, run, "noria/requirements.txt")):
        assert SECRET not in text
        assert "hunter2" not in text


def test_a_second_run_of_the_process_tells_the_same(runs: Runs, repository: str) -> None:
    """What was seen moments ago is not looked for again."""
    for _ in range(2):
        with noria.run() as active:
            pass
    run = runs.get("default", active.id)

    assert run.source is not None
    assert run.source.git_commit == repository
    assert paths(runs, run) == ["noria/requirements.txt", "noria/uncommitted.diff"]


def test_a_run_that_goes_on_for_a_while_has_curves(runs: Runs) -> None:
    """Processor, memory and energy are metrics like others."""
    with noria.run(capture={"console": False}) as active:
        wait_until(lambda: "system/energy_joules" in runs.get("default", active.id).metrics)
    run = runs.get("default", active.id)

    assert {
        "system/cpu_utilization_percentage",
        "system/energy_joules",
        "system/process_cpu_percentage",
        "system/process_memory_megabytes",
        "system/system_memory_usage_megabytes",
        "system/system_memory_usage_percentage",
    } <= set(run.metrics)
    assert run.tags["noria.energy_source"] in ("cpu_time", "rapl")
    assert runs.points("default", run.id, "system/energy_joules").points.steps[0] == 0


@pytest.mark.parametrize(
    ("capture", "commit", "command", "artifacts"),
    [
        (False, False, False, []),
        (Capture(environment=False, console=False), True, True, ["noria/uncommitted.diff"]),
        ({"diff": False, "console": False}, True, True, ["noria/requirements.txt"]),
        (
            {"code": False, "command": False, "host": False},
            False,
            False,
            ["noria/console.log", "noria/requirements.txt", "noria/uncommitted.diff"],
        ),
    ],
)
@pytest.mark.alike
def test_each_part_has_a_switch(
    runs: Runs,
    repository: str,
    capture: Capture | dict[str, bool] | bool,
    commit: bool,
    command: bool,
    artifacts: list[str],
) -> None:
    """What is switched off leaves no trace."""
    with noria.run(capture=capture) as active:
        sys.stdout.write("printed\n")
    run = runs.get("default", active.id)

    assert run.source is not None
    assert (run.source.git_commit is not None, run.source.command is not None) == (commit, command)
    assert paths(runs, run) == artifacts


def test_the_console_of_a_run_inside_another_belongs_to_both(runs: Runs) -> None:
    """The outer one has all of it; afterwards nobody listens."""
    before = sys.stdout
    with noria.run(capture={"environment": False, "diff": False}) as outer:
        sys.stdout.write("1\n")
        with noria.run(capture={"environment": False, "diff": False}) as inner:
            sys.stdout.write("2\n")
        sys.stdout.write("3\n")

    assert kept(runs, runs.get("default", outer.id), "noria/console.log") == "1\n2\n3\n"
    assert kept(runs, runs.get("default", inner.id), "noria/console.log") == "2\n"
    assert sys.stdout is before


def test_a_run_keeps_what_it_is_given(runs: Runs, tmp_path: Path) -> None:
    """Each call gives the path, and a table comes back as a frame."""
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.bin").write_bytes(b"x" * 200_000)
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    with noria.run(capture=False) as active:
        made = [
            active.text("note", "hello"),
            active.dict("params", {"a": 1}),
            active.table("frame", frame),
            active.table("rows", [{"a": 1}]),
            active.image("noise", np.zeros((300, 300, 3)), step=3),
            active.file(tmp_path / "folder" / "deep" / "a.bin", "model.bin"),
            *active.folder(tmp_path / "folder"),
        ]
        with pytest.raises(Conflict, match="is a folder"):
            active.file(tmp_path / "folder")
        with pytest.raises(Conflict, match="is a file"):
            active.folder(tmp_path / "folder" / "deep" / "a.bin")
        with pytest.raises(Invalid):
            active.text("../note", "hello")
    run = runs.get("default", active.id)

    assert sorted(made) == paths(runs, run)
    assert noria.read_table(active.id, "frame.parquet").equals(frame)
    assert noria.read_table(active.id, "rows.json").rows() == [(1,)]
    assert runs.artifact("default", active.id, "model.bin").read() == b"x" * 200_000
    assert runs.artifact("default", active.id, "noise/00000003.png").read()[:4] == b"\x89PNG"


def test_a_run_starts_with_params_and_tags(runs: Runs) -> None:
    """They are there before anything else, and params still never change."""
    with noria.run(params={"lr": 0.1}, tags={"team": "vision"}, capture=False) as active:
        assert runs.get("default", active.id).params == {"lr": "0.1"}
        with pytest.raises(Conflict, match=r"`0\.1`"):
            active.param("lr", 0.2)

    assert runs.get("default", active.id).tags == {"team": "vision"}


def test_a_run_goes_on_by_its_name(runs: Runs) -> None:
    """The one that started last is meant; a job that may be started again says `resume=True`."""
    with pytest.raises(Exception, match="no run `job`"):
        noria.run(resume="job")
    ids = []
    for _ in range(2):
        with noria.run("job", experiment="e", resume=True, capture=False) as active:
            active.log({"a": 1})
            ids.append(active.id)
    with noria.run("job", experiment="e", capture=False) as other:
        pass
    with noria.run(resume="job", experiment="e", params={"again": 1}, capture=False) as again:
        again.log({"a": 2})

    assert ids[0] == ids[1] != other.id == again.id
    assert runs.points("default", ids[0], "a").points.steps == [0, 1]
    assert runs.get("default", other.id).params == {"again": "1"}
    with pytest.raises(Invalid, match="needs a name"):
        noria.run(resume=True)


def test_a_name_may_hold_quotes(runs: Runs) -> None:
    """A name is looked for as it is; one with both kinds of quotes is told apart by its id only."""
    for name in ("it's", 'the "best" one', "50 % \\ all"):
        with noria.run(name, capture=False) as first:
            pass
        with noria.run(resume=name, capture=False) as again:
            assert again.id == first.id
    with pytest.raises(Invalid, match="both kinds of quotes"):
        noria.run(resume="""a'b"c""")


def test_a_run_that_has_ended_takes_nothing_more(runs: Runs) -> None:
    """The call says so, rather than losing what it was given."""
    with noria.run(capture=False) as active:
        pass
    for call in (
        lambda: active.log({"a": 1}),
        lambda: active.param("a", 1),
        lambda: active.text("a", "b"),
    ):
        with pytest.raises(Conflict, match="has ended"):
            call()

    assert runs.get("default", active.id).status is RunStatus.FINISHED
