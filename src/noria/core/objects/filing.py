"""Many files into packs: read, hashed and compressed by several threads or a helper, and made known all in one go."""

from __future__ import annotations

import os
import pickle
import stat
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, cast

from blake3 import blake3

from noria.core.errors import Unavailable
from noria.core.objects.batches import again_if_changed
from noria.core.objects.chunks import LARGE_BYTES, Bytes, Codec, Encoded
from noria.core.objects.digests import ALGORITHM, Hasher
from noria.core.objects.helping import Helper
from noria.core.objects.index import Index
from noria.core.objects.intake import Examined, Examiner, Intake
from noria.core.objects.loose import LooseObjects
from noria.core.objects.packed import raw, text
from noria.core.objects.packs import PackedObject
from noria.core.objects.sources import SourceFile, open_source
from noria.core.objects.store import ObjectInfo, Progress, SourceChanged

_GROUP_FILES: Final = (
    32  # with what is ahead, at most 250 MB in memory, if each file is as long as a small one may be
)
_GROUPS_AHEAD: Final = 6
_GROUPS_AT_ONCE: Final = 4  # of very small files, so that less is spent on handing each group over
_VERY_SMALL_BYTES: Final = (
    12 * 1024
)  # so many groups of such go through the memory that is shared with a helper
_MAX_THREADS: Final = 8
_TINY_BYTES: Final = 64 * 1024
_ROUNDS: Final = 3
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CODEC: Final = Codec()  # of a helper, which has been told before what does not pay


class _Read(NamedTuple):
    """A small file that was read.

    Attributes
    ----------
    n
        Its place among the files.
    info
        None if it turned out to be large.
    """

    n: int
    info: ObjectInfo | None


class _Group(NamedTuple):
    """Small files that were read together.

    Attributes
    ----------
    chunks
        Those that are not stored as files of their own.
    known
        Those among them that are objects of the store already.
    """

    reads: list[_Read]
    chunks: list[Examined]
    known: set[bytes]


_Prepared: TypeAlias = tuple[bytes, int, int, Bytes]
"""A small file that was read elsewhere: digest and length of its bytes, and their stored form with its codec."""

Closing: TypeAlias = Callable[[list[ObjectInfo]], bytes]
"""Is told what files are, and gives the bytes of one more object."""


def prepare(paths: Sequence[str]) -> list[_Prepared | None]:
    """Read small files, and give each what is stored of it; None for one that is large.

    What a helper does: it looks at nothing but the files.

    Raises
    ------
    SourceUnusable
        As `open_source`.
    """
    found: list[_Prepared | None] = []
    for path in paths:
        data = _read_small(path)
        if data is None:
            found.append(None)
            continue
        codec, stored = _CODEC.encode(data)
        # By shared memory; they are bytes again there.
        shared = cast("Bytes", pickle.PickleBuffer(stored))
        found.append((blake3(data).digest(), len(data), codec, shared))
    return found


