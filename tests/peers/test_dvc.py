"""DVC: stages and their cache."""

from __future__ import annotations

from pathlib import Path

from noria._version import __version__
from peers.conftest import Peer

PEER = "dvc"
DISTRIBUTION = "dvc"
COVERS = "a DVC stage started the `noria` command and its output entered DVC's cache"
NOT_YET = "data sets exchanged between DVC remotes and Noria"


def test_a_dvc_stage_starts_noria(peer: Peer, noria: str, tmp_path: Path) -> None:
    """A stage that DVC reproduces writes the answer of the installed Noria, and DVC tracks the file."""
    peer.run(["dvc", "init", "--quiet", "--no-scm"], cwd=tmp_path)
    stage = [
        "dvc",
        "stage",
        "add",
        "--name",
        "ask",
        "--outs",
        "answer.txt",
        f"'{noria}' --version > answer.txt",
    ]
    peer.run(stage, cwd=tmp_path)
    peer.run(["dvc", "repro"], cwd=tmp_path)
    status = peer.run(["dvc", "status"], cwd=tmp_path)

    assert (tmp_path / "answer.txt").read_text() == f"noria {__version__}\n"
    assert "up to date" in status
