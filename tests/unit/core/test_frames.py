"""Records in files that may end anywhere."""

from __future__ import annotations

import importlib.util
import struct
import zlib

import pytest

from noria.core import frames
from noria.core.frames import frame, header_of, parse

LONG = bytes(range(256)) * 1000


@pytest.mark.parametrize("with_extra", [True, False])
def test_the_checksum_of_a_long_record_is_the_same_with_and_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, *, with_extra: bool
) -> None:
    """What one process wrote, another reads that has the extra or has it not."""
    frames._crc32_of_many.cache_clear()
    if not with_extra:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    parts = (b"head", memoryview(LONG))
    try:
        written = header_of(parts) + b"".join(parts)
        found = parse(written + frame(b"short"))
        damaged = parse(written[:-1] + b"?")
        is_fast = frames._crc32_of_many() is not zlib.crc32
    finally:
        frames._crc32_of_many.cache_clear()

    assert is_fast == with_extra
    assert written[:8] == struct.pack("<II", len(LONG) + 4, zlib.crc32(b"head" + LONG))
    assert found.records == [b"head" + LONG, b"short"]
    assert (damaged.records, damaged.n_damaged) == ([], 1)
