"""The values and errors of the port survive the wire."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from noria.core.errors import NoriaError, error_from_body
from noria.core.objects.digests import hash_bytes
from noria.core.objects.store import (
    ObjectCorrupt,
    ObjectNotFound,
    RangeInvalid,
    SourceChanged,
    SourceUnusable,
    checked_chunks,
)

DIGEST = hash_bytes(b"abc")


@pytest.mark.parametrize(
    "error",
    [
        ObjectNotFound(DIGEST, where="store"),
        ObjectCorrupt(DIGEST, where="store", actual=hash_bytes(b"")),
        RangeInvalid(DIGEST, start=9, length=None, size_bytes=3),
        SourceChanged(Path("a/b")),
        SourceUnusable(Path("a/\udcff"), "its name is not UTF-8"),
    ],
)
def test_errors_are_the_same_on_both_sides_of_the_wire(error: NoriaError) -> None:
    """An error comes back from its wire form, and from a pickle, as the class that it was, with all it said."""
    for copy in (error_from_body(error.to_body()), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(copy) is type(error)
        assert copy.to_body() == error.to_body()


def test_a_path_that_is_not_utf8_is_shown_with_its_bytes() -> None:
    """A stray byte in a name is visible in the message, which is itself valid UTF-8."""
    message = SourceUnusable(Path("a/\udcff"), "its name is not UTF-8").message

    assert message.encode() == rb"`a/\xff` cannot be stored: its name is not UTF-8"


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"", b"bc"], [b"", b"abc", b""]])
def test_right_bytes_pass_whole(chunks: list[bytes]) -> None:
    """Checking changes nothing about right bytes."""
    assert b"".join(checked_chunks(chunks, DIGEST, where="here")) == b"abc"


@pytest.mark.parametrize("chunks", [[b"abd"], [b"ab", b"d"], [b"ab"], [b"abc", b"d"], []])
def test_wrong_bytes_never_pass_whole(chunks: list[bytes]) -> None:
    """Changed, cut off and added bytes raise before the last chunk."""
    received: list[bytes] = []

    with pytest.raises(ObjectCorrupt, match="here"):
        received.extend(checked_chunks(chunks, DIGEST, where="here"))
    assert len(received) < max(1, len(chunks))
