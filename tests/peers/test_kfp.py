"""Kubeflow Pipelines: its SDK and its local runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria._version import __version__
from peers.conftest import PROGRAMS, Peer

PEER = "kfp"
DISTRIBUTION = "kfp"
COVERS = "a component started the `noria` command in the local runner"
NOT_YET = "Noria pipelines exported to Kubeflow, artifacts and lineage handed over"


@pytest.mark.smoke
def test_a_kubeflow_component_starts_noria(peer: Peer, noria: str, tmp_path: Path) -> None:
    """A component that Kubeflow's local runner executes gets the answer of the installed Noria."""
    output = peer.run(["python", PROGRAMS / "kfp_local.py", noria, "--version"], cwd=tmp_path)

    assert f"answer: noria {__version__}" in output.splitlines()
