"""Digests have one text form, and are those of BLAKE3."""

from __future__ import annotations

import io
import os
from pathlib import Path

import msgspec
import pytest

from noria.core.objects.digests import (
    CHUNK_BYTES,
    Digest,
    DigestInvalid,
    Hasher,
    chunks_of,
    hash_bytes,
    hash_file,
    hash_stream,
    is_digest,
    parse_digest,
)
from noria.core.objects.testing import MALFORMED, pattern

# From test_vectors.json of the BLAKE3 reference: input bytes 0, 1, 2, …, 250, 0, 1, … of this length.
VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


class _Named(msgspec.Struct):
    digest: Digest


@pytest.mark.parametrize("size_bytes", VECTORS)
def test_digests_are_those_of_the_reference(size_bytes: int, tmp_path: Path) -> None:
    """Bytes, streams, files and chunks agree with the published vectors."""
    data, expected = pattern(size_bytes), f"blake3:{VECTORS[size_bytes]}"
    (tmp_path / "file").write_bytes(data)
    hasher = Hasher()
    for chunk in (data[:7], memoryview(data)[7:]):
        hasher.update(chunk)

    assert hash_bytes(data) == hasher.digest() == expected
    assert hash_stream([data]) == hash_stream(io.BytesIO(data)) == (expected, size_bytes)
    assert hash_file(tmp_path / "file") == (expected, size_bytes)
    assert hasher.size_bytes == size_bytes


def test_a_digest_is_taken_as_it_is() -> None:
    """The one form passes every check unchanged."""
    digest = hash_bytes(b"x")

    assert parse_digest(digest) == digest
    assert is_digest(digest)
    assert msgspec.json.decode(msgspec.json.encode(_Named(digest=digest)), type=_Named).digest == digest


@pytest.mark.parametrize("text", MALFORMED)
def test_everything_else_is_refused(text: str) -> None:
    """What is no digest is refused by the parser and at the wire."""
    with pytest.raises(DigestInvalid, match="is not a digest") as caught:
        parse_digest(text)
    assert "blake3:" in str(caught.value.hint)
    assert not is_digest(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"digest": text}, type=_Named)


def test_a_long_text_is_shown_in_part() -> None:
    """An error message stays short whatever was sent."""
    with pytest.raises(DigestInvalid) as caught:
        parse_digest("x" * 1_000_000)

    assert len(caught.value.message) < 200


def test_a_stream_is_read_in_bounded_pieces() -> None:
    """An open file is never read at once."""
    sizes = [len(chunk) for chunk in chunks_of(io.BytesIO(bytes(2 * CHUNK_BYTES + 1)))]

    assert sizes == [CHUNK_BYTES, CHUNK_BYTES, 1]


def test_a_link_is_not_hashed(tmp_path: Path) -> None:
    """A file's digest is never that of what a link in its place points to."""
    (tmp_path / "link").symlink_to(os.devnull)

    with pytest.raises(OSError, match="link"):
        hash_file(tmp_path / "link")
