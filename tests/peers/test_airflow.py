"""Airflow: a DAG whose task runs Noria, and Noria's pipelines as DAGs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noria._version import __version__
from noria.tracking.entities import RunStatus
from peers.conftest import PROGRAMS, Peer
from peers.exported import Exported, exported_project
from support.processes import Processes

PEER = "airflow"
DISTRIBUTION = "apache-airflow"
COVERS = "a task started `noria`; exported pipelines ran by steps and whole, one failed (`dags test`)"
NOT_YET = "Noria operators, the scheduler and its API"

Home = Callable[[Path], dict[str, str]]


@pytest.fixture
def home(peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give the settings of an Airflow whose database is migrated once, and whose DAGs lie in a folder."""
    root = tmp_path_factory.getbasetemp() / "airflow"

    def settings(dags: Path) -> dict[str, str]:
        env = {
            "AIRFLOW_HOME": str(root),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        }
        if not root.exists():
            root.mkdir()
            peer.run(["airflow", "db", "migrate"], cwd=root, env=env)
        return env

    return settings


@pytest.fixture
def exported(tmp_path: Path, noria: str, processes: Processes) -> Iterator[Exported]:
    """Give a project with pipelines to export, and a server that they report to."""
    with exported_project(tmp_path / "project", noria, processes) as made:
        yield made


def test_an_airflow_task_starts_noria(peer: Peer, noria: str, home: Home, tmp_path: Path) -> None:
    """A task that Airflow executes writes the answer of the installed Noria."""
    env = home(PROGRAMS / "airflow_dags") | {
        "BESIDE_COMMAND": f"'{noria}' --version",
        "BESIDE_ANSWER": str(tmp_path / "answer.txt"),
    }
    peer.run(["airflow", "dags", "test", "beside_noria"], cwd=tmp_path, env=env)

    assert (tmp_path / "answer.txt").read_text() == f"noria {__version__}\n"


def test_exported_pipelines_run_in_airflow_and_report_to_the_server(
    peer: Peer, noria: str, home: Home, exported: Exported, tmp_path: Path
) -> None:
    """Steps are tasks of one run with its params, metrics and outputs; a branch on a value is one task, and said so."""
    dags = tmp_path / "dags"
    dags.mkdir()
    steps = exported.export("--to", "airflow", "flow:study", "-o", dags / "study.py")
    whole = exported.export("--to", "airflow", "flow:choosing", "-o", dags / "choosing.py")
    exported.export("--to", "airflow", "flow:waiting", "-o", dags / "waiting.py", "-p", "mark=/nowhere")
    (exported.root / "flow.py").unlink()
    env = home(dags) | exported.env | {"NORIA_COMMAND": noria}

    def run(dag: str, *more: str) -> str:
        return peer.run(["airflow", "dags", "test", dag, *more], cwd=tmp_path, env=env)

    run("noria_study", "--conf", '{"n": 12}')
    run("noria_choosing")
    with pytest.raises(AssertionError, match="RuntimeError: not there yet"):
        run("noria_waiting")

    assert "5 steps, each a task" in steps
    assert "one task: the body looks at what `load` gives" in whole
    (study,) = exported.runs("flow:study")
    assert (study.status, study.n_steps, study.n_failed) == (RunStatus.FINISHED, 5, 0)
    assert exported.outputs(study) == {"even": 15.0, "odd": 18.0}
    names = ["load", "split", "scaler", "total", "total"]
    assert [step.name for step in exported.steps(study.run_id)] == names
    tracked = exported.tracked(study.run_id)
    assert tracked.params == {"n": "12", "by": "0.5", "label": 'it\'s $HOME "quoted"; rm', "fast": "true"}
    assert tracked.tags["noria.key"].startswith("airflow/noria_study/")
    assert tracked.metrics == {"n": 6.0}
    assert exported.runs("flow:choosing")[0].status is RunStatus.FINISHED
    (waiting,) = exported.runs("flow:waiting")
    assert (waiting.status, waiting.n_failed) == (RunStatus.FAILED, 1)
