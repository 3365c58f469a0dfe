"""Begin to store a path in a process of its own, while this one still imports what the service stands on.

To import it takes about as long as to read and store ten thousand small files, and neither can be done by two threads
of one Python. The other process is a fork that only writes to the object store, as any number of processes may at the
same time; what it wrote enters the project here, or is left to garbage collection if this process ends before.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from noria.core.errors import Failed

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.data.trees.adding import Stored
    from noria.data.trees.stat_index import StatIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A path that is being stored."""

    pid: int
    answer: BinaryIO

    def result(self) -> Stored:
        """Wait until all is stored, and give what it is (without the list of files), or raise what was raised there."""
        with self.answer:
            data = self.answer.read()
        if not data:
            raise Failed("The process that stored the files ended without an answer", hint="Try again")
        found: Any = pickle.loads(data)  # noqa: S301 - from our own child, by a pipe that nobody else has
        if isinstance(found, BaseException):
            raise found
        stored: Stored = found
        return stored

    def finish(self) -> None:
        """Wait until the index remembers the files, too."""
        os.waitpid(self.pid, 0)


def begin_storing(settings: Settings, path: Path) -> Ahead | None:
    """Begin to store a path, with a bar on stderr when it is a terminal.

    None means that this is not the way: the objects do not lie in a folder of this machine, a server answers for it,
    the path is not stored as it is, or this process has threads, which no fork survives whole.
    """
    url = settings.objects_url
    if settings.is_remote or ("://" in url and not url.startswith("file://")):
        return None
    if not path.exists() or path.suffix in (".npy", ".npz") or threading.active_count() > 1:
        return None
    from noria.core.control.lock import read_server_info

    if read_server_info(settings.folder) is not None:
        return None
    from noria.core.workspace import make_folder

    make_folder(settings.folder)
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _store_and_end(settings, path, writer)
    os.close(writer)
    return Ahead(pid=pid, answer=os.fdopen(reader, "rb"))


def _store_and_end(settings: Settings, path: Path, writer: int) -> None:
    """Store, answer, remember, and end without anything that only the parent is to do at its end."""
    try:
        from noria.data.trees.stat_index import StatIndex

        index = StatIndex.of(settings)
        found = _store(settings, path, index)
        told = found if isinstance(found, BaseException) else replace(found, files=[])
        with os.fdopen(writer, "wb") as answer:
            pickle.dump(told, answer, protocol=pickle.HIGHEST_PROTOCOL)
        if not isinstance(found, BaseException):
            found.remember(index)
    finally:
        os._exit(0)


def _store(settings: Settings, path: Path, index: StatIndex) -> Stored | BaseException:
    from noria.core.clock import SystemClock
    from noria.core.console.progress import counting_bytes
    from noria.core.objects.filing import prepare
    from noria.core.objects.helping import helper
    from noria.core.objects.opening import open_objects
    from noria.data.trees.adding import store_path

    try:
        # The bar has a thread, and a fork is made before there are any.
        with helper(prepare) as beside, counting_bytes("Storing") as progress:
            spool = settings.folder / "tmp"
            objects = open_objects(settings.objects_url, SystemClock(), spool=spool, helper=beside)
            return store_path(objects, path, index, progress=progress)
    except BaseException as error:  # noqa: BLE001 - raised where it can be told
        return error
