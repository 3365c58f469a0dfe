"""Files in `tmp/`, on their way to become objects or packs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from noria.core.objects.disk import storage_errors, write_all
from noria.core.objects.layout import Layout

_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RANDOM_BYTES: Final = 8


class Draft:
    """A file without a lasting name. Its lock tells `collect` that a living process writes here."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.root
        with storage_errors(self._root):
            layout.prepare()
            self.path = layout.temporary / f"put-{os.urandom(_RANDOM_BYTES).hex()}"
            self.fd = os.open(self.path, _NEW_FILE, 0o600)
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX)
            except OSError:
                self.discard()
                raise

    def write(self, data: bytes) -> None:
        """Write at the end."""
        with storage_errors(self._root):
            write_all(self.fd, data)

    def flush_so_far(self) -> None:
        """Have the bytes that were written until now on disk."""
        os.fsync(self.fd)

    def flush(self) -> None:
        """Have all bytes on disk, and nobody write to them any more."""
        os.fchmod(self.fd, 0o444)
        os.fsync(self.fd)

    def discard(self) -> None:
        """Let go of the file, and remove it if it got no other name; may be called again."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        with storage_errors(self._root):
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """Make a folder in the `tmp/` of a store, and remove it in the end with all that is in it.

    As with a draft, its lock tells `collect` that it is in use; one that a killed process left is swept.
    """
    import shutil  # with all kinds of archives

    place = Layout(root.absolute()).temporary
    with storage_errors(root):
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"scratch-{os.urandom(_RANDOM_BYTES).hex()}"
        path.mkdir(mode=0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(fd)
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def draft(layout: Layout) -> Iterator[Draft]:
    """Make a draft, and remove it in the end."""
    made = Draft(layout)
    try:
        yield made
    finally:
        made.discard()
