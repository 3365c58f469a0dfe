"""Send versions to a remote: only packs that it lacks, several at once, and each version after its packs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from noria.core.errors import NoriaError
from noria.core.objects.chunks import LARGE_BYTES
from noria.core.objects.exchange import PackExchange, write_packs
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.trees import MANIFEST_LIMIT_BYTES
from noria.data.entities import DatasetVersion, VersionsDiverged
from noria.data.remotes.entities import (
    RemoteCorrupt,
    RemoteVersion,
    pack_key,
    remote_version,
    version_key,
    version_of_key,
)

if TYPE_CHECKING:
    from noria.core.clock import Clock
    from noria.core.objects.store import ObjectReader, Progress
    from noria.data.remotes.places import Place

AT_ONCE: Final = 6
"""Transfers that run at the same time."""

VERSION_LIMIT_BYTES: Final = 64 * 1024 * 1024

Scratch: TypeAlias = Callable[[], contextlib.AbstractContextManager[Path]]


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a push did.

    Attributes
    ----------
    refs
        Versions that the remote did not have.
    n_packs, sent_bytes
        Packs that it did not have.
    tags
        Tags that it did not have, or had for another version.
    pruned
        Tags that it had and this workspace has not, where they were to be taken away.
    """

    refs: list[str]
    n_known: int
    n_packs: int
    sent_bytes: int
    tags: list[str] = msgspec.field(default_factory=list)
    pruned: list[str] = msgspec.field(default_factory=list)


class _File(msgspec.Struct, frozen=True):
    digest: str


class _Listing(msgspec.Struct, frozen=True):
    """The digests of a manifest, which was checked when its version was added."""

    entries: list[_File]


class Pusher:
    """Sends versions of one workspace to one remote.

    Parameters
    ----------
    objects
        Where the bytes are; of a store in a folder, packs are sent as they are.
    root
        The folder of that store; None for another kind of store.
    scratch
        Makes a folder for packs that are made for the remote alone, if there are such.
    """

    def __init__(
        self, place: Place, objects: ObjectReader, root: Path | None, clock: Clock, *, scratch: Scratch
    ) -> None:
        self._place = place
        self._objects = objects
        self._exchange = PackExchange(root, clock) if root is not None else None
        self._clock = clock
        self._scratch = scratch

    def push(self, versions: Sequence[DatasetVersion], *, progress: Progress | None = None) -> Pushed:
        """Send versions, and what they need.

        Raises
        ------
        VersionsDiverged
            If the remote has other content under the same number; nothing is sent then.
        StorageFull, Unavailable
            If the remote fails; packs that it took are not sent again by the next call.
        """
        new = [version for version in versions if not self._is_there(version)]
        if not new:
            return Pushed(refs=[], n_known=len(versions), n_packs=0, sent_bytes=0)
        there = {key for key in self._place.keys("packs") if key.endswith(".pack")}
        n_packs, sent_bytes = 0, 0
        for version in new:
            with contextlib.ExitStack() as held:
                packs = self._packs_of(version, held, there)
                wanted = {pack: path for pack, path in packs.items() if pack_key(pack) not in there}
                sent_bytes += self._send(wanted, progress)
            n_packs += len(wanted)
            there.update(map(pack_key, wanted))
            said = msgspec.json.encode(remote_version(version, sorted(packs)))
            self._place.put(version_key(version.project, version.name, version.version), said)
        return Pushed(
            refs=[version.ref for version in new],
            n_known=len(versions) - len(new),
            n_packs=n_packs,
            sent_bytes=sent_bytes,
        )

    def _is_there(self, version: DatasetVersion) -> bool:
        found = read_version(self._place, version.project, version.name, version.version)
        if found is not None and found.digest != version.digest:
            raise VersionsDiverged(version.ref, here=version.digest, there=found.digest)
        return found is not None

    def _packs_of(
        self, version: DatasetVersion, held: contextlib.ExitStack, there: Collection[str]
    ) -> dict[str, Path]:
        """Give the packs that hold all of a version between them; those that are not there as such are made.

        What is made lies in a folder that is held as long as `held`.

        A pack in which something else lies too, perhaps another project's, is not sent as it is.
        """
        data = self._objects.get(version.digest, limit_bytes=MANIFEST_LIMIT_BYTES)
        listed = msgspec.json.decode(data, type=_Listing).entries
        digests = {version.digest, *(entry.digest for entry in listed)}
        if self._exchange is None:
            return self._packed(digests, held.enter_context(self._scratch()))
        holding = self._exchange.holding(digests)
        packs = {
            pack: self._exchange.path(pack)
            for pack, is_alone in holding.packs.items()
            if is_alone or pack_key(pack) in there
        }
        are_all = len(packs) == len(holding.packs)
        apart = holding.loose if are_all else self._exchange.outside(digests, packs)
        return packs | self._packed(apart, held.enter_context(self._scratch())) if apart else packs

    def _packed(self, digests: Collection[str], scratch: Path) -> dict[str, Path]:
        """Put objects into packs of their own: small ones into one, each of the others in chunks."""
        sizes = {digest: self._objects.size(digest) for digest in sorted(digests)}
        small = [digest for digest, n_bytes in sizes.items() if n_bytes <= LARGE_BYTES]
        packs = write_packs(self._objects, small, scratch) if small else {}
        large = sizes.keys() - set(small)
        return packs | self._chunked(large, scratch) if large else packs

    def _chunked(self, digests: Collection[str], scratch: Path) -> dict[str, Path]:
        made = LocalObjectStore(scratch / "chunked", self._clock)
        for digest in sorted(digests):
            made.put(self._objects.open(digest), expected=digest)
        exchange = PackExchange(scratch / "chunked", self._clock)
        return {pack: exchange.path(pack) for pack in exchange.holding(digests).packs}

    def _send(self, packs: dict[str, Path], progress: Progress | None) -> int:
        sizes = {pack: path.stat().st_size for pack, path in packs.items()}

        def send(pack: str) -> None:
            self._place.put_file(pack_key(pack), packs[pack])

        def told(pack: str) -> None:
            if progress is not None:
                progress(1, sizes[pack])

        at_once(send, sorted(packs), told)
        return sum(sizes.values())


def at_once(do: Callable[[str], None], items: Sequence[str], told: Callable[[str], None]) -> None:
    """Do something for each item, several at a time; the first that raises ends it."""
    if len(items) < 2:
        for item in items:
            do(item)
            told(item)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(do, item): item for item in items}
        try:
            for future, item in futures.items():
                future.result()
                told(item)
        finally:
            for future in futures:
                future.cancel()


def read_version(place: Place, project: str, name: str, version: int) -> RemoteVersion | None:
    """Read what a remote says of a version; None if it has none.

    Raises
    ------
    RemoteCorrupt
        If it is damaged, or tells of another version than its key.
    """
    key = version_key(project, name, version)
    data = place.read(key, limit_bytes=VERSION_LIMIT_BYTES)
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=RemoteVersion)
        for pack in found.packs:
            pack_key(pack)
    except (msgspec.DecodeError, NoriaError) as error:
        raise RemoteCorrupt(place.url, key, str(error)) from error
    if version_of_key(key) != (found.project, found.name, found.version):
        raise RemoteCorrupt(place.url, key, f"it tells of `{found.project}`, `{found.ref[:200]}`")
    return found
