"""What lies at a remote, and what a workspace knows of it.

::

    packs/ab/<id>.pack                            packs, as the store of a workspace has them
    datasets/<project>/<name>/<version>.json      a version, with the packs that hold it (`RemoteVersion`)

Packs never change, and a version is written after its packs: whatever is listed can be brought. A remote holds no
index; whoever pushes and pulls at the same time needs no lock.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

import msgspec

from noria.core.errors import Corrupt, Invalid, NotFound, near
from noria.core.names import check_name
from noria.core.objects.digests import Digest
from noria.data.entities import DatasetKind, DatasetVersion

FORMAT: Final = "noria.version/1"
_PACK: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(r"datasets/([^/]+)/([^/]+)/([1-9][0-9]*)\.json")


class RemoteLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A remote as a workspace knows it: its name, and its address without secrets."""

    name: str
    url: str


class RemoteVersion(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=FORMAT):
    """A version as a remote holds it.

    Attributes
    ----------
    packs
        Ids of packs that hold all of it between them.
    """

    project: str
    name: str
    version: int
    digest: Digest
    kind: DatasetKind
    author: str
    message: str
    parent: int | None
    n_files: int
    size_bytes: int
    n_rows: int | None
    profile: dict[str, Any] | None
    created_at: datetime
    packs: list[str]

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class RemoteUnknown(NotFound):
    """The workspace knows no remote of this name."""

    code = "remote_unknown"

    def __init__(self, name: str, known: list[str]) -> None:
        close = near(name, known)
        listed = ", ".join(f"`{each}`" for each in known) or "there is none yet"
        hint = (
            f"Did you mean `{close}`?" if close else f"Known: {listed} (see `noria data remote add --help`)"
        )
        super().__init__(f"There is no remote `{name}`", hint=hint, details={"name": name})


class RemoteCorrupt(Corrupt):
    """What a remote gives is not what it said that it holds."""

    code = "remote_corrupt"

    def __init__(self, url: str, key: str, why: str) -> None:
        super().__init__(
            f"`{key}` at `{url}` is damaged: {why}",
            hint="Nothing of it was taken; push the version again from a workspace that has it,"
            " after `noria objects verify` there",
            details={"url": url, "key": key},
        )


def version_key(project: str, name: str, version: int) -> str:
    """Give the key of a version; no name that passes the check leads out of its folder."""
    return f"datasets/{check_name('project', project)}/{check_name('dataset', name)}/{int(version)}.json"


def version_of_key(key: str) -> tuple[str, str, int] | None:
    """Give project, name and number of the version that lies at a key; None if none does."""
    found = _KEY.fullmatch(key)
    return (found[1], found[2], int(found[3])) if found else None


def pack_key(pack_id: str) -> str:
    """Give the key of a pack.

    Raises
    ------
    Invalid
        If the id is none.
    """
    if _PACK.fullmatch(pack_id) is None:
        raise Invalid(f"`{pack_id[:80]}` is not the id of a pack")
    return f"packs/{pack_id[:2]}/{pack_id}.pack"


def remote_version(version: DatasetVersion, packs: list[str]) -> RemoteVersion:
    """Say of a version what a remote keeps of it."""
    return RemoteVersion(
        project=version.project,
        name=version.name,
        version=version.version,
        digest=version.digest,
        kind=version.kind,
        author=version.author,
        message=version.message,
        parent=version.parent,
        n_files=version.n_files,
        size_bytes=version.size_bytes,
        n_rows=version.n_rows,
        profile=version.profile,
        created_at=version.created_at,
        packs=packs,
    )
