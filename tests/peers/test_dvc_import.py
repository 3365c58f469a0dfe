"""`noria import dvc`: a repository that DVC itself made, with its history, stages and remote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.objects.trees import read_manifest
from noria.core.workspace import open_workspace
from noria.data.service import Datasets
from noria.interop.dvc.importing import import_dvc
from peers.conftest import Peer

PEER = "dvc"
DISTRIBUTION = "dvc"
COVERS = (
    "files, folders, outputs of stages and a folder remote, over four commits, imported from DVC's own files"
)
NOT_YET = "remotes in buckets, which are read by the same code as Noria's own"

STAGES = """
stages:
  train:
    cmd: wc -l data/table.csv > model.txt && echo 1 > scores.txt
    deps: [data/table.csv]
    outs: [model.txt]
    metrics:
      - scores.txt: {cache: false}
"""
WHO = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
}


@pytest.mark.parametrize("from_remote", [False, True])
def test_a_repository_of_dvc_is_brought(peer: Peer, tmp_path: Path, from_remote: bool) -> None:
    """Each state that git keeps becomes a version with DVC's bytes, from the cache or, without one, from the remote."""
    repo = tmp_path / "repo"
    repo.mkdir()
    env = {**WHO, "PATH": f"{peer.bin}{os.pathsep}{os.defpath}"}

    def run(*command: str) -> None:
        child = peer.processes.start(command, name="step", cwd=repo, env=env)
        assert child.wait(240) == 0, child.output()

    def commit(subject: str) -> None:
        run("git", "add", "--all")
        run("git", "commit", "--quiet", "--message", subject)

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    run("dvc", "remote", "add", "--quiet", "--default", "shelf", str(tmp_path / "shelf"))
    images = {f"{number}.txt": f"image {number}".encode() for number in range(3)}
    (repo / "data" / "images").mkdir(parents=True)
    for name, data in images.items():
        (repo / "data" / "images" / name).write_bytes(data)
    tables = [b"a,b\n1,2\n", b"a,b\n1,2\n3,4\n"]
    (repo / "data" / "table.csv").write_bytes(tables[0])
    run("dvc", "add", "--quiet", "data/images", "data/table.csv")
    commit("First data")
    (repo / "data" / "table.csv").write_bytes(tables[1])
    run("dvc", "add", "--quiet", "data/table.csv")
    commit("A row more")
    (repo / "dvc.yaml").write_text(STAGES)
    run("dvc", "repro", "--quiet")
    commit("Train")
    run("dvc", "push", "--quiet", "--all-commits")
    if from_remote:
        shutil.rmtree(repo / ".dvc" / "cache")
    with open_workspace(load_settings(workspace=str(tmp_path / "workspace"))) as workspace:
        report = import_dvc(workspace, repo)
        again = import_dvc(workspace, repo)
        store, service = workspace.objects(), workspace.service(Datasets)

        def content(name: str, version: int) -> dict[str, bytes]:
            manifest = read_manifest(store, service.version("default", name, version).digest)
            return {entry.path: store.get(entry.digest, limit_bytes=1000) for entry in manifest.entries}

        assert {each.name: each.versions for each in report.datasets} == {
            "images": [1],
            "model.txt": [1],
            "table.csv": [1, 2],
        }
        assert [(each.path, each.why) for each in report.passed] == [
            ("scores.txt", "it is kept in git, not in DVC's cache")
        ]
        assert content("images", 1) == images
        assert [content("table.csv", version)["table.csv"] for version in (1, 2)] == tables
        assert content("model.txt", 1) == {"model.txt": (repo / "model.txt").read_bytes()}
        assert not any(each.versions for each in again.datasets)
