"""What processes tell each other of files that were found right."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from noria.core.objects.digests import hash_bytes, hash_large_file
from noria.core.objects.store import ObjectCorrupt
from noria.pipelines import marks as marks_module
from noria.pipelines.marks import FileMark, Marks

DATA = b"a large table" * 1000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a file that holds the data."""
    path = tmp_path / "object"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the files that are read to be checked."""
    found: list[Path] = []

    def noted(path: Path) -> tuple[str, int]:
        found.append(path)
        return hash_large_file(path)

    monkeypatch.setattr(marks_module, hash_large_file.__name__, noted)
    return found


def test_a_file_is_read_once(place: Path, read: list[Path]) -> None:
    """Until it changes."""
    marks = Marks()
    for _ in range(3):
        marks.check(hash_bytes(DATA), place)
    assert read == [place]

    place.write_bytes(DATA)
    marks.check(hash_bytes(DATA), place)
    assert read == [place, place]


def test_another_process_does_not_read_what_it_was_told_of(place: Path, read: list[Path]) -> None:
    """The news travel as they are encoded, once; a file that took the place of the one that was meant is read."""
    digest = hash_bytes(DATA)
    writer, reader = Marks(), Marks()
    writer.note(digest, place)
    told = msgspec.msgpack.encode(writer.news())
    reader.learn(msgspec.msgpack.decode(told, type=dict[str, FileMark]))
    reader.check(digest, place)

    assert read == []
    assert (writer.news(), reader.news()) == ({}, {})
    assert reader.of([digest, hash_bytes(b"")]).keys() == {digest}

    other = place.with_name("other")
    other.write_bytes(b"b" * len(DATA))
    other.replace(place)
    with pytest.raises(ObjectCorrupt, match=digest):
        reader.check(digest, place)


def test_a_wrong_file_is_never_taken_for_right(place: Path) -> None:
    """What failed once fails again."""
    marks = Marks()
    for _ in range(2):
        with pytest.raises(ObjectCorrupt):
            marks.check(hash_bytes(b"something else"), place)
    assert marks.news() == {}
