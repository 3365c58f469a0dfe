"""The installed distributions of this process, as a text that pip can install again.

Only the names of folders are read, which say name and version: asking each distribution for its metadata takes a
hundred times as long, and a run must not wait for it.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from noria.core.errors import NoriaError
from noria.core.serialisation import from_json
from noria.tracking.redaction import redact

_FOLDER = re.compile(r"(?P<name>[A-Za-z0-9](?:[\w.]*[A-Za-z0-9])?)-(?P<version>[^-]+)\.(?:dist|egg)-info")
_MAX_DIRECT_URL_BYTES = 1 << 16


def environment_lock(paths: Sequence[str]) -> str:
    """List the distributions that are found on `paths` (as `sys.path`), one requirement a line.

    A distribution that was installed from an address, a repository or a folder is written with it (PEP 508, PEP 610);
    of two with the same name the first one is meant, as at import.

    Examples
    --------
    >>> environment_lock([]).splitlines()[1:]
    []
    """
    found: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        for name, requirement in _requirements(Path(path or ".")):
            found.setdefault(name, requirement)
    heading = f"# {platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    return "\n".join([heading, *(found[name] for name in sorted(found))]) + "\n"


def _requirements(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing if entry.name.endswith(("-info", ".egg-info")))
    except OSError:
        return  # a zip file, or not there
    for name in names:
        parsed = _FOLDER.fullmatch(name)
        if parsed is not None:
            project = parsed["name"].replace("_", "-").lower()
            yield project, _requirement(project, parsed["version"], folder / name)


def _requirement(project: str, version: str, folder: Path) -> str:
    origin = _origin(folder)
    return f"{project}=={version}" if origin is None else f"{project} @ {origin}  # {version}"


def _origin(folder: Path) -> str | None:
    try:
        with (folder / "direct_url.json").open("rb") as file:
            told = from_json(file.read(_MAX_DIRECT_URL_BYTES), dict[str, Any])
    except (OSError, NoriaError):
        return None
    url = told.get("url")
    if not isinstance(url, str):
        return None
    return redact(_in_repository(url, told.get("vcs_info")) or url)


def _in_repository(url: str, info: Any) -> str | None:
    if not isinstance(info, dict) or "vcs" not in info or "commit_id" not in info:
        return None
    return f"{info['vcs']}+{url}@{info['commit_id']}"
