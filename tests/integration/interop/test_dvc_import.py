"""`noria import dvc`: what a repository keeps, with its history, verified."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.errors import NotFound
from noria.core.objects.trees import read_manifest
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.data.service import Datasets
from noria.interop.dvc.entities import DvcImport, DvcRepositoryInvalid, Passed
from noria.interop.dvc.importing import import_dvc
from support.dvc_repo import DvcRepo, md5_of

FIRST, SECOND, THIRD = b"a,b\n1,2\n", b"a,b\n1,2\n3,4\n", b"a,b\n9,9\n"


@pytest.fixture(scope="module")
def shared_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with open_workspace(load_settings(workspace=str(tmp_path_factory.mktemp("workspace")))) as opened:
        yield opened


@pytest.fixture
def workspace(shared_workspace: Workspace) -> Workspace:
    """Give a workspace; each test has datasets of its own, by a prefix."""
    return shared_workspace


@pytest.fixture
def repo(tmp_path: Path) -> DvcRepo:
    if shutil.which("git") is None:
        pytest.skip("git is not installed: apt install git")
    return DvcRepo(tmp_path / "repo")


def bring(workspace: Workspace, repo: DvcRepo, tmp_path: Path, revision: str | None = None) -> DvcImport:
    return import_dvc(workspace, repo.root, prefix=f"{tmp_path.name}-", revision=revision)


def content(workspace: Workspace, name: str, version: int) -> dict[str, bytes]:
    found = workspace.service(Datasets).version(workspace.project, name, version)
    store = workspace.objects()
    return {
        entry.path: store.get(entry.digest, limit_bytes=10**6)
        for entry in read_manifest(store, found.digest).entries
    }


def test_states_of_git_become_versions(workspace: Workspace, repo: DvcRepo, tmp_path: Path) -> None:
    """In their order, with author and subject; the working tree's is the last; nothing is brought twice."""
    images = {"1.png": b"one", "more/2.png": b"two"}
    repo.point("data/table.csv", repo.keep(FIRST))
    repo.point("data/images", repo.keep_folder(images))
    first = repo.commit("First data")
    repo.write("README.md", "nothing of DVC's")
    repo.commit("Words")
    repo.point("data/table.csv", repo.keep(SECOND))
    second = repo.commit("A row more")
    repo.point("data/table.csv", repo.keep(THIRD))
    report = bring(workspace, repo, tmp_path)
    again = bring(workspace, repo, tmp_path)
    name = f"{tmp_path.name}-table.csv"
    log = dataset(name, workspace=workspace).log()[::-1]

    assert (report.n_commits, report.passed) == (2, [])
    assert [(each.path, each.versions, each.n_present) for each in report.datasets] == [
        ("data/images", [1], 0),
        ("data/table.csv", [1, 2, 3], 0),
    ]
    assert [(each.versions, each.n_present) for each in again.datasets] == [([], 1), ([], 3)]
    assert [version.message for version in log] == [
        f"First data (DVC {md5_of(FIRST)}, git {first[:12]})",
        f"A row more (DVC {md5_of(SECOND)}, git {second[:12]})",
        f"The working tree (DVC {md5_of(THIRD)})",
    ]
    assert [version.author for version in log[:2]] == ["Ana", "Ana"]
    assert [version.n_rows for version in log] == [1, 2, 1]
    assert content(workspace, name, 2) == {"table.csv": SECOND}
    assert content(workspace, f"{tmp_path.name}-images", 1) == images
    assert (repo.cache / md5_of(FIRST)[:2]).exists()


def test_a_state_that_came_back_is_a_version_again(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path
) -> None:
    """History is what happened: a change and its reversal are two versions."""
    for data in (FIRST, SECOND, FIRST):
        repo.point("t.csv", repo.keep(data))
        repo.commit("Change")
    report = bring(workspace, repo, tmp_path)

    assert report.datasets[0].versions == [1, 2, 3]
    assert content(workspace, f"{tmp_path.name}-t.csv", 3) == {"t.csv": FIRST}


