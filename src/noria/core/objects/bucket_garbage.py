"""Removal of what nothing refers to from a bucket, which knows no locks.

Why it cannot remove what was just acknowledged. A put writes the object and *then* looks for marks of doom. The
collector marks an object as doomed and *then* looks at its age once more before it removes it. Every call sees what
calls before it wrote, so of the two one sees the other:

- If the put was written before the collector's second look, the object is young, and stays.
- Otherwise the mark was there before the put looked for one. The put then writes a spare under a key of its own, which
  this collector never heard of, and which readers find when the first is gone.

The mark of what was removed stays for a day, since the put may look for it only when the removal is over, and since
a removal whose answer was lost may still come. Within that day, putting the same bytes again writes a spare without
need; that is all it costs. Ages are told by the bucket's clock alone: a key that the collection puts says what time
it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from noria.core.objects.bucket import Bucket, Stored
from noria.core.objects.bucket_layout import (
    DOOMED,
    MAIN,
    SPARES,
    STAGING,
    digest_of,
    doom_folder,
    main_key,
    spare_folder,
)
from noria.core.objects.digests import Digest
from noria.core.objects.garbage import TEMPORARY_LIFE_S
from noria.core.objects.store import Collected

_SWEPT_AT_ONCE = 1000
_BATCH = 100  # objects per question to `is_live`
_AT_ONCE = 16


@dataclass(slots=True)
class _Count:
    sizes: list[int] = field(default_factory=list)
    n_live: int = 0
    n_young: int = 0


class BucketCollector:
    """One collection."""

    def __init__(self, bucket: Bucket, *, grace_s: float, dry_run: bool) -> None:
        self._bucket = bucket
        self._dry_run = dry_run
        self._token = secrets.token_hex(8)
        self._now_s = self._ask_time()
        self._cutoff_s = self._now_s - grace_s

    def run(self, is_live: Callable[[list[str]], set[str]]) -> Collected:
        """Go through all objects once, and sweep leftovers."""
        count = _Count()
        for batch in self._batches():
            old = [digest for digest, keys in batch.items() if self._all_old(keys)]
            live = is_live(old) if old else set()
            removed = self._remove([digest for digest in old if digest not in live], batch)
            count.sizes += removed
            count.n_live += sum(digest in live for digest in old)
            count.n_young += len(batch) - sum(digest in live for digest in old) - len(removed)
        return Collected(
            n_removed=len(count.sizes),
            removed_bytes=sum(count.sizes),
            n_live=count.n_live,
            n_young=count.n_young,
            n_temporary=self._sweep(),
            dry_run=self._dry_run,
        )

    def _ask_time(self) -> float:
        key = f"{DOOMED}/clock/{self._token}"
        self._bucket.put(key, b"", size_bytes=0)
        mark = self._bucket.head(key)
        assert mark is not None  # noqa: S101 - it was just put
        self._bucket.delete([key])
        return mark.modified_at.timestamp()

    def _batches(self) -> Iterator[dict[Digest, list[Stored]]]:
        """Give the keys of some objects at a time: first those with a main key, then those that have spares only."""
        batch: dict[Digest, list[Stored]] = {}
        for digest, keys in self._everything():
            batch[digest] = keys
            if len(batch) == _BATCH:
                yield batch
                batch = {}
        yield batch

    def _everything(self) -> Iterator[tuple[Digest, list[Stored]]]:
        spares: dict[Digest, list[Stored]] = {}
        for stored in self._bucket.list(SPARES):  # hardly ever any
            if digest := digest_of(stored.key):
                spares.setdefault(digest, []).append(stored)
        for stored in self._bucket.list(MAIN):
            if digest := digest_of(stored.key):
                yield digest, [stored, *spares.pop(digest, [])]
        yield from spares.items()

    def _all_old(self, keys: list[Stored]) -> bool:
        return all(stored.modified_at.timestamp() < self._cutoff_s for stored in keys)

    def _remove(self, digests: list[Digest], batch: dict[Digest, list[Stored]]) -> list[int]:
        """Remove what is still old, and give the sizes of what went."""
        if self._dry_run or not digests:
            return [max(stored.size_bytes for stored in batch[digest]) for digest in digests]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._mark, digests))
            again = dict(zip(digests, pool.map(self._keys_of, digests), strict=True))
        dead = {digest: keys for digest, keys in again.items() if keys and self._all_old(keys)}
        self._bucket.delete([stored.key for keys in dead.values() for stored in keys])
        self._bucket.delete([self._mark_of(digest) for digest in digests if digest not in dead])
        return [max(stored.size_bytes for stored in keys) for keys in dead.values()]

    def _mark(self, digest: Digest) -> None:
        self._bucket.put(self._mark_of(digest), b"", size_bytes=0)

    def _mark_of(self, digest: Digest) -> str:
        return f"{doom_folder(digest)}/{self._token}"

    def _keys_of(self, digest: Digest) -> list[Stored]:
        main = self._bucket.head(main_key(digest))
        return [*([main] if main else []), *self._bucket.list(spare_folder(digest))]

    def _sweep(self) -> int:
        cutoff_s = self._now_s - TEMPORARY_LIFE_S
        leftovers: list[str] = []
        n_swept = 0
        for folder in (DOOMED, STAGING):
            for stored in self._bucket.list(folder):
                if stored.modified_at.timestamp() >= cutoff_s:
                    continue
                leftovers.append(stored.key)
                if len(leftovers) == _SWEPT_AT_ONCE:
                    n_swept += self._sweep_away(leftovers)
                    leftovers = []
        return n_swept + self._sweep_away(leftovers)

    def _sweep_away(self, keys: list[str]) -> int:
        if not self._dry_run:
            self._bucket.delete(keys)
        return len(keys)
