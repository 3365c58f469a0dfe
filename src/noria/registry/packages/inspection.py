"""Look into a layout that the object store holds, without writing its files anywhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from noria.core.objects.trees import Entry, Manifest
from noria.registry.packages.entities import (
    ATTACHED_LIMIT_BYTES,
    CONFIG_LIMIT_BYTES,
    LOCK_FILE,
    MANIFEST_LIMIT_BYTES,
    PACKAGE_TYPE,
    SIGNED_TYPE,
    ImageIndex,
    ImageManifest,
    PackageConfig,
)
from noria.registry.packages.errors import PackageInvalid
from noria.registry.packages.layout import INDEX_FILE, blob_path, read_document
from noria.registry.packages.pylock import read_incomplete
from noria.registry.packages.signing import Envelope

if TYPE_CHECKING:
    from noria.core.objects.store import ObjectReader
    from noria.registry.entities import ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the server notes of a package; whether its signature is good is for whoever loads it."""

    size_bytes: int
    lock_incomplete: str | None
    key_id: str | None


class StoredLayout:
    """A layout as a tree of the object store.

    Parameters
    ----------
    tree
        Whose files are those of the layout.
    """

    def __init__(self, objects: ObjectReader, tree: Manifest) -> None:
        self._objects = objects
        self._entries: dict[str, Entry] = {entry.path: entry for entry in tree.entries}
        self.size_bytes = tree.size_bytes

    def blob(self, digest: str, limit_bytes: int) -> bytes:
        """Read a blob, its digest checked; raises `PackageInvalid` if it is not there, too large or another."""
        data = self._file(blob_path(digest), limit_bytes)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise PackageInvalid(f"`{digest}` of the package has other bytes")
        return data

    def manifest(self, digest: str) -> ImageManifest:
        """Read a manifest."""
        return read_document(self.blob(digest, MANIFEST_LIMIT_BYTES), ImageManifest, "manifest")

    def attached(self, digest: str) -> list[ImageManifest]:
        """List what refers to a package."""
        index = read_document(self._file(INDEX_FILE, MANIFEST_LIMIT_BYTES), ImageIndex, "index")
        found = [self.manifest(each.digest) for each in index.manifests if each.digest != digest]
        return [each for each in found if each.subject is not None and each.subject.digest == digest]

    def _file(self, path: str, limit_bytes: int) -> bytes:
        entry = self._entries.get(path)
        if entry is None or entry.size_bytes > limit_bytes:
            raise PackageInvalid(f"The layout has no `{path}`, or one of more than {limit_bytes} bytes")
        return self._objects.get(entry.digest, limit_bytes=limit_bytes)


def read_stored(objects: ObjectReader, tree: Manifest, digest: str, version: ModelVersion) -> Stored:
    """Read what is noted of a package, and refuse one that is not of the version.

    Raises
    ------
    PackageInvalid
        If the layout does not hold the package, or it holds other files than the version's.
    """
    layout = StoredLayout(objects, tree)
    manifest = layout.manifest(digest)
    if manifest.artifact_type != PACKAGE_TYPE:
        raise PackageInvalid(f"`{digest}` is no package")
    config = read_document(
        layout.blob(manifest.config.digest, CONFIG_LIMIT_BYTES), PackageConfig, "configuration"
    )
    if config.files != version.digest:
        raise PackageInvalid(
            f"The package holds other files than `{version.ref}`",
            details={"package": config.files, "version": version.digest},
        )
    lock = next((each for each in manifest.layers if each.title == LOCK_FILE), None)
    return Stored(
        size_bytes=layout.size_bytes,
        lock_incomplete=read_incomplete(layout.blob(lock.digest, ATTACHED_LIMIT_BYTES))
        if lock
        else "it is missing",
        key_id=_key(layout, digest),
    )


def _key(layout: StoredLayout, digest: str) -> str | None:
    for each in layout.attached(digest):
        if each.artifact_type == SIGNED_TYPE and len(each.layers) == 1:
            data = layout.blob(each.layers[0].digest, ATTACHED_LIMIT_BYTES)
            try:
                return msgspec.json.decode(data, type=Envelope).signatures[0].keyid[:64] or None
            except (msgspec.DecodeError, IndexError):
                continue
    return None
