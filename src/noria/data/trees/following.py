"""What a checkout makes equal to which version: what its arguments name, or what pointers name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.errors import Conflict, NotFound
from noria.core.names import split_ref
from noria.data.entities import DatasetVersion
from noria.data.service import Datasets
from noria.data.trees.checkouts import checkout_version
from noria.data.trees.pointers import SUFFIX, data_path, pointer_path, pointers_in, read_pointer
from noria.data.trees.stat_index import StatIndex

if TYPE_CHECKING:
    from noria.core.objects.store import Progress
    from noria.core.workspace import Workspace
    from noria.data.trees.changes import Changes


class PointerStale(Conflict):
    """The version that a pointer names holds other bytes here than where the pointer was written."""

    code = "pointer_stale"

    def __init__(self, pointer: Path, ref: str) -> None:
        super().__init__(
            f"`{pointer}` was written for another `{ref}` than the one of this workspace",
            hint="Bring the version from where it was added: `noria data pull` from the remote that it was pushed to",
            details={"pointer": str(pointer), "ref": ref},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A version, and the place that is to be equal to it; `as_file` if that is a single file."""

    version: DatasetVersion
    target: Path
    as_file: bool = False


def plan_checkouts(workspace: Workspace, ref: str | None, target: Path | None) -> list[Plan]:
    """Tell what a checkout is to do.

    Parameters
    ----------
    ref
        A version, a pointer, or the file or folder that a pointer stands for; None means all pointers at and below
        the working folder.

    Raises
    ------
    NotFound
        If there is no such version, or no pointer.
    PointerInvalid, PointerStale
        For a pointer that cannot be followed; nothing is written then.
    """
    if ref is None:
        found = list(pointers_in(Path()))
        if not found:
            raise NotFound(
                "There is no pointer here", hint="Name a version: `noria data checkout NAME@VERSION`"
            )
        return [_plan_of(workspace, pointer) for pointer in found]
    pointer = _pointer_of(ref)
    if pointer is not None and target is None:
        return [_plan_of(workspace, pointer)]
    version = workspace.service(Datasets).resolve(workspace.project, ref)
    return [Plan(version=version, target=target or Path(split_ref(ref)[0]))]


def run_checkout(
    workspace: Workspace, plan: Plan, *, overwrite: bool, progress: Progress | None = None
) -> Changes:
    """Make a place equal to a version; raises as `checkout_version`."""
    return checkout_version(
        workspace.objects(),
        StatIndex.of(workspace.settings),
        plan.version,
        plan.target,
        as_file=plan.as_file,
        overwrite=overwrite,
        progress=progress,
    )


def _pointer_of(ref: str) -> Path | None:
    named = Path(ref)
    if named.name.endswith(SUFFIX) and named.is_file():
        return named
    beside = pointer_path(named) if named.name else named
    return beside if beside.is_file() else None


def _plan_of(workspace: Workspace, path: Path) -> Plan:
    pointer = read_pointer(path)
    version = workspace.service(Datasets).resolve(workspace.project, pointer.ref)
    if version.digest != pointer.digest:
        raise PointerStale(path, pointer.ref)
    return Plan(version=version, target=data_path(path), as_file=pointer.kind == "file")