class Filing:
    """Puts files into packs.

    Parameters
    ----------
    intake
        Makes an empty batch.
    put_small
        Stores an object of at most `LARGE_BYTES` by itself.
    helper
        Answers with `prepare`, while this process reads other files.
    """

    def __init__(
        self,
        index: Index,
        loose: LooseObjects,
        examiner: Examiner,
        intake: Callable[[], Intake],
        put_small: Callable[[bytes], ObjectInfo],
        *,
        helper: Helper | None = None,
    ) -> None:
        self._index = index
        self._loose = loose
        self._examiner = examiner
        self._intake = intake
        self._put_small = put_small
        self._helper = helper

    def put(
        self, paths: Sequence[str | Path], *, progress: Progress | None, closing: Closing | None = None
    ) -> list[ObjectInfo]:
        """Store files as the port says, and give what they are in their order.

        Parameters
        ----------
        closing
            Makes one more object of what they are, which is stored with them, in the same go; it comes last.
        """
        infos: dict[int, ObjectInfo] = {}
        n_files = len(paths)
        rest: Sequence[int] = range(n_files)
        is_whole = n_files == 0 and closing is None
        for _ in range(_ROUNDS):
            if not is_whole:
                lost = self._put_some(paths, rest, infos, progress, closing)
                rest = [n for n in rest if raw(infos[n].digest) in lost] if lost else []
                is_whole = not lost
                progress = None  # each file is told once
        if not is_whole:
            raise Unavailable(
                f"{len(rest)} of {n_files} files were collected again and again while they were put",
                hint="Choose a longer grace period for `noria objects gc`",
            )
        return [infos[n] for n in range(len(infos))]

    def _put_some(
        self,
        paths: Sequence[str | Path],
        chosen: Sequence[int],
        infos: dict[int, ObjectInfo],
        progress: Progress | None,
        closing: Closing | None,
    ) -> set[bytes]:
        folders = self._loose.folders()
        n_threads = min(_MAX_THREADS, os.cpu_count() or 1)
        with (
            self._intake() as intake,
            ThreadPoolExecutor(n_threads) as pool,
            ThreadPoolExecutor(1) as alone,
        ):
            for group in self._read_all(paths, chosen, folders, pool, alone):
                intake.take_single(group.chunks, group.known)
                for n, found in group.reads:
                    info = found or again_if_changed(
                        lambda path: self.put_large(path, intake, pool, progress=progress), Path(paths[n])
                    )
                    infos[n] = info
                    if progress is not None:
                        progress(1, info.size_bytes if found else 0)
                if intake.is_full:
                    intake.publish()
            small: bytes | None = None
            if closing is not None:
                # In a pack of its own: those of the files are needed by later trees, too, which are sent without it.
                intake.end_pack()
                data = closing([infos[n] for n in range(len(paths))])
                if len(data) > LARGE_BYTES:
                    infos[len(paths)] = self._take_data(data, intake, pool)
                else:
                    small = data
            intake.publish()
            if small is not None:
                infos[len(paths)] = self._put_small(small)
            return intake.lost

    def _take_data(self, data: bytes, intake: Intake, pool: ThreadPoolExecutor) -> ObjectInfo:
        """Take a large object in whose bytes are at hand."""
        digest = blake3(data).digest()
        self.take_whole(intake.take_large([data], lambda: digest, pool), intake)
        return ObjectInfo(digest=text(digest), size_bytes=len(data))

    def put_large(
        self, path: Path, intake: Intake, pool: ThreadPoolExecutor, *, progress: Progress | None = None
    ) -> ObjectInfo:
        """Take a file of any size in, in chunks; what was read is told, the file itself is not."""
        with open_source(path) as source:
            hasher = Hasher()
            item = intake.take_large(_hashed(source, hasher, progress), lambda: raw(hasher.digest()), pool)
            info = ObjectInfo(digest=text(item.digest), size_bytes=item.size_bytes)
            self.take_whole(item, intake)
            return info

    def take_whole(self, item: PackedObject, intake: Intake) -> bool:
        """Take an object in whose chunks were taken, unless it is there as a file of its own."""
        there = self._loose.renew(text(item.digest))
        if there:
            return False
        if there is not None:
            self._loose.drop(text(item.digest))
        intake.take_object(item, known=self._index.find([item.digest]).get(item.digest) == item)
        return True

    def _read_all(
        self,
        paths: Sequence[str | Path],
        chosen: Sequence[int],
        folders: set[str],
        pool: ThreadPoolExecutor,
        alone: ThreadPoolExecutor,
    ) -> Iterator[_Group]:
        """Read small files in groups on other threads; large ones come unread.

        Tiny files are read with the helper, if there is one, or by one thread alone: two would spend as much time
        again on handing the interpreter over.
        """
        groups = deque(chosen[begin : begin + _GROUP_FILES] for begin in range(0, len(chosen), _GROUP_FILES))
        waiting: deque[Future[_Group]] = deque()
        mean_bytes = 0.0

        def read_group(group: Sequence[int]) -> _Group:
            return self._read_group(paths, group, folders)

        if self._helper is not None:
            mean_bytes = yield from self._read_with(self._helper, paths, groups, folders)
        try:
            while groups:
                executor = pool if mean_bytes > _TINY_BYTES else alone
                waiting.append(executor.submit(read_group, groups.popleft()))
                if len(waiting) > _GROUPS_AHEAD:
                    read = waiting.popleft().result()
                    mean_bytes = _mean_bytes(read)
                    yield read
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _read_with(
        self,
        helper: Helper,
        paths: Sequence[str | Path],
        groups: deque[Sequence[int]],
        folders: set[str],
    ) -> Generator[_Group, None, float]:
        """Take groups of tiny files off the list and read them here and there; give the mean size of the last ones."""
        asked: deque[Sequence[int]] = deque()
        mean_bytes = 0.0
        while asked or (groups and mean_bytes <= _TINY_BYTES):
            while groups and mean_bytes <= _TINY_BYTES:
                group = _next(groups, mean_bytes)
                if not helper.ask([str(paths[n]) for n in group]):
                    groups.appendleft(group)
                    break
                asked.append(group)
            if asked and (helper.is_ready or not groups):
                read = self._settle(asked.popleft(), helper.take(), paths, folders)
            else:
                read = self._read_group(paths, groups.popleft(), folders)
            mean_bytes = _mean_bytes(read)
            yield read
        return mean_bytes

    def _settle(
        self,
        group: Sequence[int],
        prepared: Sequence[_Prepared | None],
        paths: Sequence[str | Path],
        folders: set[str],
    ) -> _Group:
        """Tell what of the files that the helper read is there already."""
        reads, fresh, again = [], [], []
        for n, file in zip(group, prepared, strict=True):
            if file is None:
                reads.append(_Read(n, None))
                continue
            digest, length, codec, stored = file
            name = text(digest)
            there = self._loose.renew(name) if folders and _folder_of(name) in folders else None
            if there is False:
                again.append(n)
                continue
            reads.append(_Read(n, ObjectInfo(digest=name, size_bytes=length)))
            if there is None:
                fresh.append((digest, length, Encoded(codec, stored)))
        chunks = self._examiner.sift(fresh)
        found = _Group(reads, chunks, self._index.present([chunk.digest for chunk in chunks]))
        if again:
            more = self._read_group(paths, again, folders)
            found = _Group(reads + more.reads, chunks + more.chunks, found.known | more.known)
        return found

    def _read_group(self, paths: Sequence[str | Path], group: Sequence[int], folders: set[str]) -> _Group:
        reads, contents, digests = [], [], []
        for n in group:
            data = _read_small(paths[n])
            if data is None:
                reads.append(_Read(n, None))
                continue
            digest = blake3(data).digest()
            name = text(digest)
            reads.append(_Read(n, ObjectInfo(digest=name, size_bytes=len(data))))
            if not (folders and _folder_of(name) in folders and self._is_loose(name, data)):
                contents.append(data)
                digests.append(digest)
        chunks = self._examiner.examine(contents, digests)
        return _Group(reads, chunks, self._index.present(digests))

    def _is_loose(self, digest: str, data: bytes) -> bool:
        there = self._loose.renew(digest)
        if there is False:
            self._loose.put(digest, data)
        return there is not None


