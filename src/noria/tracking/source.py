"""What was run: commit, command line, machine. Values that look like secrets are replaced before they leave here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from noria.tracking.entities import RunSource

HIDDEN = "***"
_GIT_TIMEOUT_S = 5.0
_MAX_COMMAND_CHARS = 4_000

_SENSITIVE = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token(?!s|iz)|credential"
    r"|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]*"
)
_SECRET_OPTION = re.compile(rf"-{{1,2}}{_SENSITIVE}", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    rf"((?:^|[\s,;&?\"'{{])-{{0,2}}{_SENSITIVE}[\"']?\s*[=:]\s*)[^\s,;&}}]+", re.IGNORECASE
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)


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
        command=redact_command(arguments)[:_MAX_COMMAND_CHARS],
        python=python,
        host=host,
    )


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Give the commit of a working folder, and whether tracked files differ from it; None twice outside one."""
    try:
        done = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            cwd=folder,
            # Without this, looking would take the lock of the index from under a user's own git command.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    return _parse_status(done.stdout) if done.returncode == 0 else (None, None)


def _parse_status(text: str) -> tuple[str | None, bool | None]:
    lines = text.splitlines()
    commits = [line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")]
    dirty = any(line and not line.startswith("#") for line in lines)
    if not commits or not re.fullmatch(r"[0-9a-f]{40,64}", commits[0]):
        return None, dirty  # a repository without a commit
    return commits[0], dirty


def redact_command(arguments: Sequence[str]) -> str:
    """Join a command line, without the values of options that name a secret.

    Examples
    --------
    >>> redact_command(["train.py", "--lr", "0.1", "--api-key", "abc123"])
    'train.py --lr 0.1 --api-key ***'
    """
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        hidden = hide_next and not argument.startswith("-")
        shown.append(HIDDEN if hidden else _quote(redact(argument)))
        hide_next = _SECRET_OPTION.fullmatch(argument) is not None
    return " ".join(shown)


def redact(text: str) -> str:
    """Replace what looks like a secret in free text: passwords in addresses, assignments, bearer tokens, known shapes.

    Examples
    --------
    >>> redact("postgresql://ana:pw@db/runs password=hunter2")
    'postgresql://***@db/runs password=***'
    """
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _ASSIGNMENT.sub(rf"\1{HIDDEN}", text)
    return _SHAPES.sub(HIDDEN, text)


def _quote(argument: str) -> str:
    return argument if HIDDEN in argument else shlex.quote(argument)
