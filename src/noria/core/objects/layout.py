"""Where a local object store keeps what, and the bare look at it.

::

    root/objects/ab/cdef…    one file per object, read-only, named by its digest after the first two digits
    root/tmp/                what is being written
    root/lock                held shared to publish or renew an object, alone to remove some
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from noria.core.objects.digests import ALGORITHM, Digest, hash_file, is_digest, parse_digest
from noria.core.objects.disk import FileLock, storage_errors
from noria.core.objects.store import Problem, ProblemKind

_FOLDER = re.compile(r"[0-9a-f]{2}")


class Layout:
    """The places of a store below `root`; a store that was never written to is an empty one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / "objects"
        self.temporary = root / "tmp"
        self.lock = FileLock(root / "lock")

    def path(self, digest: str) -> Path:
        """Give the place of an object; no digest that passes the check leads out of the store."""
        name = parse_digest(digest).removeprefix(f"{ALGORITHM}:")
        return self.objects / name[:2] / name[2:]

    def status(self, digest: str) -> os.stat_result | None:
        """Look an object up, without reading it."""
        path = self.path(digest)
        with storage_errors(self.root):
            try:
                status = path.lstat()
            except FileNotFoundError:
                return None
        return status if stat.S_ISREG(status.st_mode) else None

    def check(self, digest: Digest) -> Problem | None:
        """Read an object and tell what is wrong with it."""
        path = self.path(digest)
        try:
            actual, _ = hash_file(path)
        except FileNotFoundError:
            message = f"There is no object `{digest}` in `{self.root}`"
            return Problem(kind=ProblemKind.MISSING, name=digest, message=message)
        except OSError as error:
            message = f"`{path}` cannot be read: {error.strerror}"
            return Problem(kind=ProblemKind.UNREADABLE, name=digest, message=message)
        if actual == digest:
            return None
        message = f"The bytes of `{path}` have the digest `{actual}`"
        return Problem(kind=ProblemKind.CORRUPT, name=digest, message=message)

    def everything(self) -> Iterator[tuple[Path, Digest | None]]:
        """Give, in order, what lies where objects lie; None marks what is no object."""
        with storage_errors(self.root):
            for folder in listing(self.objects):
                if _FOLDER.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                    for path in listing(folder):
                        digest = f"{ALGORITHM}:{folder.name}{path.name}"
                        yield path, digest if is_digest(digest) else None
                else:
                    yield folder, None


def listing(folder: Path) -> list[Path]:
    """List a folder in order; one that is not there is empty."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