def _folder_of(digest: str) -> str:
    """Give the name of the folder in which an object lies that is a file of its own."""
    start = len(ALGORITHM) + 1
    return digest[start : start + 2]


def _next(groups: deque[Sequence[int]], mean_bytes: float) -> Sequence[int]:
    """Take a group off a list, or some at once if their files are very small."""
    n_groups = _GROUPS_AT_ONCE if 0 < mean_bytes <= _VERY_SMALL_BYTES else 1
    if len(groups[0]) > _GROUP_FILES:
        n_groups = 1  # it was put together before, and put back
    return [n for _ in range(min(n_groups, len(groups))) for n in groups.popleft()]


def _mean_bytes(group: _Group) -> float:
    return sum(info.size_bytes for _, info in group.reads if info is not None) / max(1, len(group.reads))


def _hashed(source: SourceFile, hasher: Hasher, progress: Progress | None) -> Iterator[bytes]:
    for chunk in source.chunks():
        hasher.update(chunk)
        yield chunk
        if progress is not None:
            progress(0, len(chunk))


def _read_small(path: str | Path) -> bytes | None:
    """Read a small file, and again if it changes meanwhile; None for a larger one.

    Raises
    ------
    SourceUnusable, SourceChanged
        As `open_source` and its chunks.
    """
    data = _read_at_once(path)
    if data is not None:
        return data
    with open_source(Path(path)) as source:
        if source.size_bytes > LARGE_BYTES:
            return None
        try:
            return b"".join(source.chunks())
        except SourceChanged:
            return None  # read in chunks, it is read again


def _read_at_once(path: str | Path) -> bytes | None:
    """Read a small file in the fewest calls; None if that is not all there is to it."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode) or before.st_size > LARGE_BYTES:
            return None
        data = os.read(fd, before.st_size + 1)
        after = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    same = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return data if same and len(data) == before.st_size else None
