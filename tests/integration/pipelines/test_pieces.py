"""Pipelines that run piece by piece, and the files of orchestrators that say so."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.pipelines.service import PipelineRuns
from noria.tracking.service import Runs

FLOW = """
from pathlib import Path

import noria
from noria import Resources, pipeline, step


class Scaler:
    def __init__(self, by):
        self.by = by


@step
def load(n: int) -> list[int]:
    return list(range(n))


@step(cache=False)
def scaler(by: float) -> Scaler:
    return Scaler(by)


@step(timeout_s=30, resources=Resources(cpus=2, memory_bytes=1 << 30, gpus=1))
def total(rows: list[int], scale: Scaler) -> float:
    noria.log({"n": len(rows)})
    return sum(rows) * scale.by


@step
def ready(mark: str, first: list[int]) -> bool:
    if not Path(mark).exists():
        raise RuntimeError("not there yet")
    return True


@pipeline
def study(mark: str, n: int = 4, by: float = 0.5) -> dict[str, object]:
    rows = load(n)
    return {"total": total(rows, scaler(by)), "ready": ready(mark, rows)}


@pipeline
def rounds(n: int = 2) -> list[int]:
    rows = load(0)
    for index in range(n):
        rows = load(index)
    return rows


@pipeline
def mapped(n: int = 3):
    return load.map(load(n))


@pipeline
def choosing(n: int = 3) -> int:
    return len(load(n)) + 1
"""


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Give the command, run in a project."""
    (tmp_path / "pieced_flow.py").write_text(FLOW)
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "pieced_flow", raising=False)
    return lambda *arguments: main(["pipelines", *map(str, arguments)])


def only_run(folder: Path, pipeline: str) -> tuple[Any, Any, list[Any], dict[str, Any]]:
    """Give the one run of a pipeline, its tracked run, steps and plain outputs."""
    with open_workspace(load_settings(environ={}, folder=folder)) as ws:
        runs = ws.service(PipelineRuns)
        (run,) = runs.list(ws.project, pipeline=pipeline).items
        outputs = {
            name: json.loads(ws.objects().get(stored.digest, limit_bytes=100))
            for name, stored in run.outputs.items()
        }
        tracked = ws.service(Runs).get(ws.project, run.run_id)
        return run, tracked, runs.steps(ws.project, run.run_id).items, outputs


def test_pieces_in_processes_of_their_own_make_one_run(
    noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any order that the graph allows will do; a piece that failed is tried again in the same run."""
    mark = tmp_path / "mark"
    piece = ("piece", "pieced_flow:study", "--run", "k", "-p", f"mark={mark}", "-p", "n=5")

    assert noria(*piece, "--step", 0) == 1
    assert noria(*piece, "--begin") == 0
    assert only_run(tmp_path, "pieced_flow:study")[0].status == "running"
    assert noria(*piece, "--step", 2) == 1
    assert "`load` (position 0) has not run" in capsys.readouterr().err
    assert [noria(*piece, "--step", position) for position in (1, 0, 3, 2)] == [0, 0, 1, 0]
    run, *_ = only_run(tmp_path, "pieced_flow:study")
    assert (run.status, run.n_failed) == ("running", 1)
    assert noria(*piece, "--end") == 1
    assert only_run(tmp_path, "pieced_flow:study")[0].status == "failed"
    mark.touch()
    assert [noria(*piece, "--step", 3), noria(*piece, "--end")] == [0, 0]

    run, tracked, steps, outputs = only_run(tmp_path, "pieced_flow:study")
    assert (run.status, run.n_steps, run.n_failed) == ("finished", 4, 0)
    assert outputs == {"total": 5.0, "ready": True}
    assert [step.name for step in steps] == ["load", "scaler", "total", "ready"]
    assert [source.source_position for source in steps[2].sources] == [0, 1]
    assert (tracked.params, tracked.metrics) == ({"mark": str(mark), "n": "5", "by": "0.5"}, {"n": 5.0})
    assert tracked.tags["noria.key"] == "k"


def test_parameters_that_change_the_graph_are_found_out(
    noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """A task for a step that the body does not call, and a step that no task ran, are errors with the mend."""
    piece = ("piece", "pieced_flow:rounds", "--run", "k", "-p", "n=1")
    done = [noria(*piece, *what) for what in (("--begin",), ("--step", 0), ("--step", 1), ("--step", 2))]
    assert done == [0, 0, 0, 2]
    assert "calls 2 steps, and none at position 2" in capsys.readouterr().err
    assert noria("piece", "pieced_flow:rounds", "--run", "k", "-p", "n=2", "--end") == 1
    assert "`--whole`" in capsys.readouterr().err
    assert noria("piece", "pieced_flow:rounds", "--run", "k", "--begin", "--end") == 2


def test_files_say_the_graph_or_why_they_do_not(
    noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps wait for what they take; a body that looks at a value, or maps over one, is one task."""
    value = "a'b\"\\n{x}"
    assert noria("export", "--to", "airflow", "pieced_flow:study", "-o", "dag.py") == 2
    assert "-p mark=VALUE" in capsys.readouterr().err
    assert noria("export", "--to", "airflow", "pieced_flow:study", "-o", "dag.py", "-p", f"mark={value}") == 0
    assert "4 steps, each a task" in capsys.readouterr().err
    dag = Path("dag.py").read_text()
    ast.parse(dag)
    assert repr(value) in dag
    assert "load_0_task >> total_2_task\n    scaler_1_task >> total_2_task" in dag
    assert "execution_timeout=timedelta(seconds=120)" in dag

    kubeflow = ("export", "--to", "kubeflow", "pieced_flow:study", "-o", "p.yaml", "-p", "mark=x")
    assert noria(*kubeflow, "--image", "study:1", "--secret", "token") == 0
    spec, platforms = yaml.safe_load_all(Path("p.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    assert {name: task.get("dependentTasks") for name, task in tasks.items()} == {
        "begin": None,
        "load-0": ["begin"],
        "scaler-1": ["begin"],
        "total-2": ["load-0", "scaler-1"],
        "ready-3": ["load-0"],
        "end": ["total-2", "ready-3"],
    }
    total = spec["deploymentSpec"]["executors"]["exec-total-2"]["container"]
    assert total["image"] == "study:1"
    assert total["resources"]["accelerator"]["resourceCount"] == "1"
    executors = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-end"]["secretAsEnv"][0]["secretName"] == "token"

    for pipeline, reason in (("mapped", "how many items `load.map` goes over"), ("choosing", "`load` gives")):
        capsys.readouterr()
        assert noria("export", "--to", "kubeflow", f"pieced_flow:{pipeline}", "-o", "whole.yaml") == 0
        assert reason in capsys.readouterr().err
        whole = yaml.safe_load(Path("whole.yaml").read_text())
        assert list(whole["root"]["dag"]["tasks"]) == ["whole"]
        assert reason in Path("whole.yaml").read_text().splitlines()[1]
    assert noria("piece", "pieced_flow:choosing", "--run", "k", "--whole") == 0
    assert only_run(tmp_path, "pieced_flow:choosing")[3] == {"output": 4}
