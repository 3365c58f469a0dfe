"""Airflow: a DAG whose task runs Noria."""

from __future__ import annotations

from pathlib import Path

from noria._version import __version__
from peers.conftest import PROGRAMS, Peer

PEER = "airflow"
DISTRIBUTION = "apache-airflow"
COVERS = "a task of a DAG started the `noria` command (`airflow dags test`)"
NOT_YET = "Noria operators, Noria pipelines exported as DAGs, the scheduler and its API"


def test_an_airflow_task_starts_noria(peer: Peer, noria: str, tmp_path: Path) -> None:
    """A task that Airflow executes writes the answer of the installed Noria."""
    home = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROGRAMS / "airflow_dags"),
        "BESIDE_COMMAND": f"'{noria}' --version",
        "BESIDE_ANSWER": str(tmp_path / "answer.txt"),
    }
    peer.run(["airflow", "db", "migrate"], cwd=tmp_path, env=home)
    peer.run(["airflow", "dags", "test", "beside_noria"], cwd=tmp_path, env=home)

    assert (tmp_path / "answer.txt").read_text() == f"noria {__version__}\n"
