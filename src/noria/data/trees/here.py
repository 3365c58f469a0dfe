"""Add a path to a workspace in a folder of this machine, without what the service stands on: see `version_writes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.data.version_writes import Added, can_write, write_version

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.data.trees.adding import Stored

_READ_BEFORE: Final = (".npy", ".npz", ".csv", ".parquet")
"""What is stored as something else, or with a profile of its columns."""


def store_here(settings: Settings, path: Path) -> Stored | None:
    """Store a path, with a bar on stderr when it is a terminal; nothing refers to it then.

    None means that this is not the way: the objects or the database do not lie in a folder of this machine as usual, a
    server answers for it, something waits to be sent, or the path is not stored as it is.

    Raises
    ------
    SourceUnusable, SourceChanged, TooLarge, StorageFull
        As `store_path`.
    """
    from noria.core.control.lock import read_server_info
    from noria.core.leftovers import has_leftovers

    url = settings.objects_url
    if settings.is_remote or ("://" in url and not url.startswith("file://")):
        return None
    if not path.exists() or (path.suffix in _READ_BEFORE and path.is_file()):
        return None
    if not can_write(settings) or has_leftovers(settings) or read_server_info(settings.folder) is not None:
        return None
    from noria.core.clock import SystemClock
    from noria.core.console.progress import counting_bytes
    from noria.core.memory import keep_freed_memory
    from noria.core.objects.filing import prepare
    from noria.core.objects.helping import helper
    from noria.core.objects.opening import open_objects
    from noria.data.trees.adding import store_path
    from noria.data.trees.stat_index import StatIndex

    keep_freed_memory()
    # The bar has a thread, and the helper is a fork, which is made before there are any.
    with helper(prepare) as beside, counting_bytes("Storing") as progress:
        objects = open_objects(url, SystemClock(), spool=settings.folder / "tmp", helper=beside)
        return store_path(objects, path, StatIndex.of(settings), progress=progress)


def add_here(settings: Settings, name: str, stored: Stored, *, message: str) -> Added | None:
    """Add what `store_here` gave as the next version; None, with nothing written, if this is not the way.

    Raises
    ------
    Invalid
        If `name` cannot be the name of a dataset.
    """
    from noria.core.author import local_author
    from noria.data.entities import DatasetKind, NewDatasetVersion
    from noria.data.trees.stat_index import StatIndex

    tree = stored.tree
    new = NewDatasetVersion(
        digest=tree.digest,
        kind=DatasetKind.FILES,
        message=message,
        n_files=tree.n_files,
        size_bytes=tree.size_bytes,
        author=local_author(),
    )
    added = write_version(settings, name, new, uploaded=stored.new, trusted=stored.trusted)
    if added is not None:
        index = StatIndex.of(settings)
        stored.remember(index, project=settings.project, name=name, version=added.version.version)
    return added
