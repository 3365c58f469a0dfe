"""The stored form of chunks: compressed where that pays, and not looked at in vain."""

from __future__ import annotations

import random

from noria.core.objects.chunks import RAW, ZSTD, Codec


def noise(size_bytes: int, seed: int) -> bytes:
    """Give bytes that nothing compresses."""
    return random.Random(seed).randbytes(size_bytes)


def text(size_bytes: int, seed: int) -> bytes:
    """Give bytes that compress well."""
    return b"".join(f"{n},{n % 97},name-{seed}\n".encode() for n in range(size_bytes // 10))[:size_bytes]


def test_small_chunks_are_looked_at_again_after_many_that_did_not_pay() -> None:
    """At the latest the eighth that would pay is compressed, and from then on each; all come back as they were."""
    codec = Codec()
    for n in range(203):
        assert codec.encode(noise(5000, n)).codec == RAW

    chunks = [text(5000, n) for n in range(20)]
    encoded = [codec.encode(chunk) for chunk in chunks]

    first = next(n for n, each in enumerate(encoded) if each.codec == ZSTD)
    assert first < 8
    assert all(each.codec == ZSTD for each in encoded[first:])
    for chunk, (form, stored) in zip(chunks, encoded, strict=True):
        assert codec.decode(form, stored, len(chunk)) == chunk


def test_a_long_chunk_is_always_looked_at() -> None:
    """Of one there is much to win, whatever came before it."""
    codec = Codec()
    for n in range(203):
        codec.encode(noise(5000, n))
        if n % 10 == 0:
            assert codec.encode(noise(70_000, n)).codec == RAW
    assert codec.encode(text(70_000, 1)).codec == ZSTD


def test_a_few_that_do_not_pay_change_nothing() -> None:
    """Texts among as many images are compressed, every one."""
    codec = Codec()
    for n in range(60):
        assert codec.encode(noise(5000, n)).codec == RAW
        if n % 15 == 14:
            assert codec.encode(text(5000, n)).codec == ZSTD
