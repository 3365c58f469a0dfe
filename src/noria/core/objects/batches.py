"""Many objects in one call, for stores that know no better way than one after the other, several at once."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from noria.core.objects.store import ObjectInfo, Progress, SourceChanged

READ_ATTEMPTS = 3
"""How often a file is read that changes meanwhile, before it is refused."""

_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


def again_if_changed(put: Callable[[Path], _Given], path: Path) -> _Given:
    """Put a file, and put it again when it changed while it was read.

    Raises
    ------
    SourceChanged
        If it changed each of `READ_ATTEMPTS` times.
    """
    for _ in range(READ_ATTEMPTS - 1):
        try:
            return put(path)
        except SourceChanged:
            continue
    return put(path)


def put_each(
    put: Callable[[Path], ObjectInfo], paths: Sequence[str | Path], *, progress: Progress | None, at_once: int
) -> list[ObjectInfo]:
    """Put files by themselves, `at_once` at a time; what comes back is in their order."""
    infos = []
    for info in _in_order(lambda path: again_if_changed(put, Path(path)), paths, at_once=at_once):
        infos.append(info)
        if progress is not None:
            progress(1, info.size_bytes)
    return infos


def open_each(
    open_one: Callable[[str], Iterator[bytes]], digests: Sequence[str], *, at_once: int
) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Open objects in their order, and fetch the first chunks of those that come next meanwhile."""

    def begun(digest: str) -> tuple[bytes, Iterator[bytes]]:
        chunks = open_one(digest)
        return next(chunks, b""), chunks

    for n, (first, rest) in enumerate(_in_order(begun, digests, at_once=at_once)):
        yield n, itertools.chain([first] if first else [], rest)


def _in_order(do: Callable[[_Asked], _Given], asked: Iterable[_Asked], *, at_once: int) -> Iterator[_Given]:
    waiting: deque[Future[_Given]] = deque()
    rest = iter(asked)
    with ThreadPoolExecutor(at_once) as pool:
        try:
            waiting.extend(pool.submit(do, one) for one in itertools.islice(rest, 2 * at_once))
            while waiting:
                given = waiting.popleft().result()
                waiting.extend(pool.submit(do, one) for one in itertools.islice(rest, 1))
                yield given
        finally:
            for future in waiting:
                future.cancel()
