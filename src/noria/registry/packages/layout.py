"""An OCI image layout as a folder: blobs by their SHA-256, an index that names the manifests.

Nothing is believed of a layout that comes from elsewhere: every blob is read without following links, no further than
its descriptor says, and its digest is computed while it is read.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from noria.core.objects.digests import CHUNK_BYTES
from noria.core.objects.disk import storage_errors, write_all
from noria.core.serialisation import to_canonical_json
from noria.registry.packages.entities import (
    EMPTY_TYPE,
    INDEX_TYPE,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_TYPE,
    PACKAGE_TYPE,
    TITLE,
    Descriptor,
    ImageIndex,
    ImageManifest,
)
from noria.registry.packages.errors import PackageAltered, PackageInvalid, PackageNotFound

MARKER_FILE: Final = "oci-layout"
INDEX_FILE: Final = "index.json"
_MARKER: Final = b'{"imageLayoutVersion":"1.0.0"}'
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

T = TypeVar("T")


def sha256(data: bytes) -> str:
    """Give the digest of bytes as OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob_path(digest: str) -> str:
    """Give the place of a blob below the folder of its layout."""
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def read_document(data: bytes, type_: type[T], what: str) -> T:
    """Read a manifest, index or configuration.

    Raises
    ------
    PackageInvalid
        If it is none.
    """
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PackageInvalid(f"The {what} of the package cannot be read: {error}") from error


