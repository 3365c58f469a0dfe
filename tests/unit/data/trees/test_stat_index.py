"""The stat index: which files are surely as they were, and what becomes of a damaged index."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from noria.core.objects.digests import hash_bytes
from noria.data.trees.changes import look, look_at
from noria.data.trees.stat_index import Known, Place, StatIndex, is_unchanged, know

SECOND_NS = 1_000_000_000
LONG_AGO_NS = 1_500_000_000_123_456_789
PLACE = Place(
    path="/data", project="default", name="d", version=1, digest="blake3:" + "0" * 64, is_file=False
)


def known(path: Path, *, read_ns: int | None = None) -> Known:
    status = path.stat()
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
    moment = changed_ns + 10 * SECOND_NS if read_ns is None else read_ns
    return know(path.name, status, hash_bytes(path.read_bytes()), read_ns=moment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "files" / "a"
    path.parent.mkdir()
    path.write_bytes(b"content")
    return path


def test_a_file_that_nobody_touched_is_unchanged(file: Path) -> None:
    """All that the system tells of it is as it was."""
    assert is_unchanged(known(file), file.stat())


@pytest.mark.parametrize("change", ["bytes", "time", "mode", "replaced"])
def test_a_file_that_somebody_touched_may_be_changed(file: Path, change: str) -> None:
    """Size, times, inode and the right to be run each count."""
    before = known(file)
    if change == "bytes":
        file.write_bytes(b"contend")
    elif change == "time":
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    elif change == "mode":
        file.chmod(0o755)
    else:
        other = file.with_name("b")
        other.write_bytes(b"content")
        os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        other.replace(file)

    assert not is_unchanged(before, file.stat())


def test_a_file_read_in_the_tick_of_its_last_change_is_read_again(file: Path) -> None:
    """A write just after the reading could leave every time as it was."""
    status = file.stat()
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)

    assert not is_unchanged(known(file, read_ns=changed_ns + 1_000_000), status)
    assert is_unchanged(known(file, read_ns=changed_ns + SECOND_NS), status)


def test_where_times_are_whole_seconds_a_tick_is_longer(file: Path) -> None:
    """As on FAT, where it is two seconds."""
    found = file.stat()
    whole_ns = found.st_mtime_ns // SECOND_NS * SECOND_NS
    status = cast(
        "os.stat_result",
        SimpleNamespace(
            st_size=7, st_mtime_ns=whole_ns, st_ctime_ns=whole_ns, st_ino=1, st_mode=found.st_mode
        ),
    )
    coarse = Known("a", 7, whole_ns, whole_ns, 1, 0, 0, bytes(32))

    assert not is_unchanged(coarse._replace(read_ns=whole_ns + SECOND_NS), status)
    assert is_unchanged(coarse._replace(read_ns=whole_ns + 3 * SECOND_NS), status)


def test_a_write_of_the_same_size_in_the_same_tick_is_found(tmp_path: Path, file: Path) -> None:
    """The race that size and times cannot show: the entry is racy, so the bytes are compared."""
    index = StatIndex(tmp_path / "stat.db")
    place = PLACE.path
    before = file.stat()
    racy = known(file, read_ns=max(before.st_mtime_ns, before.st_ctime_ns))
    file.write_bytes(b"CONTENT")
    now = file.stat()
    index.record(PLACE, [racy._replace(mtime_ns=now.st_mtime_ns, ctime_ns=now.st_ctime_ns)])
    seen = look(file.parent, index.files(place))

    assert seen.changes.changed == ["a"]


def test_a_file_that_was_only_touched_is_read_once(tmp_path: Path, file: Path) -> None:
    """Its bytes are as before; the index learns its times of now."""
    index = StatIndex(tmp_path / "stat.db")
    place = Place(
        path=str(file.parent.resolve()), project="p", name="d", version=1, digest=PLACE.digest, is_file=False
    )
    index.record(place, [known(file)])
    os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    first, second = look_at(index, file.parent), look(file.parent, index.files(place.path))

    assert not first.changes
    assert [each.path for each in first.fresh] == ["a"]
    assert second.unchanged["a"].mtime_ns == LONG_AGO_NS


def test_places_are_remembered_and_forgotten(tmp_path: Path) -> None:
    """By path, with those below a folder; the last writing counts."""
    index = StatIndex(tmp_path / "state" / "stat.db")
    second = Place(
        path="/data/sub",
        project="p",
        name="e",
        version=2,
        digest=PLACE.digest,
        is_file=True,
        empty_folders=("x",),
    )
    for place in (PLACE, second, Place(**{**_fields(PLACE), "path": "/database"})):
        index.record(place, [])
    index.record(Place(**{**_fields(PLACE), "version": 3}), [])

    assert index.place("/data/sub") == second
    assert [(place.path, place.version) for place in index.places_below("/data")] == [
        ("/data", 3),
        ("/data/sub", 2),
    ]
    index.forget("/data/sub")
    assert index.place("/data/sub") is None


def test_a_damaged_index_is_begun_anew(tmp_path: Path, file: Path) -> None:
    """It is a memory only; nothing fails for it."""
    path = tmp_path / "stat.db"
    path.write_bytes(b"this is no database" * 100)
    index = StatIndex(path)

    assert index.place("/data") is None
    index.record(PLACE, [known(file)])
    assert index.place("/data") == PLACE
    assert set(index.files("/data")) == {"a"}


def test_an_index_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    """Until 0.6.0 each file had a row of its own; its places and their files are known as before."""
    path = tmp_path / "stat.db"
    files = [Known(f"f{n:04}", n, 2, 3, n, n % 2, 4, bytes([n % 256]) * 32) for n in range(2345)]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "create table places (pk integer primary key, path text not null unique, project text not null,"
            " name text not null, version integer not null, digest text not null, is_file integer not null,"
            " empty_folders text not null);"
            "create table files (place integer not null, path text not null, size integer not null,"
            " mtime_ns integer not null, ctime_ns integer not null, inode integer not null,"
            " executable integer not null, read_ns integer not null, digest blob not null,"
            " primary key (place, path)) without rowid;"
        )
        row = (7, PLACE.path, "default", "d", 1, PLACE.digest, 0, "")
        connection.execute("insert into places values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.executemany("insert into files values (7, ?, ?, ?, ?, ?, ?, ?, ?)", files)
        connection.commit()
    index = StatIndex(path)

    assert index.place(PLACE.path) == PLACE
    assert index.files(PLACE.path) == {known.path: known for known in files}
    renewed = files[1500]._replace(mtime_ns=9)
    index.refresh(PLACE.path, [renewed, files[3]._replace(mtime_ns=9, digest=b"x" * 32)])
    assert index.files(PLACE.path) == {known.path: known for known in files} | {renewed.path: renewed}


def test_a_row_that_is_half_old_is_not_believed(tmp_path: Path) -> None:
    """Files of a row whose pages do not belong together, as a loss of power leaves them, are read again."""
    path = tmp_path / "stat.db"
    files = [Known(f"f{n:04}", n, 2, 3, n, 0, 4, bytes([n % 256]) * 32) for n in range(1500)]
    index = StatIndex(path)
    index.record(PLACE, files)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (data,) = connection.execute("select files from parts where n = 0").fetchone()
        torn = data.replace(b"\x05" * 32, b"\x06" * 32)
        assert torn != data
        connection.execute("update parts set files = ? where n = 0", (torn,))
        connection.commit()

    assert set(index.files(PLACE.path)) == {known.path for known in files[1000:]}


def test_an_index_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """As on a full or read-only disk."""
    (tmp_path / "file").write_text("")
    index = StatIndex(tmp_path / "file" / "stat.db")
    index.record(PLACE, [])

    assert index.place("/data") is None


def _fields(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in Place.__struct_fields__}
