"""The states of a repository: those that git keeps, oldest first, and the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from noria.core.errors import NotFound, Unavailable
from noria.interop.dvc.entities import Commit, DvcRepositoryInvalid, Snapshot
from noria.interop.dvc.files import LIMIT_BYTES, is_read, read_outputs

_TIMEOUT_S: Final = 600.0
_SKIPPED: Final = frozenset({".git", ".dvc", "node_modules", "__pycache__"})

# A repository from elsewhere may bring settings that run programs; none of these is asked here.
_GIT: Final = (
    "git",
    "--no-pager",
    "--no-replace-objects",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showSignature=false",
)


def find_repository(folder: Path) -> Path:
    """Give the root of the DVC repository that a folder is.

    Raises
    ------
    NotFound
        If there is no such folder.
    DvcRepositoryInvalid
        If it has no `.dvc`.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder `{folder}`", hint="Give the folder that holds `.dvc`")
    root = folder.resolve()
    if (root / ".dvc").is_dir():
        return root
    above = next((parent for parent in root.parents if (parent / ".dvc").is_dir()), None)
    raise DvcRepositoryInvalid(
        f"`{folder}` is no repository of DVC: it has no `.dvc`",
        hint=f"Did you mean `{above}`?" if above else "Give the folder in which `dvc init` was run",
    )


def snapshots(root: Path, *, revision: str | None = None) -> Iterator[Snapshot]:
    """Give the states of a repository in which what DVC keeps may have changed, oldest first.

    With git, these are the commits of the line that leads to `revision` (of merges, the first parent), then, if no
    revision is given, the working tree. Without git it is the working tree alone.

    Raises
    ------
    DvcRepositoryInvalid
        If git does not know the revision.
    Unavailable
        If the folder is git's and git is not installed, or does not answer.
    """
    if _has_git(root):
        yield from _committed(root, revision)
    elif revision is not None:
        raise DvcRepositoryInvalid(
            f"`{root}` is not under git, so it has no revision `{revision}`", hint="Leave out `--rev`"
        )
    if revision is None:
        yield _working_tree(root)


def _has_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def _committed(root: Path, revision: str | None) -> Iterator[Snapshot]:
    head = _git(
        root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision or 'HEAD'}^{{commit}}"
    )
    if head is None:
        if revision is None:
            return  # nothing is committed yet
        raise DvcRepositoryInvalid(
            f"git knows no revision `{revision}` in `{root}`",
            hint="Give a branch, a tag or a commit: see `git log`",
        )
    log = _git(
        root,
        "log",
        "--reverse",
        "--first-parent",
        "--format=%H%x00%an%x00%s%x00",
        head.decode().strip(),
        "--",
        "*.dvc",
        "*dvc.lock",
        "*dvc.yaml",
    )
    blobs: dict[str, bytes] = {}
    for line in (log or b"").decode(errors="replace").splitlines():
        if not line:
            continue
        commit_id, author, subject, _ = line.split("\0")
        commit = Commit(id=commit_id, author=author, subject=subject)
        outputs, passed = read_outputs(_files_of(root, commit_id, blobs), commit_id)
        yield Snapshot(commit=commit, outputs=tuple(outputs), passed=tuple(passed))


def _files_of(root: Path, commit: str, blobs: dict[str, bytes]) -> Mapping[str, bytes]:
    listed = _git(root, "ls-tree", "-r", "-l", "-z", commit) or b""
    found: dict[str, bytes] = {}
    for entry in listed.split(b"\0"):
        about, _, name = entry.partition(b"\t")
        path = os.fsdecode(name)
        if not about or not is_read(path):
            continue
        mode, _, blob, size = about.split()
        if mode == b"120000" or int(size) > LIMIT_BYTES:
            continue
        key = blob.decode()
        if key not in blobs:
            blobs[key] = _git(root, "cat-file", "blob", key) or b""
        found[path] = blobs[key]
    return found


def _working_tree(root: Path) -> Snapshot:
    found = scan_for_files(root)
    outputs, passed = read_outputs(found, "")
    commit = Commit(id="", author=None, subject="The working tree")
    return Snapshot(commit=commit, outputs=tuple(outputs), passed=tuple(passed))


def scan_for_files(root: Path) -> dict[str, bytes]:
    """Read the files of a folder that say what DVC keeps."""
    found: dict[str, bytes] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            place = Path(folder, name)
            path = place.relative_to(root).as_posix()
            if is_read(path) and place.is_file() and not place.is_symlink():
                with place.open("rb") as file:
                    found[path] = file.read(LIMIT_BYTES + 1)
    return found


def _git(root: Path, *arguments: str) -> bytes | None:
    """Run git and give what it prints; None if it refuses."""
    if shutil.which("git") is None:
        raise Unavailable("The history cannot be read, since git is not installed", hint="Install git")
    try:
        done = subprocess.run(
            [*_GIT, *arguments],
            cwd=root,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={
                **os.environ,
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_NO_LAZY_FETCH": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "LC_ALL": "C",
            },
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"`git {arguments[0]}` gave no answer in {_TIMEOUT_S:g} s") from error
    if done.returncode == 0:
        return done.stdout
    if b"dubious ownership" in done.stderr:
        raise DvcRepositoryInvalid(
            f"git refuses `{root}`, which belongs to another user",
            hint=f"git config --global --add safe.directory {root}",
        )
    return None