def test_a_revision_limits_the_history(workspace: Workspace, repo: DvcRepo, tmp_path: Path) -> None:
    """Only the line that leads to it is brought, and nothing of the working tree; an unknown one is named."""
    repo.point("t.csv", repo.keep(FIRST))
    repo.commit("One")
    repo.git("tag", "v1")
    repo.point("t.csv", repo.keep(SECOND))
    repo.commit("Two")
    report = bring(workspace, repo, tmp_path, revision="v1")

    assert report.datasets[0].versions == [1]
    with pytest.raises(DvcRepositoryInvalid, match="no revision `v9`"):
        bring(workspace, repo, tmp_path, revision="v9")
    with pytest.raises(DvcRepositoryInvalid, match="no revision `--help`"):
        bring(workspace, repo, tmp_path, revision="--help")


def test_a_repository_without_git_gives_its_present_state(workspace: Workspace, tmp_path: Path) -> None:
    """`dvc init --no-scm` is one too."""
    repo = DvcRepo(tmp_path / "repo", git=False)
    repo.point("t.csv", repo.keep(FIRST), "")
    report = bring(workspace, repo, tmp_path)

    assert (report.n_commits, report.datasets[0].versions) == (0, [1])
    with pytest.raises(DvcRepositoryInvalid, match="not under git"):
        bring(workspace, repo, tmp_path, revision="main")


def test_bytes_are_verified_wherever_they_come_from(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path
) -> None:
    """A damaged file of the cache is passed over for the remote's; where both are damaged nothing is stored."""
    remote = tmp_path / "remote"
    repo.write(".dvc/config", "[core]\n    remote = here\n['remote \"here\"']\n    url = ../../remote\n")
    md5 = md5_of(FIRST)
    repo.keep(b"others", md5=md5)
    repo.keep(FIRST, md5=md5, folder=remote / "files" / "md5")
    repo.point("good.csv", md5)
    bad = repo.keep(b"damaged", md5="0" * 32)
    repo.point("bad.csv", bad)
    repo.point("gone.csv", "1" * 32)
    repo.commit("Data")
    report = bring(workspace, repo, tmp_path)
    versions = {each.path: each.versions for each in report.datasets}
    whys = {each.path: each.why for each in report.passed}

    assert versions == {"bad.csv": [], "gone.csv": [], "good.csv": [1]}
    assert content(workspace, f"{tmp_path.name}-good.csv", 1) == {"good.csv": FIRST}
    assert whys == {
        "bad.csv": f"The bytes of `{'0' * 32}` in the cache are others",
        "gone.csv": f"`{'1' * 32}` is in none of the cache, the remote `here`",
    }
    with pytest.raises(NotFound):
        workspace.service(Datasets).get(workspace.project, f"{tmp_path.name}-bad.csv")


def test_caches_of_earlier_versions_are_read(workspace: Workspace, tmp_path: Path) -> None:
    """They have no `files/md5`, and the hashes of texts are those of Unix line ends."""
    repo = DvcRepo(tmp_path / "repo", layout="", git=False)
    windows = b"a,b\r\n1,2\r\nlone \r end\r"
    md5 = md5_of(windows.replace(b"\r\n", b"\n"))
    repo.keep(windows, md5=md5)
    repo.point("t.txt", md5)
    binary = b"\0\r\n"
    repo.keep(binary, md5=md5_of(b"\0\n"))
    repo.point("b.bin", md5_of(b"\0\n"))
    report = bring(workspace, repo, tmp_path)

    assert [(each.path, each.versions) for each in report.datasets] == [("b.bin", []), ("t.txt", [1])]
    assert content(workspace, f"{tmp_path.name}-t.txt", 1) == {"t.txt": windows}


@pytest.mark.parametrize("path", ["../out.txt", "/out.txt", "a/../../out.txt"])
def test_a_list_that_leads_out_is_refused(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path, path: str
) -> None:
    """Nothing is written outside the folder that the list stands for."""
    repo.point("folder", repo.keep_folder({path: b"x"}))
    repo.commit("Data")
    report = bring(workspace, repo, tmp_path)

    assert report.datasets[0].versions == []
    assert [each.path for each in report.passed] == ["folder"]
    assert "not allowed in a tree" in report.passed[0].why
    assert not list(tmp_path.rglob("out.txt"))


