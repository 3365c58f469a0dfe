"""The port of the object store, with its contract, and the values and errors that it speaks in.

The contract
------------
*Content.* An object is a sequence of bytes, named by its BLAKE3 digest and never changed. Equal bytes are one object.

*Acknowledgement.* When `put`, `put_bytes` or `put_file` returns, the object is whole in the store and outlives both
the death of this process and the loss of power. When one of them raises, or its process is killed at any instant,
the store verifies and holds what it held before, at most with the whole new object added. What may be left over are
temporary files, which are no objects and which `collect` removes after a day.

*Concurrency.* All methods may be called from any thread and any process at once, on one instance or on many over the
same storage. Nobody waits for a lock of a process that died.

*Garbage.* An object that was just put is not referred to by anything yet, so `collect` leaves it alone for `grace_s`
seconds after the last put of these bytes. Who stores a reference must therefore commit it within `grace_s` of the
put, or in a transaction that sees another reference to the same object. Choose `grace_s` longer than the longest
upload; a day is a good value.

*Verification.* Bytes are checked against their digest whenever an object is read whole. A put of bytes whose stored
form is damaged mends it.

*Errors.* Every method that takes a digest raises `DigestInvalid` for a malformed one. Every method may raise
`Unavailable` when the storage itself fails. The other errors are listed at each method.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import msgspec

from noria.core.errors import Conflict, Corrupt, Invalid, NotFound
from noria.core.objects.digests import Digest, Hasher, Source

_MOST_TOLD: Final = 9

Progress: TypeAlias = Callable[[int, int], None]
"""Told, while a long call runs, how many files and bytes more are done; the bytes of a large file come before it."""


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says about an object."""

    digest: Digest
    size_bytes: int


class ProblemKind(enum.StrEnum):
    """What can be wrong with stored things."""

    MISSING = "missing"  # asked for by digest, and not there
    CORRUPT = "corrupt"  # there, but the bytes are others
    UNREADABLE = "unreadable"  # there, but the storage does not give the bytes
    FOREIGN = "foreign"  # among the objects, but not an object


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of `verify`.

    Attributes
    ----------
    name
        The digest; for a foreign thing the place where it lies.
    """

    kind: ProblemKind
    name: str
    message: str


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What `collect` removed and what it kept; with `dry_run`, what it would have removed.

    Attributes
    ----------
    n_removed, removed_bytes
        Objects that nothing refers to, and their size.
    n_live, n_young
        Objects kept because something refers to them, and because they were put within the grace period.
    n_temporary
        Leftovers of writers that died.
    """

    n_removed: int
    removed_bytes: int
    n_live: int
    n_young: int
    n_temporary: int
    dry_run: bool


class ObjectNotFound(NotFound):
    """The store holds no object of this digest."""

    code = "object_not_found"

    def __init__(self, digest: str, *, where: str) -> None:
        super().__init__(
            f"There is no object `{digest}` in `{where}`",
            hint="It was never put there, or garbage collection removed it because nothing referred to it",
            details={"digest": digest},
        )


class ObjectCorrupt(Corrupt):
    """The stored bytes do not have the digest that names them."""

    code = "object_corrupt"

    def __init__(self, digest: str, *, where: str, actual: str) -> None:
        super().__init__(
            f"The object `{digest}` in `{where}` is damaged: its bytes have the digest `{actual}`",
            hint="Put the same bytes again, for example from a copy; that replaces the damaged ones",
            details={"digest": digest, "actual": actual},
        )


class RangeInvalid(Invalid):
    """A part of an object was asked for that cannot be."""

    code = "range_invalid"

    def __init__(self, digest: str, *, start: int, length: int | None, size_bytes: int) -> None:
        super().__init__(
            f"The object `{digest}` has {size_bytes} bytes; a part from {start} of length {length} is not possible",
            hint="`start` lies between 0 and the size, `length` is at least 0",
            details={"digest": digest, "start": start, "length": length, "size_bytes": size_bytes},
        )


class SourceUnusable(Invalid):
    """Something on disk cannot be stored: not readable, or not a regular file."""

    code = "source_unusable"

    def __init__(self, path: Path, why: str, *, hint: str | None = None) -> None:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        details = {"path": shown, "why": why}
        super().__init__(f"`{shown}` cannot be stored: {why}", hint=hint, details=details)

    @classmethod
    def several(cls, errors: Sequence[SourceUnusable]) -> SourceUnusable:
        """Tell of all at once, in the order of their paths, so that nobody has to try again for each."""
        first, *others = sorted(errors, key=lambda error: str(error.details["path"]))
        if not others:
            return first
        told = "; ".join(f"`{one.details['path']}`: {one.details['why']}" for one in others[:_MOST_TOLD])
        more = f"; nor {len(others) - _MOST_TOLD} more" if others[_MOST_TOLD:] else ""
        hints = dict.fromkeys(one.hint for one in (first, *others) if one.hint)
        why = f"{first.details['why']}. Neither can {told}{more}"
        return cls(Path(str(first.details["path"])), why, hint=". ".join(hints) or None)


