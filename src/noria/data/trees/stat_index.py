"""What files were when their bytes were read last, so that nobody reads them again to see that nothing changed.

One SQLite file for each workspace and user, beside the workspace's database or, for a server, in the user's state
folder. It is a memory only: lost or damaged, it is begun anew, and files are read again.

A file is taken for unchanged if size, modification time, change time, inode and the right to be run are what they
were, and if it was last changed clearly before its bytes were read: a write in the same tick of the file system's
clock as the reading leaves all of them as they are (git calls such an entry racy). Those are read again.

Plain `sqlite3`, because `noria data status` must not take longer to import than to answer.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from noria.core.leftovers import state_places

if TYPE_CHECKING:
    from noria.core.config import Settings

_FILE: Final = "stat.db"
_BUSY_S: Final = 10.0
_TICK_NS: Final = 100_000_000
"""Longer than a tick of any file system that keeps fractions of a second."""

_COARSE_TICK_NS: Final = 2_100_000_000
"""Of one that keeps whole seconds, or every other one (FAT)."""

_PREFIX: Final = "blake3:"
_SCHEMA: Final = """
create table if not exists places (
    pk integer primary key, path text not null unique, project text not null, name text not null,
    version integer not null, digest text not null, is_file integer not null, empty_folders text not null
);
create table if not exists parts (
    pk integer primary key, place integer not null, n integer not null, checksum integer not null,
    files blob not null, unique (place, n)
);
"""
_PART_FILES: Final = 1000
"""Files in one row, as MessagePack: a row for each of many files takes longer to write than the file itself.

Such a row lies on several pages, of which a loss of power may leave some old and some new: its checksum tells.
"""


class Known(NamedTuple):
    """A file as it was when its bytes were read; `digest` without its prefix, as 32 bytes."""

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    executable: int
    read_ns: int
    digest: bytes

    @property
    def digest_text(self) -> str:
        """The digest as it is written everywhere else."""
        return _PREFIX + self.digest.hex()


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Known])


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder on this machine that was equal to a version when this was written.

    Attributes
    ----------
    path
        Absolute, links resolved.
    version
        0 while it is being added: its files are known then, but the place is not.
    digest
        Of the manifest.
    is_file
        Whether it is a single file.
    """

    path: str
    project: str
    name: str
    version: int
    digest: str
    is_file: bool
    empty_folders: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def know(path: str, status: os.stat_result, digest: str, *, read_ns: int) -> Known:
    """Note what a file was when its bytes were read.

    Parameters
    ----------
    read_ns
        When the reading began, or earlier.
    """
    return Known(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        int(bool(status.st_mode & stat.S_IXUSR)),
        read_ns,
        bytes.fromhex(digest[len(_PREFIX) :]),
    )


def is_unchanged(known: Known, status: os.stat_result) -> bool:
    """Tell whether a file surely still has the bytes, and the right to be run, that it had."""
    # Asked for each of many thousand files: taken apart once, and the rare case looked at last.
    _, size_bytes, mtime_ns, ctime_ns, inode, executable, read_ns, _ = known
    if (
        status.st_mtime_ns != mtime_ns
        or status.st_size != size_bytes
        or status.st_ctime_ns != ctime_ns
        or status.st_ino != inode
        or (status.st_mode & stat.S_IXUSR != 0) != executable
    ):
        return False
    changed_ns = max(ctime_ns, mtime_ns)
    return changed_ns + _COARSE_TICK_NS <= read_ns or not _is_racy(mtime_ns, ctime_ns, read_ns)


def _is_racy(mtime_ns: int, ctime_ns: int, read_ns: int) -> bool:
    is_coarse = not mtime_ns % 1_000_000_000 and not ctime_ns % 1_000_000_000
    return max(mtime_ns, ctime_ns) + (_COARSE_TICK_NS if is_coarse else _TICK_NS) > read_ns


def now_ns() -> int:
    """Give the time that `read_ns` is in: the one that the file system's times are in."""
    return time.time_ns()


