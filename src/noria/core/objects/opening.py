"""The object store that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.clock import Clock
from noria.core.errors import NotFound
from noria.core.objects.store import ObjectReader, ObjectStore

if TYPE_CHECKING:
    from noria.core.objects.helping import Helper


def open_source_of_objects(url: str, clock: Clock, *, spool: Path) -> ObjectReader:
    """Open another store to read from it: as `open_objects`, but a folder is left as it is, and must be there.

    Raises
    ------
    NotFound
        If there is no such folder.
    ConfigInvalid
        As `open_objects`.
    """
    if "://" in url and not url.startswith("file://"):
        return open_objects(url, clock, spool=spool)
    from noria.core.objects.local import LocalObjectStore

    folder = Path(url.removeprefix("file://"))
    if not folder.is_dir():
        raise NotFound(f"There is no folder `{folder}`", hint="Name a folder with `objects` or `packs` in it")
    return LocalObjectStore(folder, clock, keeps_index=False)


def open_objects(url: str, clock: Clock, *, spool: Path, helper: Helper | None = None) -> ObjectStore:
    """Open the store at an address: a folder, `file://…`, or a bucket.

    Parameters
    ----------
    spool
        Local folder for what is on its way into a bucket.
    helper
        Helps to put many files into a folder.

    Raises
    ------
    ConfigInvalid
        If the address is of no kind that is known, or a package for it is missing.
    """
    if "://" not in url or url.startswith("file://"):
        from noria.core.objects.local import LocalObjectStore

        return LocalObjectStore(Path(url.removeprefix("file://")), clock, helper=helper)
    from noria.core.objects.bucket import open_bucket
    from noria.core.objects.bucket_store import BucketObjectStore

    return BucketObjectStore(open_bucket(url), spool=spool)