class Layout:
    """A layout that is there, or one to be made.

    Parameters
    ----------
    folder
        Holds `oci-layout`, `index.json` and `blobs/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, folder: Path) -> Layout:
        """Begin an empty layout; raises `PackageInvalid` when the folder has something else in it."""
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()) and not (folder / MARKER_FILE).exists():
                raise PackageInvalid(
                    f"`{folder}` holds other things than packages", hint="Name an empty folder, or a new one"
                )
            (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            (folder / MARKER_FILE).write_bytes(_MARKER)
        layout = cls(folder)
        if not (folder / INDEX_FILE).exists():
            layout._write_index([])
        return layout

    @classmethod
    def open(cls, folder: Path) -> Layout:
        """Open a layout; raises `PackageNotFound` when the folder is none."""
        if not (folder / MARKER_FILE).is_file() or not (folder / INDEX_FILE).is_file():
            raise PackageNotFound(
                f"`{folder}` holds no package: it has no `{MARKER_FILE}` and `{INDEX_FILE}`",
                hint="Build one: `noria packages build MODEL@VERSION --to FOLDER`",
            )
        return cls(folder)

    def add(self, data: bytes, media_type: str, *, title: str | None = None, **more: str) -> Descriptor:
        """Add a blob that is in memory."""
        return self.add_stream([data], media_type, annotations={**({TITLE: title} if title else {}), **more})

    def add_stream(
        self, chunks: Iterable[bytes], media_type: str, *, annotations: dict[str, str] | None = None
    ) -> Descriptor:
        """Add a blob; it appears under its name whole or not at all."""
        draft = self.folder / "blobs" / f".{secrets.token_hex(8)}.tmp"
        state, size = hashlib.sha256(), 0
        try:
            with storage_errors(self.folder):
                fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                for chunk in chunks:
                    state.update(chunk)
                    size += len(chunk)
                    with storage_errors(self.folder):
                        write_all(fd, chunk)
            finally:
                os.close(fd)
            digest = f"sha256:{state.hexdigest()}"
            with storage_errors(self.folder):
                draft.rename(self.folder / blob_path(digest))
        finally:
            draft.unlink(missing_ok=True)
        return Descriptor(media_type=media_type, digest=digest, size=size, annotations=annotations or {})

    def add_manifest(
        self, manifest: ImageManifest, *, annotations: dict[str, str] | None = None
    ) -> Descriptor:
        """Add a manifest, and name it in the index."""
        return self.add_manifest_bytes(to_canonical_json(manifest), manifest, annotations or {})

    def add_manifest_bytes(
        self, data: bytes, manifest: ImageManifest, annotations: dict[str, str]
    ) -> Descriptor:
        """Add a manifest as it came, byte by byte, and name it in the index."""
        added = self.add(data, MANIFEST_TYPE)
        named = msgspec.structs.replace(added, artifact_type=manifest.artifact_type, annotations=annotations)
        self.name(named)
        return named

    def name(self, manifest: Descriptor) -> None:
        """Name a manifest in the index, in place of an entry with the same digest."""
        others = [each for each in self.index().manifests if each.digest != manifest.digest]
        self._write_index([*others, manifest])

    def attach(self, subject: Descriptor, data: bytes, kind: str, *, title: str) -> Descriptor:
        """Add a document that refers to a package, as a manifest of its own."""
        plain = Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)
        return self.add_manifest(
            ImageManifest(
                schema_version=2,
                media_type=MANIFEST_TYPE,
                artifact_type=kind,
                config=self.add(b"{}", EMPTY_TYPE),
                layers=[self.add(data, kind, title=title)],
                subject=plain,
            )
        )

    def index(self) -> ImageIndex:
        """Read the index."""
        data = b"".join(self._chunks(INDEX_FILE, MANIFEST_LIMIT_BYTES))
        return read_document(data, ImageIndex, "index")

    def packages(self) -> list[Descriptor]:
        """List the packages in the layout, in the order in which they came."""
        return [each for each in self.index().manifests if each.artifact_type == PACKAGE_TYPE]

    def package(self, digest: str | None = None) -> Descriptor:
        """Find a package; the only one when no digest is given.

        Raises
        ------
        PackageNotFound
            If it is not there.
        PackageInvalid
            If none is named and there are several.
        """
        found = [each for each in self.packages() if digest in (None, each.digest)]
        if not found:
            raise PackageNotFound(f"`{self.folder}` does not hold the package {digest or ''}".rstrip())
        if len({each.digest for each in found}) > 1:
            raise PackageInvalid(
                f"`{self.folder}` holds {len(found)} packages",
                hint=f"Name one: `{self.folder}@{found[-1].digest}`",
            )
        return found[0]

    def manifest(self, descriptor: Descriptor) -> ImageManifest:
        """Read a manifest, its digest checked."""
        return read_document(self.read(descriptor, MANIFEST_LIMIT_BYTES), ImageManifest, "manifest")

    def referrers(self, digest: str) -> list[tuple[Descriptor, ImageManifest]]:
        """List what refers to a package; manifests of other things are passed over."""
        found = []
        for each in self.index().manifests:
            if each.digest != digest and each.media_type == MANIFEST_TYPE:
                manifest = self.manifest(each)
                if manifest.subject is not None and manifest.subject.digest == digest:
                    found.append((each, manifest))
        return found

    def read(self, descriptor: Descriptor, limit_bytes: int) -> bytes:
        """Read a blob into memory, its size and digest checked.

        Raises
        ------
        PackageInvalid
            If it is larger than `limit_bytes`.
        """
        if descriptor.size > limit_bytes:
            raise PackageInvalid(
                f"`{descriptor.digest}` of the package has {descriptor.size} bytes; "
                f"for `{descriptor.media_type}` the limit is {limit_bytes}"
            )
        return b"".join(self.stream(descriptor))

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Give the chunks of a blob; raises after the last one if they are not what the descriptor says.

        Raises
        ------
        PackageAltered
            If size or digest differ, or the blob is missing.
        """
        state, size = hashlib.sha256(), 0
        for chunk in self._chunks(blob_path(descriptor.digest), descriptor.size):
            state.update(chunk)
            size += len(chunk)
            yield chunk
        if size != descriptor.size or f"sha256:{state.hexdigest()}" != descriptor.digest:
            raise PackageAltered(
                f"`{descriptor.title or descriptor.digest}` of the package is not what was packed: it has other bytes",
                hint="Do not use it; fetch the package again from whoever made it",
                details={"digest": descriptor.digest, "path": descriptor.title},
            )

    def _chunks(self, path: str, limit_bytes: int) -> Iterator[bytes]:
        """Read a regular file of the layout, one byte further than it may have."""
        try:
            fd = os.open(self.folder / path, _READ_FLAGS)
        except OSError as error:
            raise PackageAltered(
                f"`{path}` of the package cannot be read: {error.strerror}",
                hint="Fetch the package again from whoever made it",
            ) from error
        with os.fdopen(fd, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise PackageAltered(f"`{path}` of the package is no file")
            left = limit_bytes + 1
            while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
            if left <= 0 and path == INDEX_FILE:
                raise PackageInvalid(f"`{path}` has more than {limit_bytes} bytes")

    def _write_index(self, manifests: list[Descriptor]) -> None:
        data = to_canonical_json(ImageIndex(schema_version=2, media_type=INDEX_TYPE, manifests=manifests))
        draft = self.folder / f".{INDEX_FILE}.{secrets.token_hex(8)}.tmp"
        with storage_errors(self.folder):
            draft.write_bytes(data)
            draft.rename(self.folder / INDEX_FILE)
