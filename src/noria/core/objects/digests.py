"""Digests: the names of stored bytes, in the text form `blake3:<64 hex digits>`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, TypeAlias

import msgspec
from blake3 import blake3

from noria.core.errors import Invalid

ALGORITHM = "blake3"

Digest: TypeAlias = Annotated[str, msgspec.Meta(pattern="^blake3:[0-9a-f]{64}$", max_length=71)]
"""A field of this type is checked when it is decoded. The length keeps out the newline that `$` would allow."""

Source: TypeAlias = Iterable[bytes] | BinaryIO
"""Bytes to read once: chunks of any size, or an open binary file."""

CHUNK_BYTES = 256 * 1024
"""What one read asks for: large enough that system calls cost nothing, small enough to stay in a core's cache."""

_DIGEST = re.compile(r"blake3:[0-9a-f]{64}")
_SHOWN_CHARS = 100
_READ_AT_ONCE = 8 * 1024 * 1024


class DigestInvalid(Invalid):
    """The text is not a digest."""

    code = "digest_invalid"

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
        super().__init__(
            f"`{shown}` is not a digest", hint="A digest is `blake3:` and 64 digits out of 0-9 and a-f"
        )


class DigestMismatch(Invalid):
    """The bytes that came are not those that were announced."""

    code = "digest_mismatch"

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(
            f"The bytes have the digest `{actual}`, announced was `{expected}`",
            hint="Nothing was kept; send the bytes again",
            details={"expected": expected, "actual": actual},
        )


def parse_digest(text: str) -> Digest:
    """Give `text` back if it is a digest in its one form; no path can be hidden in one.

    Raises
    ------
    DigestInvalid
        For anything else: capitals, another algorithm, spaces, a line end.

    Examples
    --------
    >>> parse_digest("blake3:" + "0" * 64) == "blake3:" + "0" * 64
    True
    """
    if _DIGEST.fullmatch(text) is None:
        raise DigestInvalid(text)
    return text


def is_digest(text: str) -> bool:
    """Tell whether `text` is a digest."""
    return _DIGEST.fullmatch(text) is not None


def check_expected(expected: str | None, actual: Digest) -> None:
    """Refuse bytes whose digest is another than the caller announced, if one was announced.

    Raises
    ------
    DigestMismatch
        With both digests.
    """
    if expected is not None and expected != actual:
        raise DigestMismatch(expected=expected, actual=actual)


class Hasher:
    """Digest and size of bytes that pass by."""

    def __init__(self) -> None:
        self._state = blake3()
        self.size_bytes = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next chunk in."""
        self._state.update(chunk)
        self.size_bytes += len(chunk)

    def digest(self) -> Digest:
        """Give the digest of all chunks so far."""
        return f"{ALGORITHM}:{self._state.hexdigest()}"


def hash_bytes(data: bytes) -> Digest:
    """Give the digest of bytes in memory.

    Examples
    --------
    >>> hash_bytes(b"")
    'blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'
    """
    return f"{ALGORITHM}:{blake3(data).hexdigest()}"


def hash_large_file(path: Path) -> tuple[Digest, int]:
    """Give the digest of a large file and its size in bytes, with all processors and little memory."""
    state = blake3(max_threads=blake3.AUTO)
    buffer = memoryview(bytearray(_READ_AT_ONCE))
    n_bytes = 0
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            state.update(buffer[:read])
            n_bytes += read
    return f"{ALGORITHM}:{state.hexdigest()}", n_bytes


def hash_stream(source: Source) -> tuple[Digest, int]:
    """Read a stream to its end and give its digest and size in bytes."""
    hasher = Hasher()
    for chunk in chunks_of(source):
        hasher.update(chunk)
    return hasher.digest(), hasher.size_bytes


def hash_file(path: Path) -> tuple[Digest, int]:
    """Read a file, which must not be a symbolic link, and give its digest and size in bytes.

    Notes
    -----
    Files are read, not mapped into memory, although mapping is about a third faster: a mapped file that shrinks
    meanwhile, or a bad sector below it, ends the whole process with SIGBUS instead of raising `OSError`.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as stream:
        return hash_stream(stream)


def chunks_of(source: Source) -> Iterator[bytes]:
    """Give the chunks of a source, whichever of its forms it has."""
    if hasattr(source, "read"):
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
    else:
        yield from source
