"""Resolve the lock of a package: the distributions that its model needs, in the versions that its run recorded.

uv resolves for all platforms and gives the hashes; it chooses nothing that the run recorded. Where it cannot, the lock
says why, and stands for what is known.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noria.core.errors import Invalid
from noria.registry.packages.pylock import Lock, Locked, read_lock, read_places
from noria.registry.packages.reasons import (
    ABSENT,
    APART,
    NO_FILE,
    NO_HASHES,
    NO_RESOLVER,
    NOT_RELEASED,
    OTHER_VERSION,
    OUT_OF_REACH,
    TOO_SLOW,
    UNRECORDED,
)
from noria.registry.packages.recorded import Recorded

_TIMEOUT_S: Final = 180
_OWN: Final = "noria"
"""Whatever serves a package brings itself."""
_ABSENT = re.compile(r"no version of ([a-z0-9.-]+==[\w.+!]+)|Because ([a-z0-9.-]+) was not found")
_NOT_REACHED: Final = (
    "error sending request",
    "failed to fetch",
    "could not connect",
    "network",
    "timed out",
    "dns error",
    "offline",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A lock, and what the resolver said when it could not make one: for the person who builds, not for the package."""

    lock: Lock
    said: str = ""


def resolve_lock(wanted: dict[str, str | None], recorded: Recorded | None, folder: Path) -> Resolved:
    """Resolve what a model needs.

    Parameters
    ----------
    wanted
        What the version says that it needs: versions by name, None for any.
    recorded
        What its run recorded; None when there is no record.
    folder
        Of the project, whose settings of uv say where distributions are found.
    """
    roots = {name: version for name, version in sorted(wanted.items()) if name != _OWN}
    if recorded is None:
        return _incomplete(roots, None, UNRECORDED)
    pins = {name: recorded.pins.get(name) or version for name, version in roots.items()}
    unknown = [name for name, version in pins.items() if version is None]
    if unknown:
        return _incomplete(pins, recorded, NOT_RELEASED % {"name": unknown[0]})
    uv = _find_uv()
    if uv is None:
        return _incomplete(pins, recorded, NO_RESOLVER)
    return _resolved(uv, pins, recorded, folder)


def locate(lock: Lock, folder: Path) -> bytes:
    """Write a lock with the address of each file in the index that this machine knows, for installers to take it from.

    Files of which no index here has the very bytes are left out.

    Parameters
    ----------
    folder
        Whose settings of uv say where distributions are found.

    Raises
    ------
    Invalid
        If the lock is incomplete, uv is not installed, or a distribution has no such file left.
    """
    wanted, uv = lock.requirements(), _find_uv()
    if uv is None:
        raise Invalid("uv, which finds the files, is not installed", hint="pip install 'noria[packages]'")
    python = (lock.python or "").removeprefix(">=")
    done = _compile(uv, wanted, "", python, folder, "--no-deps")
    if done is None or done.lock is None:
        reason = TOO_SLOW if done is None else _reason(done.said)
        raise Invalid(
            f"The files of the lock were not found: {reason}",
            hint="See what `uv pip compile` says of `noria packages lock … --requirements`",
            details={"said": done.said[-2000:]} if done else None,
        )
    places = read_places(done.lock)
    for each in lock.distributions:
        if not any(file in places for file in each.files):
            raise Invalid(
                f"No index that is known here has a file of `{each.name}=={each.version}` with a hash of the lock",
                hint="Name one that has: `UV_DEFAULT_INDEX=ADDRESS noria packages lock … --located`",
            )
    return lock.encode(places)


def _resolved(uv: str, pins: dict[str, str | None], recorded: Recorded, folder: Path) -> Resolved:
    known = _requirements(dict(recorded.pins))
    done = _compile(uv, _requirements(pins), known, recorded.python, folder)
    if done is None:
        return _incomplete(pins, recorded, TOO_SLOW)
    if done.lock is None:
        return _incomplete(pins, recorded, _reason(done.said), said=done.said)
    return _checked(done.lock, pins, recorded)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    lock: bytes | None
    said: str


def _compile(
    uv: str, wanted: str, known: str, python: str, folder: Path, *more: str
) -> _Compiled | None:  # fmt: skip
    """Let uv resolve requirements for all platforms; None when it took too long."""
    with tempfile.TemporaryDirectory(prefix="noria-lock-") as place:
        paths = [Path(place, name) for name in ("wanted.in", "known.txt", "pylock.toml")]
        paths[0].write_text(wanted, encoding="utf-8")
        paths[1].write_text(known, encoding="utf-8")
        command = [uv, "pip", "compile", "--universal", "--generate-hashes", "--no-build", "--no-progress"]
        command += ["--format", "pylock.toml", "--python", sys.executable, *more]
        command += ["--python-version", python] if python else []
        command += ["--constraints", str(paths[1]), "--output-file", str(paths[2]), str(paths[0])]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        return _Compiled(lock=paths[2].read_bytes() if done.returncode == 0 else None, said=done.stderr)


def _checked(data: bytes, pins: dict[str, str | None], recorded: Recorded) -> Resolved:
    """Refuse a lock in which something is not what was recorded, or has no hash."""
    try:
        lock = read_lock(data)
    except Invalid as error:
        return _incomplete(pins, recorded, NO_HASHES, said=error.message)
    for each in lock.distributions:
        if each.name in recorded.pins and recorded.pins[each.name] != each.version:
            return _incomplete(pins, recorded, OTHER_VERSION % {"name": each.name})
        if not each.files:
            return _incomplete(pins, recorded, NO_FILE % {"name": f"{each.name}=={each.version}"})
    return Resolved(lock=lock)


def _incomplete(
    pins: dict[str, str | None], recorded: Recorded | None, reason: str, *, said: str = ""
) -> Resolved:
    known = tuple(Locked(name=name, version=version) for name, version in pins.items() if version is not None)
    python = f">={recorded.python}" if recorded else None
    return Resolved(lock=Lock(python=python, distributions=known, incomplete=reason), said=said)


def _requirements(pins: dict[str, str | None]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in pins.items() if version is not None)


def _reason(said: str) -> str:
    """Give a reason that names neither an index nor a folder."""
    absent = _ABSENT.search(" ".join(said.split()))
    if absent:
        return ABSENT % {"name": absent[1] or absent[2]}
    lowered = said.lower()
    if any(sign in lowered for sign in _NOT_REACHED):
        return OUT_OF_REACH
    return APART


def _find_uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    if beside.is_file() and os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which("uv")
