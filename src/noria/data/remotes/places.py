"""Where a remote keeps its files: a folder, or a place in a bucket."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from noria.core.objects.disk import fsync_folder, storage_errors

if TYPE_CHECKING:
    from noria.core.objects.bucket import Bucket

_PART_BYTES: Final = 8 * 1024 * 1024
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES})


class Place(Protocol):
    """Files by key. A put appears whole or not at all. Every method may raise `Unavailable`."""

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        ...

    def keys(self, folder: str) -> Iterator[str]:
        """Give the keys below a folder."""
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a file that never changes; by a link where that is possible."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store bytes in place of what was there."""
        ...

    def fetch(self, key: str, target: Path) -> bool:
        """Write what lies at a key to a file, maybe after what is in it already; false if nothing lies there."""
        ...

    def remove(self, key: str) -> None:
        """Take away what lies at a key, if anything does."""
        ...

    def read(self, key: str, *, limit_bytes: int) -> bytes | None:
        """Give up to `limit_bytes` and one byte more; None if nothing lies at the key."""
        ...


def open_place(url: str) -> Place:
    """Open the place at an address.

    Raises
    ------
    ConfigInvalid
        If a package for it is missing.
    """
    if "://" not in url:
        return FolderPlace(Path(url))
    from noria.core.objects.bucket import open_bucket

    return BucketPlace(open_bucket(url))


class FolderPlace:
    """A folder, made at the first put."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._root)

    def keys(self, folder: str) -> Iterator[str]:
        """Give the keys below a folder."""
        begin = self._root / folder
        with storage_errors(self._root):
            for root, folders, names in os.walk(begin):
                folders.sort()
                prefix = Path(root).relative_to(self._root).as_posix()
                yield from (f"{prefix}/{name}" for name in sorted(names) if not name.startswith("."))

    def put_file(self, key: str, path: Path) -> None:
        """Link a file into the folder, or copy it where the file system has no links between the two."""
        with self._new(key) as temporary:
            try:
                os.link(path, temporary)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _copy(path, temporary)
                _flush(temporary)

    def put(self, key: str, data: bytes) -> None:
        """Store bytes."""
        with self._new(key) as temporary:
            temporary.write_bytes(data)
            _flush(temporary)

    def fetch(self, key: str, target: Path) -> bool:
        """Copy a file: links would let whoever writes to the remote change the store."""
        path = self._root / key
        with storage_errors(self._root):
            if not path.is_file():
                return False
            _copy(path, target)
        return True

    def remove(self, key: str) -> None:
        """Unlink a file."""
        path = self._root / key
        with storage_errors(self._root):
            path.unlink(missing_ok=True)
            fsync_folder(path.parent)

    def read(self, key: str, *, limit_bytes: int) -> bytes | None:
        """Give the bytes of a file."""
        path = self._root / key
        with storage_errors(self._root):
            if not path.is_file():
                return None
            with path.open("rb") as file:
                return file.read(limit_bytes + 1)

    @contextlib.contextmanager
    def _new(self, key: str) -> Iterator[Path]:
        path = self._root / key
        with storage_errors(self._root):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".noria-{os.urandom(8).hex()}.tmp")
            try:
                yield temporary
                temporary.replace(path)
                fsync_folder(path.parent)
            finally:
                temporary.unlink(missing_ok=True)


class BucketPlace:
    """A place in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @property
    def url(self) -> str:
        """Where it is."""
        return self._bucket.url

    def keys(self, folder: str) -> Iterator[str]:
        """Give the keys below a folder."""
        return (stored.key for stored in self._bucket.list(folder))

    def put_file(self, key: str, path: Path) -> None:
        """Send a file, in parts if it is large."""
        with path.open("rb") as file:
            self._bucket.put(key, file, size_bytes=path.stat().st_size)

    def put(self, key: str, data: bytes) -> None:
        """Send bytes."""
        self._bucket.put(key, data, size_bytes=len(data))

    def fetch(self, key: str, target: Path) -> bool:
        """Bring a file part by part; what an earlier call brought is kept, and checked by whoever takes the whole."""
        with storage_errors(target.parent), target.open("ab") as file:
            while True:
                found = self._bucket.read(key, start=file.tell(), length=_PART_BYTES)
                if found is None:
                    return False
                data, stored = found
                file.write(data)
                if not data or file.tell() >= stored.size_bytes:
                    return True

    def remove(self, key: str) -> None:
        """Delete an object."""
        self._bucket.delete([key])

    def read(self, key: str, *, limit_bytes: int) -> bytes | None:
        """Give bytes."""
        found = self._bucket.read(key, start=0, length=limit_bytes + 1)
        return None if found is None else found[0]


def _copy(source: Path, target: Path) -> None:
    import shutil  # with all kinds of archives

    shutil.copyfile(source, target)


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