@pytest.mark.parametrize("files", [{"a": b"x", "a/b": b"y"}, {"a/b/c": b"x", "a/b": b"y"}])
def test_a_list_of_files_that_cannot_stand_together_is_refused(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path, files: dict[str, bytes]
) -> None:
    """What is a file in one line and a folder in another is damage, not a fault of the disk."""
    repo.point("folder", repo.keep_folder(files))
    repo.commit("Data")
    (passed,) = bring(workspace, repo, tmp_path).passed

    assert "both a file and a folder" in passed.why


def test_an_executable_keeps_its_right_and_the_cache_its_own(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path
) -> None:
    """The file of the cache is linked, so its rights must stay what they were."""
    md5 = repo.keep(b"#!/bin/sh\n")
    repo.point("tool.sh", md5, "  isexec: true\n")
    repo.commit("Tool")
    bring(workspace, repo, tmp_path)
    version = workspace.service(Datasets).version(workspace.project, f"{tmp_path.name}-tool.sh", 1)
    (entry,) = read_manifest(workspace.objects(), version.digest).entries

    assert entry.executable
    assert (repo.cache / md5[:2] / md5[2:]).stat().st_mode & 0o777 == 0o444


def test_names_are_unique_and_allowed(workspace: Workspace, repo: DvcRepo, tmp_path: Path) -> None:
    """Paths that end alike are told apart by the whole path, and what no name can hold becomes `-`."""
    for path in ("a/data.csv", "b/data.csv", "año 1.csv"):
        repo.point(path, repo.keep(path.encode()))
    repo.commit("Data")
    report = bring(workspace, repo, tmp_path)

    assert [each.name.removeprefix(f"{tmp_path.name}-") for each in report.datasets] == [
        "a-data.csv",
        "a-o-1.csv",
        "b-data.csv",
    ]


def test_what_is_kept_elsewhere_is_told(workspace: Workspace, repo: DvcRepo, tmp_path: Path) -> None:
    """A file that was changed by hand beside DVC's is one reason among others; the rest is brought."""
    repo.write("dvc.yaml", "stages:\n  s:\n    cmd: x\n    metrics: [{m.json: {cache: false}}]\n")
    repo.write("dvc.lock", f"schema: '2.0'\nstages:\n  s:\n    outs: [{{path: m.json, md5: {'a' * 32}}}]\n")
    repo.point("t.csv", repo.keep(FIRST))
    commit = repo.commit("Data")
    report = bring(workspace, repo, tmp_path)

    assert report.passed == [
        Passed(path="m.json", commit=commit, why="it is kept in git, not in DVC's cache")
    ]
    assert report.datasets[0].versions == [1]


def test_a_folder_that_is_no_repository_is_refused(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path
) -> None:
    """The message names the folder, and the one that was probably meant."""
    below = repo.root / "data"
    below.mkdir()
    with pytest.raises(DvcRepositoryInvalid, match=r"has no `\.dvc`") as caught:
        import_dvc(workspace, below)
    with pytest.raises(NotFound, match="There is no folder"):
        import_dvc(workspace, tmp_path / "nowhere")

    assert caught.value.hint == f"Did you mean `{repo.root}`?"


def test_settings_of_the_repository_run_no_programs(
    workspace: Workspace, repo: DvcRepo, tmp_path: Path
) -> None:
    """A repository from elsewhere may bring hooks and filters; reading its history starts none of them."""
    trap = tmp_path / "trap"
    for key in ("core.fsmonitor", "core.pager", "diff.external", "filter.x.smudge", "core.sshCommand"):
        repo.git("config", key, f"touch {trap}; false")
    repo.write(".gitattributes", "*.dvc filter=x diff=x\n")
    repo.git("config", "diff.x.textconv", f"touch {trap}; cat")
    repo.point("t.csv", repo.keep(FIRST))
    repo.git("-c", "core.fsmonitor=false", "-c", "filter.x.smudge=cat", "add", "--all")
    repo.git(
        "-c", "core.fsmonitor=false", "-c", "filter.x.smudge=cat", "commit", "--quiet", "--message", "Data"
    )
    trap.unlink(missing_ok=True)
    report = bring(workspace, repo, tmp_path)

    assert report.datasets[0].versions == [1]
    assert not trap.exists()
