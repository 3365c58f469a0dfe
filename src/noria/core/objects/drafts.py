"""Files in `tmp/`, on their way to become objects or packs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from noria.core.objects.disk import storage_errors, write_all
from noria.core.objects.layout import Layout


class Draft:
    """A file without a lasting name. Its lock tells `collect` that a living process writes here."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.root
        with storage_errors(self._root):
            layout.prepare()
            self.fd, name = tempfile.mkstemp(prefix="put-", dir=layout.temporary)
            self.path = Path(name)
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
def draft(layout: Layout) -> Iterator[Draft]:
    """Make a draft, and remove it in the end."""
    made = Draft(layout)
    try:
        yield made
    finally:
        made.discard()
