"""Kubeflow Pipelines: its SDK and its local runner."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria._version import __version__
from noria.tracking.entities import RunStatus
from peers.conftest import PROGRAMS, Peer
from peers.exported import Exported, exported_project
from support.processes import Processes

PEER = "kfp"
DISTRIBUTION = "kfp"
COVERS = (
    "a component started `noria`; exported pipelines ran in the local orchestrator, containers as processes"
)
NOT_YET = "a cluster with Kubeflow; artifacts of Kubeflow"


@pytest.mark.smoke
def test_a_kubeflow_component_starts_noria(peer: Peer, noria: str, tmp_path: Path) -> None:
    """A component that Kubeflow's local runner executes gets the answer of the installed Noria."""
    output = peer.run(["python", PROGRAMS / "kfp_local.py", noria, "--version"], cwd=tmp_path)

    assert f"answer: noria {__version__}" in output.splitlines()


@pytest.fixture
def exported(tmp_path: Path, noria: str, processes: Processes) -> Iterator[Exported]:
    """Give a project with pipelines to export, and a server that they report to."""
    with exported_project(tmp_path / "project", noria, processes) as made:
        yield made


def test_exported_pipelines_run_in_kubeflow_and_report_to_the_server(
    peer: Peer, noria: str, exported: Exported, tmp_path: Path
) -> None:
    """Kubeflow reads the file, orders the tasks and fills in arguments; all tasks are one run of Noria."""
    steps, whole = tmp_path / "study.yaml", tmp_path / "choosing.yaml"
    image = ("--image", "registry.example/study:1", "--secret", "noria-token")
    assert "5 steps, each a task" in exported.export("--to", "kubeflow", "flow:study", "-o", steps, *image)
    assert "one task: the body looks at" in exported.export("--to", "kubeflow", "flow:choosing", "-o", whole)
    (exported.root / "flow.py").unlink()
    env = exported.env | {"PATH": f"{Path(noria).parent}{os.pathsep}{peer.bin}{os.pathsep}{os.defpath}"}

    def run(file: Path, **arguments: object) -> str:
        command: list[str | Path] = ["python", PROGRAMS / "kfp_run.py", file, json.dumps(arguments)]
        return peer.run(command, cwd=tmp_path, env=env)

    output = run(steps, n=12, fast=False)
    assert "image registry.example/study:1" in output
    assert "pipeline noria-study ran" in output
    run(whole, n=5)

    (study,) = exported.runs("flow:study")
    assert (study.status, study.n_steps, study.n_failed) == (RunStatus.FINISHED, 5, 0)
    assert exported.outputs(study) == {"even": 15.0, "odd": 18.0}
    tracked = exported.tracked(study.run_id)
    assert tracked.params == {"n": "12", "by": "0.5", "label": 'it\'s $HOME "quoted"; rm', "fast": "false"}
    assert tracked.tags["noria.key"].startswith("kubeflow/")
    (choosing,) = exported.runs("flow:choosing")
    assert exported.outputs(choosing) == {"output": 10.0}
