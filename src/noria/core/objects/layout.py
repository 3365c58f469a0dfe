"""Where a local object store keeps what, and the bare look at it.

::

    root/objects/ab/cdef…    one file per object, read-only, named by its digest after the first two digits
    root/packs/ab/….pack     many chunks in one file, read-only, see `packs`
    root/index.db            what the packs hold, and when each object was put last, see `index`
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
from noria.core.objects.disk import FileLock, fsync_folder, storage_errors
from noria.core.objects.store import Problem, ProblemKind

_FOLDER = re.compile(r"[0-9a-f]{2}")


class Layout:
    """The places of a store below `root`; a store that was never written to is an empty one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / "objects"
        self.packs = root / "packs"
        self.index = root / "index.db"
        self.temporary = root / "tmp"
        self.lock = FileLock(root / "lock")
        self._prepared = False

    def prepare(self) -> None:
        """Make the store's folders, once by each instance."""
        if self._prepared:
            return
        lineage = [self.root, *self.root.parents]
        for folder in reversed([folder for folder in lineage if not folder.exists()]):
            folder.mkdir(mode=0o700 if folder == self.root else 0o777, exist_ok=True)
            fsync_folder(folder.parent)
        for folder in (self.temporary, self.objects):
            folder.mkdir(exist_ok=True)
        self._prepared = True

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

    def check(self, digest: Digest, *, quick: bool = False) -> Problem | None:
        """Read an object and tell what is wrong with it; only whether it is there, if `quick`."""
        path = self.path(digest)
        try:
            actual = digest if quick and path.lstat() else hash_file(path)[0]
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

    def problems(self, *, quick: bool) -> Iterator[Problem]:
        """Give what is wrong with all that lies where objects lie."""
        for path, digest in self.everything():
            if digest is None:
                message = f"`{path}` is not an object; nothing here reads it"
                yield Problem(kind=ProblemKind.FOREIGN, name=str(path), message=message)
                continue
            problem = self.check(digest, quick=quick)
            if (
                problem and problem.kind is not ProblemKind.MISSING
            ):  # that one was collected since it was listed
                yield problem

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
