"""The object store that the settings name."""

from __future__ import annotations

from pathlib import Path

from noria.core.clock import Clock
from noria.core.objects.store import ObjectStore


def open_objects(url: str, clock: Clock, *, spool: Path) -> ObjectStore:
    """Open the store at an address: a folder, `file://…`, or a bucket.

    Parameters
    ----------
    spool
        Local folder for what is on its way into a bucket.

    Raises
    ------
    ConfigInvalid
        If the address is of no kind that is known, or a package for it is missing.
    """
    if "://" not in url or url.startswith("file://"):
        from noria.core.objects.local import LocalObjectStore

        return LocalObjectStore(Path(url.removeprefix("file://")), clock)
    from noria.core.objects.bucket import open_bucket
    from noria.core.objects.bucket_store import BucketObjectStore

    return BucketObjectStore(open_bucket(url), spool=spool)
