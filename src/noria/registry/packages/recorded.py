"""What was installed where a model was trained, as its run recorded it, or else where it was registered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.errors import NotFound
from noria.pipelines.service import PipelineRuns
from noria.registry.entities import ServableVersion
from noria.tracking.artifacts import Artifacts
from noria.tracking.capture import ENVIRONMENT_PATH

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

_LIMIT_BYTES: Final = 4 << 20
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?\s*==\s*(?P<version>[0-9][\w.+!-]*)"
    r"\s*(?:;.*)?"
)
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*@\s")
_PYTHON = re.compile(r"# \S+ (?P<python>3\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An environment.

    Attributes
    ----------
    python
        Minor version: `3.11`.
    pins
        Version by name; None for what was installed from an address or a folder.
    """

    python: str
    pins: Mapping[str, str | None]


def normal(name: str) -> str:
    """Give the name of a distribution in its one form.

    Examples
    --------
    >>> normal("Scikit_Learn")
    'scikit-learn'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def recorded_environment(workspace: Workspace, version: ServableVersion) -> Recorded | None:
    """Find what the run that made a version recorded, as a run of a pipeline or as any other; else its registration.

    None if neither recorded anything.
    """
    run_id, found = version.origin.run_id, None
    if run_id is not None:
        found = _of_pipeline(workspace, version.project, run_id) or _of_run(
            workspace, version.project, run_id
        )
    return found or _of_registration(workspace, version)


def read_pins(text: str) -> dict[str, str | None]:
    r"""Read requirements: versions by name; what is not pinned has None, and options are passed over.

    Examples
    --------
    >>> read_pins("# heading\nNumPy==2.1\nmine @ file:///home/me\n-r other.txt\n")
    {'numpy': '2.1', 'mine': None}
    """
    found: dict[str, str | None] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if pinned := _PIN.fullmatch(stripped):
            found[normal(pinned["name"])] = pinned["version"]
        elif named := _NAMED.match(stripped):
            found[normal(named["name"])] = None
    return found


def _of_pipeline(workspace: Workspace, project: str, run_id: str) -> Recorded | None:
    try:
        digest = workspace.service(PipelineRuns).get(project, run_id).environment
    except NotFound:
        return None
    if digest is None:
        return None
    told = msgspec.json.decode(
        workspace.objects(project).get(digest, limit_bytes=_LIMIT_BYTES), type=_PipelineEnvironment
    )
    return Recorded(
        python=".".join(told.python.split(".")[:2]),
        pins={normal(name): version for name, version in told.distributions.items()},
    )


def _of_run(workspace: Workspace, project: str, run_id: str) -> Recorded | None:
    try:
        kept = workspace.service(Artifacts).get(project, f"run:{run_id}", ENVIRONMENT_PATH)
        text = kept.read(limit_bytes=_LIMIT_BYTES).decode(errors="replace")
    except NotFound:
        return None
    return _read(text)


def _of_registration(workspace: Workspace, version: ServableVersion) -> Recorded | None:
    if version.origin.environment is None:
        return None
    try:
        data = workspace.objects(version.project).get(version.origin.environment, limit_bytes=_LIMIT_BYTES)
    except NotFound:
        return None
    return _read(data.decode(errors="replace"))


def _read(text: str) -> Recorded | None:
    heading = _PYTHON.match(text)
    return Recorded(python=heading["python"], pins=read_pins(text)) if heading else None


class _PipelineEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    python: str
    distributions: dict[str, str]
