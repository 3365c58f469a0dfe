"""Writing the many small files of a tree out of packs, by this process and a helper.

The files are parted into runs that lie near one another in the tree. Both processes know the manifest, so that a run
is told by the numbers of its entries, and each looks up, reads, checks and writes whole runs by itself.
"""

from __future__ import annotations

import contextlib
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from noria.core.clock import SystemClock
from noria.core.errors import NoriaError
from noria.core.objects.helping import Helper
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.store import ObjectReader
from noria.core.objects.targets import Moment, TargetFolder
from noria.core.objects.trees import Entry, Manifest, read_manifest

_ASKED: Final = 2  # the last runs are waited for
_RUN_FILES: Final = 64
_RUN_BYTES: Final = 8 * 1024 * 1024
_LONGEST: Final = 4
"""So many times as long a run may become in a folder: two who make files in one wait for each other at each."""

Told: TypeAlias = Callable[[Sequence[Entry], Sequence[Moment]], None]
"""Is told of files that were written, and what each was then."""


class _Request(NamedTuple):
    """A run to write; with no numbers, the manifest is read, and that is all."""

    store: str
    digest: str
    target: str = ""
    staged: bool = False
    overwrite: bool = False
    numbers: bytes = b""


class _Answer(NamedTuple):
    """The numbers of entries that were written, what each file was then, and the numbers of those left out."""

    written: bytes
    moments: bytes
    left: bytes


class Restoring:
    """What a helper does: it writes one run of files after the other.

    It opens a store of its own, and reads manifests by itself.
    """

    def __init__(self) -> None:
        self._tree: tuple[str, str] | None = None
        self._place: tuple[str, int] | None = None

    def __call__(self, request: _Request) -> _Answer:
        """Write the files of a run."""
        tree = (request.store, request.digest)
        if self._tree != tree:
            self._store = LocalObjectStore(Path(request.store), SystemClock())
            self._manifest = read_manifest(self._store, request.digest)
            self._tree = tree
        if not request.numbers:
            return _Answer(b"", b"", b"")
        # A stage of the same name may be another one by now.
        target = Path(request.target)
        place = (request.target, target.stat().st_ino)
        if self._place != place:
            self._folder = TargetFolder(target, durable=False, staged=request.staged)
            self._place = place
        numbers = _numbers(request.numbers)
        return _write(self._store, self._folder, self._manifest, numbers, overwrite=request.overwrite)


def announce(helper: Helper, store: ObjectReader, digest: str) -> None:
    """Let a helper read the manifest of a tree that is going to be restored, while this process does the same."""
    if isinstance(store, LocalObjectStore):
        helper.ask(_Request(str(store.root), digest))


def restore(
    store: LocalObjectStore,
    folder: TargetFolder,
    digest: str,
    manifest: Manifest,
    entries: Sequence[Entry],
    *,
    helper: Helper,
    overwrite: bool,
    told: Told,
) -> list[Entry]:
    """Write the files whose objects are single chunks in packs, and give the entries of all others.

    Parameters
    ----------
    entries
        Those of the manifest that are to be written, in its order. Unless the folder is a stage, no two paths may be
        one to a file system that knows no capitals.
    helper
        Answers with a `Restoring`.

    Raises
    ------
    ObjectNotFound, ObjectCorrupt, TargetBlocked, StorageFull
        As `TargetFolder.write` and `LocalObjectStore.open_many`; files written until then stay, each of them whole.
    """
    _await(helper)  # what was announced
    runs = deque(_runs(manifest, entries))
    left: list[Entry] = []
    try:
        while runs or helper.n_asked:
            while runs and helper.n_asked < _ASKED:
                place = (str(store.root), digest, str(folder.root), folder.staged, overwrite)
                if not helper.ask(_Request(*place, runs[0].tobytes())):
                    break
                runs.popleft()
            if helper.n_asked and (helper.is_ready or not runs):
                answer = helper.take()
            else:
                answer = _write(store, folder, manifest, runs.popleft(), overwrite=overwrite)
            written = [manifest.entries[n] for n in _numbers(answer.written)]
            told(written, list(_moments(answer.moments)))
            left += [manifest.entries[n] for n in _numbers(answer.left)]
    except BaseException:
        # Nothing is written any more when this is told: the folder may be moved or removed then.
        _await(helper)
        raise
    return left


def _await(helper: Helper) -> None:
    while helper.n_asked:
        with contextlib.suppress(NoriaError):
            helper.take()


def _runs(manifest: Manifest, entries: Sequence[Entry]) -> Iterator[array[int]]:
    """Part entries into runs, by their numbers; at the ends of folders, if these are not far."""
    everything = manifest.entries
    if len(entries) == len(everything):
        numbered = iter(range(len(everything)))
    else:
        wanted = {entry.path for entry in entries}
        numbered = (n for n, entry in enumerate(everything) if entry.path in wanted)
    run, size_bytes = array("Q"), 0
    for n in numbered:
        if len(run) >= _RUN_FILES or size_bytes >= _RUN_BYTES:
            is_longest = max(len(run) / _RUN_FILES, size_bytes / _RUN_BYTES) >= _LONGEST
            if is_longest or _folder(everything[n]) != _folder(everything[run[-1]]):
                yield run
                run, size_bytes = array("Q"), 0
        run.append(n)
        size_bytes += everything[n].size_bytes
    if run:
        yield run


def _folder(entry: Entry) -> str:
    return entry.path.rpartition("/")[0]


def _write(
    store: LocalObjectStore,
    folder: TargetFolder,
    manifest: Manifest,
    numbers: Sequence[int],
    *,
    overwrite: bool,
) -> _Answer:
    entries = manifest.entries
    same: defaultdict[str, list[int]] = defaultdict(list)
    for n in numbers:
        same[entries[n].digest].append(n)
    digests = list(same)
    written, moments = array("Q"), array("q")
    for one, data in store.read_single(digests):
        for n in same.pop(digests[one.n]):
            entry = entries[n]
            moment = folder.put(entry.path, data, executable=entry.executable, overwrite=overwrite)
            written.append(n)
            moments.extend(moment)
    left = array("Q", sorted(n for each in same.values() for n in each))
    return _Answer(written.tobytes(), moments.tobytes(), left.tobytes())


def _numbers(data: bytes) -> array[int]:
    found = array("Q")
    found.frombytes(data)
    return found


def _moments(data: bytes) -> Iterator[Moment]:
    values = array("q")
    values.frombytes(data)
    return map(Moment._make, zip(*[iter(values)] * len(Moment._fields), strict=True))