class SourceChanged(Conflict):
    """A file changed while it was read."""

    code = "source_changed"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The file `{path}` changed while it was read",
            hint="Wait until nothing writes to it, or copy it first",
            details={"path": str(path)},
        )


def checked_chunks(chunks: Iterable[bytes], digest: str, *, where: str) -> Iterator[bytes]:
    """Pass on the chunks of a whole object; hold the last one back until all bytes were checked.

    Raises
    ------
    ObjectCorrupt
        In place of the last chunk, if the bytes do not have `digest`.
    """
    hasher = Hasher()
    held_back = b""
    for chunk in chunks:
        hasher.update(chunk)
        if held_back:
            yield held_back
        held_back = chunk
    if hasher.digest() != digest:
        raise ObjectCorrupt(digest, where=where, actual=hasher.digest())
    if held_back:
        yield held_back


class ObjectReader(Protocol):
    """Reads objects. The contract stands at the top of this module."""

    def open(self, digest: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give the bytes of an object, or of a part of it, in chunks.

        Read whole, the last chunk comes only after all bytes were checked, so nobody gets all bytes of a damaged
        object; what came before is not to be trusted until then. A part (`start` above 0, or `length` short of the
        end) may go unchecked.

        Parameters
        ----------
        start
            First byte, from 0 to the size.
        length
            Number of bytes; cut at the end of the object. None means up to the end.

        Raises
        ------
        ObjectNotFound
            At the call; while reading only if the object is collected between the call and the first chunk.
        RangeInvalid
            At the call.
        ObjectCorrupt
            In place of the last chunk.
        """
        ...

    def open_many(self, digests: Sequence[str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open several whole objects, in the order in which the storage gives them fastest.

        Each comes with its place in `digests`, and as `open` gives it. Its chunks are to be read before the next
        object is asked for.

        Raises
        ------
        ObjectNotFound
            When the turn comes to an object that is not there.
        ObjectCorrupt
            As `open`.
        """
        ...

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes of an object, checked.

        Raises
        ------
        ObjectNotFound, ObjectCorrupt
        TooLarge
            If the object has more than `limit_bytes`; nothing is read then.
        """
        ...

    def size(self, digest: str) -> int:
        """Give the size of an object in bytes.

        Raises
        ------
        ObjectNotFound
        """
        ...

    def has(self, digest: str) -> bool:
        """Tell whether the object is there. Says nothing about how long it stays: only a put does."""
        ...

    def missing(self, digests: Collection[str]) -> set[str]:
        """Give those of `digests` that are not there, in as few questions to the storage as it allows."""
        ...


class ObjectWriter(Protocol):
    """Adds objects. The contract stands at the top of this module."""

    def put(
        self, chunks: Source, *, expected: str | None = None, limit_bytes: int | None = None
    ) -> ObjectInfo:
        """Store the bytes of a stream. Memory use does not grow with its length.

        The stream is always read to its end, also when `expected` is stored already: whoever puts has the bytes.
        What reading the stream raises passes through, and nothing is kept.

        Parameters
        ----------
        expected
            The digest that the bytes should have.
        limit_bytes
            Most bytes that are accepted.

        Raises
        ------
        DigestMismatch
            If the bytes have another digest than `expected`.
        TooLarge
            As soon as the stream passes `limit_bytes`.
        StorageFull
            If there is no room; nothing of the object is left behind.
        """
        ...

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Store bytes in memory; raises as `put` does."""
        ...

    def put_file(self, path: Path) -> ObjectInfo:
        """Store the bytes of a regular file, which is not followed if it is a symbolic link.

        Raises
        ------
        SourceUnusable
            If the file cannot be read, or is not a regular file.
        SourceChanged
            If it was written to while it was read.
        StorageFull
            As `put`.
        """
        ...

    def put_files(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> list[ObjectInfo]:
        """Store many files for the price of a few; what comes back is in their order.

        A file that changes while it is read is read again a few times. When the call raises, some of the files may
        be stored.

        Raises
        ------
        SourceUnusable, SourceChanged, StorageFull
            As `put_file`.
        """
        ...


class ObjectStore(ObjectReader, ObjectWriter, Protocol):
    """Keeps objects. The contract stands at the top of this module."""

    def verify(self, digests: Iterable[str] | None = None, *, quick: bool = False) -> Iterator[Problem]:
        """Read objects and give what is wrong with them; nothing given means that all is well.

        Parameters
        ----------
        digests
            What to read; None means everything that the store holds.
        quick
            Look only whether everything is there and of the right size, and read nothing of it.
        """
        ...

    def collect(
        self, is_live: Callable[[list[str]], set[str]], *, grace_s: float, dry_run: bool = False
    ) -> Collected:
        """Remove objects that nothing refers to and that were last put more than `grace_s` seconds ago.

        Parameters
        ----------
        is_live
            Given some digests, gives those that something refers to. Called several times, without any lock held,
            and never with an object within its grace period. What it raises passes through; what was asked about
            then stays.
        dry_run
            Count only.
        """
        ...
