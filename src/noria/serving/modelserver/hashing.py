"""The digest of a folder's files, without keeping them anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.errors import TooLarge
from noria.core.objects.batches import put_each
from noria.core.objects.digests import Digest, Source, check_expected, hash_bytes, hash_file, hash_stream
from noria.core.objects.store import ObjectInfo, ObjectWriter, Progress
from noria.core.objects.trees import put_tree


class HashOnly:
    """A store that forgets what is put into it, for the sake of the digest."""

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Hash a stream to its end."""
        digest, size_bytes = hash_stream(chunks)
        if limit_bytes is not None and size_bytes > limit_bytes:
            raise TooLarge(f"The stream has {size_bytes} bytes; at most {limit_bytes} are accepted")
        check_expected(expected, digest)
        return ObjectInfo(digest=digest, size_bytes=size_bytes)

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Hash bytes."""
        digest = hash_bytes(data)
        check_expected(expected, digest)
        return ObjectInfo(digest=digest, size_bytes=len(data))

    def put_file(self, path: Path) -> ObjectInfo:
        """Hash a file."""
        digest, size_bytes = hash_file(path)
        return ObjectInfo(digest=digest, size_bytes=size_bytes)

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Hash files."""
        return put_each(self.put_file, paths, progress=progress, at_once=1)


def tree_digest(folder: Path) -> Digest:
    """Give the digest that the folder would have as a stored tree.

    Raises
    ------
    NotFound
        If there is no such folder.
    """
    return put_tree(HashOnly(), folder).digest


if TYPE_CHECKING:
    _store: ObjectWriter = HashOnly()
