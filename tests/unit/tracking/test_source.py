"""What was run, without secrets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from noria.tracking.redaction import HIDDEN
from noria.tracking.source import capture_source, git_diff, git_state


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_state_of_a_repository_is_told(tmp_path: Path) -> None:
    """The commit, and whether a tracked file differs from it; files that git does not know do not count."""
    assert git_state(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == (None, False)
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "first")
    commit, dirty = git_state(tmp_path)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (commit, dirty) == (head.stdout.strip(), False)
    (tmp_path / "b.py").write_text("new")
    assert git_state(tmp_path)[1] is False
    (tmp_path / "a.py").write_text("2")
    assert git_state(tmp_path)[1] is True


def test_repositories_of_other_forms_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below, a work tree elsewhere, a repository that the environment names, and one without a work tree."""
    made = repository(tmp_path / "made")
    (made / "below").mkdir()
    git(made, "worktree", "add", "-q", str(tmp_path / "other"))
    (tmp_path / "outside").mkdir()
    commit = git_state(made)[0]
    assert commit is not None
    assert git_state(made / "below")[0] == git_state(tmp_path / "other")[0] == commit
    (tmp_path / "link").symlink_to(made / "below")
    assert git_state(tmp_path / "link")[0] == commit
    assert git_state(tmp_path / "outside") == (None, None)
    monkeypatch.setenv("GIT_DIR", str(made / ".git"))
    assert git_state(tmp_path / "outside")[0] == commit


def test_outside_of_a_repository_git_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run would wait for it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\necho started >> {tmp_path}/note\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    (tmp_path / "outside").mkdir()
    git_state(tmp_path / "outside")
    assert not (tmp_path / "note").exists()
    (tmp_path / "outside" / ".git").write_text("gitdir: elsewhere")
    git_state(tmp_path / "outside")
    assert (tmp_path / "note").exists()


def test_a_source_holds_what_was_passed_in(tmp_path: Path) -> None:
    """Outside a repository there is no commit; the rest is told."""
    source = capture_source(["a.py", "--password", "x"], tmp_path, python="3.12.0", host="h")

    assert (source.git_commit, source.git_dirty) == (None, None)
    assert (source.command, source.python, source.host) == (f"a.py --password {HIDDEN}", "3.12.0", "h")


def test_a_folder_that_is_gone_has_no_state(tmp_path: Path) -> None:
    """A working folder that was deleted is no reason to fail."""
    assert git_state(tmp_path / "gone") == (None, None)


def repository(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    (folder / "a.py").write_text("one\n")
    git(folder, "add", "a.py")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_diff_can_be_applied(tmp_path: Path) -> None:
    """What differs from the commit is told so that the folder can be made again, from any folder inside it."""
    repository(tmp_path)
    (tmp_path / "a.py").write_text("two\n")
    (tmp_path / "inner").mkdir()
    diff = git_diff(tmp_path / "inner")
    git(tmp_path, "checkout", "-q", "a.py")
    assert diff is not None
    subprocess.run(["git", "apply"], cwd=tmp_path, input=diff, text=True, check=True)

    assert (tmp_path / "a.py").read_text() == "two\n"


def test_a_long_diff_is_cut(tmp_path: Path) -> None:
    """The cut is said, with what is missing."""
    repository(tmp_path)
    (tmp_path / "a.py").write_text("x" * 5000)
    diff = git_diff(tmp_path, limit_bytes=1000)

    assert diff is not None
    assert len(diff) < 1100
    assert "that are not kept" in diff


def test_without_a_commit_there_is_no_diff(tmp_path: Path) -> None:
    """Neither outside a repository nor in one that has no commit yet."""
    assert git_diff(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert git_diff(tmp_path) is None
