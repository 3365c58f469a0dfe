"""What a checkout makes equal to which version: what its arguments name, or what pointers name."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from noria.core.clock import SystemClock
from noria.core.errors import Conflict, NotFound
from noria.core.names import split_ref
from noria.core.objects.opening import open_objects
from noria.data.entities import DatasetVersion
from noria.data.trees.checkouts import checkout_version
from noria.data.trees.pointers import SUFFIX, data_path, pointer_path, pointers_in, read_pointer
from noria.data.trees.stat_index import StatIndex
from noria.data.version_reads import read_versions

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.objects.helping import Helper
    from noria.core.objects.store import ObjectReader, Progress
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


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A version, and the place that is to be equal to it; `as_file` if that is a single file."""

    version: DatasetVersion
    target: Path
    as_file: bool = False


class Source:
    """Where versions and their files are read from.

    Of a workspace in a folder both are read from its files, beside a running server or without one. The service is
    asked where that is no way: for a server, a bucket, another database, a tag, or a name that is not there.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._workspace: Workspace | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workspace is not None:
            self._workspace.close()

    def resolve(self, ref: str) -> DatasetVersion:
        """Give the version that a reference names; raises as `Datasets.resolve`."""
        found = read_versions(self.settings, [ref])
        if found is not None:
            return found[0]
        from noria.data.service import Datasets

        return self._opened().service(Datasets).resolve(self.settings.project, ref)

    def objects(self) -> ObjectReader:
        """Give what reads the files of versions."""
        url = self.settings.objects_url
        if self.settings.is_remote or ("://" in url and not url.startswith("file://")):
            return self._opened().objects()
        return open_objects(url, SystemClock(), spool=self.settings.folder / "tmp")

    def knowing(self, here: Mapping[str, Path]) -> ObjectReader:
        """Give what reads the files of versions from a server, and takes from files of this machine what they have."""
        return self._opened().objects(here=here)

    def _opened(self) -> Workspace:
        from noria.core.workspace import open_workspace

        if self._workspace is None:
            self._workspace = open_workspace(self.settings)
        return self._workspace


def plan_checkouts(source: Source, ref: str | None, target: Path | None) -> list[Plan]:
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
        return [_plan_of(source, pointer) for pointer in found]
    pointer = _pointer_of(ref)
    if pointer is not None and target is None:
        return [_plan_of(source, pointer)]
    version = source.resolve(ref)
    return [Plan(version=version, target=target or Path(split_ref(ref)[0]))]


def checkout_helper(settings: Settings) -> contextlib.AbstractContextManager[Helper | None]:
    """Start what writes some of the files of checkouts, before this process opens anything; None where nothing can."""
    url = settings.objects_url
    if settings.is_remote or ("://" in url and not url.startswith("file://")):
        return contextlib.nullcontext()
    from noria.core.memory import keep_freed_memory
    from noria.core.objects.helping import helper
    from noria.core.objects.restoring import Restoring

    keep_freed_memory()
    return helper(Restoring())


def run_checkout(
    source: Source,
    plan: Plan,
    *,
    overwrite: bool,
    progress: Progress | None = None,
    helper: Helper | None = None,
) -> Changes:
    """Make a place equal to a version; raises as `checkout_version`."""
    return checkout_version(
        source.objects(),
        StatIndex.of(source.settings),
        plan.version,
        plan.target,
        as_file=plan.as_file,
        overwrite=overwrite,
        knowing=source.knowing if source.settings.is_remote else None,
        progress=progress,
        helper=helper,
    )


def _pointer_of(ref: str) -> Path | None:
    named = Path(ref)
    if named.name.endswith(SUFFIX) and named.is_file():
        return named
    beside = pointer_path(named) if named.name else named
    return beside if beside.is_file() else None


def _plan_of(source: Source, path: Path) -> Plan:
    pointer = read_pointer(path)
    version = source.resolve(pointer.ref)
    if version.digest != pointer.digest:
        raise PointerStale(path, pointer.ref)
    return Plan(version=version, target=data_path(path), as_file=pointer.kind == "file")
