"""Writing many small files out of packs, by this process and a helper."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from noria.core.clock import SystemClock
from noria.core.objects.helping import Helper
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.packed import Group
from noria.core.objects.targets import Moment, TargetFolder

_ASKED: Final = 2  # the last groups are waited for

Files: TypeAlias = list[list[tuple[str, bool]]]
"""For each chunk of a group, the paths that are to have its bytes, and whether each may be run."""

Told: TypeAlias = Callable[[str, int, Moment], None]
"""Is told of each file that was written: its path, its bytes, and what it was then."""


class _Request(NamedTuple):
    store: Path
    target: Path
    staged: bool
    overwrite: bool
    group: Group
    files: Files


class Restoring:
    """What a helper does: it writes one group of files after the other, and gives what they were then, in order.

    It opens a store of its own; that reads the index only where a pack went away meanwhile.
    """

    def __init__(self) -> None:
        self._store: LocalObjectStore | None = None
        self._folder: TargetFolder | None = None
        self._places: tuple[Path, Path, int] | None = None

    def __call__(self, request: _Request) -> list[Moment]:
        """Write the files of a group."""
        # A stage of the same name may be another one by now.
        places = (request.store, request.target, request.target.stat().st_ino)
        if self._places != places or self._store is None or self._folder is None:
            self._store = LocalObjectStore(request.store, SystemClock())
            self._folder = TargetFolder(request.target, durable=False, staged=request.staged)
            self._places = places
        return _write(self._store, self._folder, request.group, request.files, overwrite=request.overwrite)


def restore(
    store: LocalObjectStore,
    folder: TargetFolder,
    wanted: Mapping[str, Iterable[tuple[str, bool]]],
    *,
    helper: Helper,
    overwrite: bool,
    told: Told,
) -> set[str]:
    """Write the files whose objects are single chunks in packs, and give the digests of those.

    Parameters
    ----------
    wanted
        Paths of the files, and whether each may be run, by the digests of their bytes. No two paths may be one to a
        file system that knows no capitals.
    helper
        Answers with a `Restoring`.

    Raises
    ------
    ObjectNotFound, ObjectCorrupt, TargetBlocked, StorageFull
        As `TargetFolder.write` and `LocalObjectStore.open_many`; files written until then stay, each of them whole.
    """
    digests = list(wanted)
    groups = deque(store.groups(digests))
    done = {digests[one.n] for group in groups for _, one in group}
    asked: deque[tuple[Group, Files]] = deque()

    def files_of(group: Group) -> Files:
        return [list(wanted[digests[one.n]]) for _, one in group]

    try:
        while groups or asked:
            while groups and helper.n_asked < _ASKED:
                files = files_of(groups[0])
                request = _Request(store.root, folder.root, folder.staged, overwrite, groups[0], files)
                if not helper.ask(request):
                    break
                asked.append((groups.popleft(), files))
            if asked and (helper.is_ready or not groups):
                group, files = asked.popleft()
                moments = helper.take()
            else:
                group = groups.popleft()
                files = files_of(group)
                moments = _write(store, folder, group, files, overwrite=overwrite)
            paths = (
                (path, one.length) for (_, one), each in zip(group, files, strict=True) for path, _ in each
            )
            for (path, size_bytes), moment in zip(paths, moments, strict=True):
                told(path, size_bytes, moment)
    except BaseException:
        # Nothing is written any more when this is told: the folder may be moved or removed then.
        while helper.n_asked:
            with contextlib.suppress(Exception):
                helper.take()
        raise
    return done


def _write(
    store: LocalObjectStore,
    folder: TargetFolder,
    group: Group,
    files: Files,
    *,
    overwrite: bool,
) -> list[Moment]:
    places = {one.n: each for (_, one), each in zip(group, files, strict=True)}
    return [
        folder.moment(folder.write(path, (data,), executable=executable, overwrite=overwrite))
        for one, data in store.read_group(group)
        for path, executable in places[one.n]
    ]
