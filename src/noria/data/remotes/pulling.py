"""Bring versions from a remote: only packs that the workspace lacks, several at once, each checked on arrival."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria.core.errors import NoriaError, NotFound
from noria.core.objects.exchange import PackExchange
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.packs import PackDamaged
from noria.core.objects.store import ObjectCorrupt, ObjectInfo, ObjectNotFound
from noria.core.objects.trees import read_manifest
from noria.data.remotes.entities import RemoteCorrupt, RemoteVersion, pack_key
from noria.data.remotes.pushing import at_once

if TYPE_CHECKING:
    from noria.core.clock import Clock
    from noria.core.objects.store import Progress
    from noria.data.remotes.places import Place


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of a version, which the store holds now, and what had to be brought for it."""

    objects: list[ObjectInfo]
    n_packs: int
    brought_bytes: int


class Puller:
    """Brings versions from one remote into a store in a folder.

    Parameters
    ----------
    root
        The folder of the store.
    """

    def __init__(self, place: Place, root: Path, clock: Clock) -> None:
        self._place = place
        self._store = LocalObjectStore(root, clock)
        self._exchange = PackExchange(root, clock)

    def bring(self, version: RemoteVersion, *, progress: Progress | None = None) -> Brought:
        """Bring the packs of a version that are not here, and check that all of it is here then.

        Raises
        ------
        RemoteCorrupt
            If a pack is missing, damaged or another one, or if the packs do not hold the version.
        """
        objects = self._here(version)
        if objects is not None:
            return Brought(objects=objects, n_packs=0, brought_bytes=0)
        wanted = [pack for pack in version.packs if not self._exchange.path(pack).exists()]
        sizes = {}

        def bring(pack: str) -> None:
            sizes[pack] = self._bring_pack(pack)

        def told(pack: str) -> None:
            if progress is not None:
                progress(1, sizes[pack])

        at_once(bring, wanted, told)
        objects = self._here(version)
        if objects is None:
            raise RemoteCorrupt(self._place.url, version.ref, "its packs do not hold all of its files")
        self._check_large(version, [each.digest for each in objects])
        return Brought(objects=objects, n_packs=len(wanted), brought_bytes=sum(sizes.values()))

    def _bring_pack(self, pack: str) -> int:
        key, target = pack_key(pack), self._exchange.incoming(pack)
        for attempt in (1, 2):
            if not self._place.fetch(key, target):
                target.unlink(missing_ok=True)
                raise RemoteCorrupt(self._place.url, key, "it is not there")
            size_bytes = target.stat().st_size
            try:
                self._exchange.take(target, expected=pack)
            except PackDamaged as error:
                # The first time, the beginning may be what an earlier call left.
                if attempt == 2:
                    raise RemoteCorrupt(self._place.url, key, error.message) from error
            else:
                break
        return size_bytes

    def _here(self, version: RemoteVersion) -> list[ObjectInfo] | None:
        try:
            manifest = read_manifest(self._store, version.digest)
        except ObjectNotFound:
            return None
        except NoriaError as error:
            raise RemoteCorrupt(self._place.url, version.ref, error.message) from error
        if self._store.missing(manifest.digests()):
            return None
        sizes = {entry.digest: entry.size_bytes for entry in manifest.entries}
        sizes[version.digest] = self._store.size(version.digest)
        return [ObjectInfo(digest=digest, size_bytes=size) for digest, size in sizes.items()]

    def _check_large(self, version: RemoteVersion, digests: Sequence[str]) -> None:
        """Read objects of several chunks: each chunk is checked, but not yet that they are those of the object."""
        for digest in sorted(self._exchange.of_several_chunks(digests)):
            try:
                for _ in self._store.open(digest):
                    pass
            except ObjectCorrupt as error:
                raise RemoteCorrupt(self._place.url, version.ref, error.message) from error


def remote_versions(place: Place, project: str, name: str | None = None) -> list[tuple[str, int]]:
    """List names and numbers of the versions that a remote has of a project, or of one of its datasets."""
    from noria.data.remotes.entities import version_of_key

    folder = f"datasets/{project}" if name is None else f"datasets/{project}/{name}"
    found = [version_of_key(key) for key in place.keys(folder)]
    return sorted((each[1], each[2]) for each in found if each is not None and each[0] == project)


def newest(versions: Sequence[tuple[str, int]], name: str, url: str) -> int:
    """Give the highest number among the versions of a dataset.

    Raises
    ------
    NotFound
        If there is none.
    """
    numbers = [number for each, number in versions if each == name]
    if not numbers:
        raise NotFound(f"`{url}` has no version of `{name}`", hint="See `noria data pull --list`")
    return max(numbers)