class StatIndex:
    """The places of a workspace on this machine, and their files.

    Parameters
    ----------
    file
        Made at the first writing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, settings: Settings) -> StatIndex:
        """Give the index of the workspace that the settings name."""
        return cls(state_places(settings)[0] / _FILE)

    def place(self, path: str) -> Place | None:
        """Give what is known of a place; None if it was never added or checked out."""
        found = self._read("select * from places where path = ? and version > 0", (path,))
        return _place(found[0]) if found else None

    def places_below(self, folder: str) -> list[Place]:
        """List the places at and below a folder, in the order of their paths."""
        begin = folder.rstrip("/") + "/"
        rows = self._read(
            "select * from places where version > 0 and (path = ? or substr(path, 1, ?) = ?) order by path",
            (folder, len(begin), begin),
        )
        return [_place(row) for row in rows]

    def files(self, path: str) -> dict[str, Known]:
        """Give the files of a place by their paths in it, as they were when the place was written."""
        query = (
            "select checksum, files from parts f join places p on p.pk = f.place where p.path = ? order by n"
        )
        return {known.path: known for row in self._read(query, (path,)) for known in _part(*row)}

    def record(self, place: Place, files: Iterable[Known]) -> None:
        """Write what a place is now. A disk that is full or cannot be written is no reason to fail."""
        with contextlib.suppress(OSError, sqlite3.Error), self._writing() as connection:
            values = (
                place.project,
                place.name,
                place.version,
                place.digest,
                place.is_file,
                "\0".join(place.empty_folders),
            )
            key = connection.execute(
                "insert into places (path, project, name, version, digest, is_file, empty_folders)"
                " values (?, ?, ?, ?, ?, ?, ?) on conflict (path) do update set project = excluded.project,"
                " name = excluded.name, version = excluded.version, digest = excluded.digest,"
                " is_file = excluded.is_file, empty_folders = excluded.empty_folders returning pk",
                (place.path, *values),
            ).fetchone()[0]
            connection.execute("delete from parts where place = ?", (key,))
            _put_parts(connection, key, files)

    def settle(self, path: str, *, project: str, name: str, version: int) -> None:
        """Say which version a place is equal to that was written as version 0, before that was known."""
        with contextlib.suppress(OSError, sqlite3.Error), self._writing() as connection:
            connection.execute(
                "update places set project = ?, name = ?, version = ? where path = ? and version = 0",
                (project, name, version, path),
            )

    def refresh(self, path: str, files: list[Known]) -> None:
        """Write the times of files of a place that were read again and found to be as they were."""
        now = {each.path: each for each in files}
        with (
            contextlib.suppress(OSError, sqlite3.Error),
            self._writing() as connection,
        ):
            query = (
                "select f.pk, checksum, files from parts f join places p on p.pk = f.place where p.path = ?"
            )
            for key, checksum, data in connection.execute(query, (path,)).fetchall():
                known = _part(checksum, data)
                renewed = [_renewed(each, now.get(each.path)) for each in known]
                if renewed != known:
                    fresh = _ENCODER.encode(renewed)
                    connection.execute(
                        "update parts set checksum = ?, files = ? where pk = ?",
                        (zlib.crc32(fresh), fresh, key),
                    )

    def forget(self, path: str) -> None:
        """Know nothing more of a place."""
        with contextlib.suppress(OSError, sqlite3.Error), self._writing() as connection:
            connection.execute(
                "delete from parts where place in (select pk from places where path = ?)", (path,)
            )
            connection.execute("delete from places where path = ?", (path,))

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if not self._file.exists():
            return []
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=_BUSY_S)) as connection:
                return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return self._read_anew(query, values)
        except sqlite3.Error:
            return []

    def _read_anew(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Read an index that may be of an earlier version."""
        with contextlib.suppress(OSError, sqlite3.Error), contextlib.closing(self._opened()) as connection:
            return connection.execute(query, values).fetchall()
        return []

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            connection = self._opened()
        except sqlite3.DatabaseError:
            # Not a database, or a damaged one: it is begun anew.
            for suffix in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
            connection = self._opened()
        with contextlib.closing(connection):
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("pragma journal_mode = wal")
            # After a loss of power it may be damaged, and is begun anew.
            connection.execute("pragma synchronous = off")
            if not connection.execute("select 1 from sqlite_master where name = 'parts'").fetchall():
                connection.executescript(_SCHEMA)
                _take_over(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _put_parts(connection: sqlite3.Connection, place: int, files: Iterable[Known]) -> None:
    rest = iter(files)
    for n in itertools.count():
        part = list(itertools.islice(rest, _PART_FILES))
        if not part:
            return
        data = _ENCODER.encode(part)
        connection.execute(
            "insert into parts (place, n, checksum, files) values (?, ?, ?, ?)",
            (place, n, zlib.crc32(data), data),
        )


def _part(checksum: int, data: bytes) -> list[Known]:
    """Give the files of a row; none where it is damaged, so that they are read again."""
    if zlib.crc32(data) != checksum:
        return []
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError:
        return []


def _renewed(known: Known, now: Known | None) -> Known:
    return now if now is not None and now.digest == known.digest else known


def _take_over(connection: sqlite3.Connection) -> None:
    """Bring the files of an index that was made before 0.7.0, with a row for each."""
    connection.execute("begin immediate")
    if connection.execute("select 1 from sqlite_master where name = 'files'").fetchall():
        columns = "path, size, mtime_ns, ctime_ns, inode, executable, read_ns, digest"
        for (place,) in connection.execute("select pk from places").fetchall():
            rows = connection.execute(f"select {columns} from files where place = ?", (place,))  # noqa: S608 - no input
            _put_parts(connection, place, map(Known._make, rows))
        connection.execute("drop table files")
    connection.execute("commit")


def _place(row: tuple[Any, ...]) -> Place:
    _, path, project, name, version, digest, is_file, empty = row
    return Place(
        path=path,
        project=project,
        name=name,
        version=version,
        digest=digest,
        is_file=bool(is_file),
        empty_folders=tuple(empty.split("\0")) if empty else (),
    )
