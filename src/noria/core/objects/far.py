"""Large objects on their way to and from a server: only what the other side lacks, in parts that are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.errors import NotFound, TooLarge, Unavailable
from noria.core.objects.deltas import Assembly, Gap, Piece, list_chunks, plan, slices
from noria.core.objects.digests import CHUNK_BYTES, DigestMismatch, hash_bytes
from noria.core.objects.sources import SourceFile, open_source
from noria.core.objects.store import ObjectInfo, SourceChanged, SourceUnusable

if TYPE_CHECKING:
    from noria.core.objects.service import Objects

IN_PARTS_BYTES: Final = 64 * 1024 * 1024
"""A file above this size travels in parts also where nothing lay there before."""

_ATTEMPTS: Final = 4
_FIRST_PAUSE_S: Final = 0.5


def send_file(
    service: Objects,
    project: str,
    path: Path,
    *,
    digest: str,
    like: str | None,
    missing: Callable[[Collection[str]], set[str]],
    at_once: int,
) -> ObjectInfo:
    """Send a large file.

    Parameters
    ----------
    digest
        Of its bytes, which nobody there holds as a whole.
    like
        Digest of what lay there before, if that is known.
    missing
        Tells which of some objects the project does not hold.
    at_once
        How many parts are on their way at a time.

    Raises
    ------
    SourceChanged
        If the file is no longer what `digest` says.
    """
    with open_source(path) as source:
        pieces = _planned(service, project, source, like)
        if pieces is None:
            return service.put(project, source.chunks())
        sent = _send_parts(service, project, source, pieces, missing=missing, at_once=at_once)
        try:
            return service.assemble(project, Assembly(digest=digest, pieces=sent))
        except DigestMismatch as error:
            raise SourceChanged(path) from error
        except TooLarge:
            return service.put(project, source.chunks())


def _planned(
    service: Objects, project: str, source: SourceFile, like: str | None
) -> list[Piece | Gap] | None:
    """Tell what goes how; None for the file as it is."""
    if like is not None:
        try:
            held = service.chunks(project, like).placed()
        except (NotFound, TooLarge):
            pass  # let go meanwhile, or too large to be compared
        else:
            return plan(list_chunks(source.chunks()).placed(), like, held)
    return slices(source.size_bytes) if source.size_bytes > IN_PARTS_BYTES else None


def _send_parts(
    service: Objects,
    project: str,
    source: SourceFile,
    pieces: Sequence[Piece | Gap],
    *,
    missing: Callable[[Collection[str]], set[str]],
    at_once: int,
) -> list[Piece]:
    gaps = [piece for piece in pieces if isinstance(piece, Gap)]
    digests = {gap: hash_bytes(source.part(gap.start, gap.length)) for gap in gaps}
    absent = missing(set(digests.values()))
    first = {digest: gap for gap, digest in reversed(digests.items())}

    def send(digest: str) -> None:
        gap = first[digest]
        try:
            service.put(project, [source.part(gap.start, gap.length)], digest=digest)
        except DigestMismatch as error:
            raise SourceChanged(source.path) from error

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(send, sorted(absent)))
    return [
        Piece(digest=digests[piece], start=0, length=piece.length) if isinstance(piece, Gap) else piece
        for piece in pieces
    ]


def open_far(
    service: Objects,
    project: str,
    digest: str,
    *,
    start: int = 0,
    length: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """Give the bytes of an object of a server; where the connection breaks, it is asked for the rest.

    Parameters
    ----------
    sleep
        Waits some seconds, twice as many each time: a server that starts anew does not answer at once.

    Raises
    ------
    Unavailable
        If it breaks again and again without a byte between.
    """
    passed, attempts = 0, _ATTEMPTS
    while True:
        try:
            rest = None if length is None else length - passed
            for chunk in service.get(project, digest, start=start + passed, length=rest).chunks:
                passed, attempts = passed + len(chunk), _ATTEMPTS
                yield chunk
        except Unavailable:
            attempts -= 1
            if attempts == 0 or passed == 0:
                raise
        else:
            return
        sleep(_FIRST_PAUSE_S * 2.0 ** (_ATTEMPTS - 1 - attempts))


def open_like(service: Objects, project: str, digest: str, place: Path) -> Iterator[bytes]:
    """Give the bytes of an object of a server, taking what a file on this machine has of it from there.

    The caller checks the whole: the file may change meanwhile.
    """
    try:
        wanted = service.chunks(project, digest).placed()
        with open_source(place) as source:
            held = list_chunks(source.chunks()).placed()
    except (SourceUnusable, SourceChanged, TooLarge):
        yield from open_far(service, project, digest)
        return
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for piece in plan(wanted, "", held):
            if isinstance(piece, Gap):
                yield from open_far(service, project, digest, start=piece.start, length=piece.length)
            else:
                yield from _local(fd, piece)
    finally:
        os.close(fd)


def _local(fd: int, piece: Piece) -> Iterator[bytes]:
    for offset in range(piece.start, piece.start + piece.length, CHUNK_BYTES):
        yield os.pread(fd, min(CHUNK_BYTES, piece.start + piece.length - offset), offset)
