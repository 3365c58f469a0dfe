"""What is run: command line, machine, and the state of the working folder's code.

Values that look like secrets are replaced before they leave here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from noria.tracking.entities import RunSource
from noria.tracking.redaction import redact_command

MAX_DIFF_BYTES = 2 << 20
"""A longer diff is cut: it is mostly data that should not have been committed."""

_GIT_TIMEOUT_S = 5.0
_MAX_COMMAND_CHARS = 4_000


def capture_source(arguments: Sequence[str], folder: Path, *, python: str, host: str) -> RunSource:
    """Describe what runs now.

    Parameters
    ----------
    arguments
        Command line.
    folder
        Where to look for a git repository, upwards.
    """
    commit, dirty = git_state(folder)
    return RunSource(
        git_commit=commit,
        git_dirty=dirty,
        command=shown_command(redact_command(arguments)),
        python=python,
        host=host,
    )


def shown_command(command: str) -> str:
    """Cut a command line to what a run keeps of it."""
    return command[:_MAX_COMMAND_CHARS]


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Give the commit of a working folder, and whether tracked files differ from it; None twice outside one."""
    answer = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    return (None, None) if answer is None else _parse_status(answer.decode(errors="replace"))


def git_diff(folder: Path, *, limit_bytes: int = MAX_DIFF_BYTES) -> str | None:
    """Give how tracked files differ from the commit, as text that `git apply` takes; None when that cannot be told.

    A diff longer than `limit_bytes` is cut, and says so at its end.
    """
    answer = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")
    if answer is None:
        return None
    text = answer[:limit_bytes].decode(errors="replace")
    left = len(answer) - limit_bytes
    return text if left <= 0 else f"{text}\n… and {left} bytes more that are not kept\n"


def _git(folder: Path, *arguments: str) -> bytes | None:
    if not _may_be_a_repository(folder):
        return None
    import subprocess  # most of what this costs outside of a repository

    try:
        done = subprocess.run(
            # A monitor of the file system would stay behind as a process of its own.
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            # Without this, looking would take the lock of the index from under a user's own git command.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _may_be_a_repository(folder: Path) -> bool:
    """Tell whether git can find a repository from a folder; to ask git takes longer than a step of a pipeline."""
    if "GIT_DIR" in os.environ:
        return True
    place = os.path.realpath(folder)
    while True:
        # `.git` of a work tree, or what a repository without one holds itself.
        if os.path.lexists(f"{place}/.git") or os.path.lexists(f"{place}/HEAD"):
            return True
        above = os.path.dirname(place)  # noqa: PTH120 - each command asks for it
        if above == place:
            return False
        place = above


def _parse_status(text: str) -> tuple[str | None, bool | None]:
    lines = text.splitlines()
    commits = [line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")]
    dirty = any(line and not line.startswith("#") for line in lines)
    if not commits or not re.fullmatch(r"[0-9a-f]{40,64}", commits[0]):
        return None, dirty  # a repository without a commit
    return commits[0], dirty
