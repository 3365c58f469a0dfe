"""The index of a store's packs: a SQLite file that says where each chunk lies and which objects are there.

It holds nothing that the packs do not tell, but for the time at which each object was put last. So it may be lost or
damaged: it is then made anew, with every object as young as if it had just been put. A pack that it does not know,
because the process that published the pack died, is read in when the index is opened next.

An object in the index is complete: all chunks of its recipe are in the index too. Objects of which a pack tells
before the other packs have come wait in a table of their own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from blake3 import blake3

from noria.core.errors import Unavailable
from noria.core.objects.chunks import ChunkDamaged, Codec
from noria.core.objects.disk import storage_errors
from noria.core.objects.index_writing import Located, NewPack, Writing
from noria.core.objects.layout import Layout, listing
from noria.core.objects.packs import (
    Footer,
    PackDamaged,
    PackedObject,
    pack_path,
    read_footer,
)

_FORMAT: Final = 1
_ASKED_AT_ONCE: Final = 256
_ASKED_NUMBERS: Final = (1, 32, 128, _ASKED_AT_ONCE)
_PATIENCE_S: Final = 60.0

_SCHEMA: Final = """
CREATE TABLE packs (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, size_bytes INTEGER NOT NULL,
    put_at INTEGER NOT NULL);
CREATE TABLE chunks (digest BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, stored INTEGER NOT NULL,
    length INTEGER NOT NULL, codec INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX chunks_by_pack ON chunks (pack);
CREATE TABLE objects (digest BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, recipe BLOB NOT NULL,
    pack INTEGER NOT NULL, put_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX objects_by_pack ON objects (pack);
CREATE TABLE waiting (digest BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, recipe BLOB NOT NULL,
    pack INTEGER NOT NULL) WITHOUT ROWID;
"""
_WHERE: Final = (
    "SELECT c.digest, p.id, c.offset, c.stored, c.length, c.codec FROM chunks c JOIN packs p ON p.n = c.pack"
    " WHERE c.digest"
)

_Result = TypeVar("_Result")


class Index:
    """The index of a store. For any number of threads and processes.

    Parameters
    ----------
    layout
        Where the store is.
    now_ns
        Tells the time by the store's clock.
    kept
        False to make the index anew in memory: of a folder that is only read from, and left as it is. So it is where
        nothing can be written.
    """

    def __init__(self, layout: Layout, now_ns: Callable[[], int], *, kept: bool = True) -> None:
        self._layout = layout
        self._now_ns = now_ns
        self._kept = kept
        self._mutex = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] = (0, 0)  # process and inode
        self._is_damaged = False
        self._inherited: list[sqlite3.Connection] = []

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:
        # Bound beforehand: when the interpreter ends, modules may be gone before the last index is.
        if self._connection is not None and self._opened[0] == getpid():
            self._connection.close()

    def exists(self) -> bool:
        """Tell whether there is anything to know."""
        return self._connection is not None or self._layout.index.exists() or self._layout.packs.exists()

    def locate(self, digests: Sequence[bytes]) -> dict[bytes, Located]:
        """Find chunks."""
        return {row[0]: Located(*row[1:]) for row in self._rows_in(f"{_WHERE} IN", digests)}

    def find(self, digests: Sequence[bytes]) -> dict[bytes, PackedObject]:
        """Find objects."""
        sql = "SELECT digest, size_bytes, recipe FROM objects WHERE digest IN"
        return {row[0]: PackedObject(*row) for row in self._rows_in(sql, digests)}

    def find_single(self, digests: Sequence[bytes]) -> dict[bytes, Located]:
        """Find objects that are one chunk, with the place of that."""
        sql = (
            "SELECT o.digest, p.id, c.offset, c.stored, c.length, c.codec FROM objects o"
            " JOIN chunks c ON c.digest = o.digest JOIN packs p ON p.n = c.pack"
            " WHERE o.recipe = x'' AND o.digest IN"
        )
        return {row[0]: Located(*row[1:]) for row in self._rows_in(sql, digests)}

    def weigh_single(self, digests: Sequence[bytes]) -> list[tuple[bytes, int, int, int]]:
        """Find objects that are one chunk: the pack of that, its bytes there, and the pack that lists the object."""
        sql = (
            "SELECT o.digest, c.pack, c.stored, o.pack FROM objects o JOIN chunks c ON c.digest = o.digest"
            " WHERE o.recipe = x'' AND o.digest IN"
        )
        return self._rows_in(sql, digests)

    def weigh(self, digests: Sequence[bytes]) -> list[tuple[bytes, int, int]]:
        """Find chunks: the pack of each, and its bytes there."""
        return self._rows_in("SELECT digest, pack, stored FROM chunks WHERE digest IN", digests)

    def listed(self, digests: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """Find objects: the pack that lists each."""
        return self._rows_in("SELECT digest, pack FROM objects WHERE digest IN", digests)

    def present(self, digests: Sequence[bytes]) -> set[bytes]:
        """Tell which objects are there."""
        return {row[0] for row in self._rows_in("SELECT digest FROM objects WHERE digest IN", digests)}

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read rows."""
        if not self.exists():
            return []
        return self._healing(lambda connection: connection.execute(sql, values).fetchall())

    def _rows_in(self, sql: str, digests: Sequence[bytes]) -> list[tuple[Any, ...]]:
        if not digests or not self.exists():
            return []

        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            found = []
            for begin in range(0, len(digests), _ASKED_AT_ONCE):
                part = list(digests[begin : begin + _ASKED_AT_ONCE])
                # Few different statements, so that each is parsed once.
                n_places = next(n for n in _ASKED_NUMBERS if n >= len(part))
                part += part[-1:] * (n_places - len(part))
                found += connection.execute(f"{sql} ({','.join('?' * n_places)})", part).fetchall()
            return found

        return self._healing(read)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """Begin to write: whoever else does waits until this ends, and nothing of it stays if it raises.

        The index must be open, see `ready`: opening it may take the store's lock, which the caller holds.
        """
        with self._mutex, self._errors():
            connection = self._connection
            assert connection is not None  # noqa: S101 - `ready` was called before
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                if _shows_damage(error):
                    self._is_damaged = True  # and whoever tries again finds it made anew
                elif connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def looking(self) -> Iterator[Writing]:
        """Read several times as if at one moment, with tables of one's own to write to; nobody waits for this."""
        with self._mutex, self._errors():
            connection = self._open()
            connection.execute("BEGIN DEFERRED")
            try:
                yield Writing(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextlib.contextmanager
    def locked(self, *, alone: bool = False) -> Iterator[None]:
        """Hold the store's lock, with the index open that is the store's now."""
        # The mutex first, always: a thread that waits for the lock may hold it already, to open the index.
        with self._mutex, contextlib.ExitStack() as held:
            while True:
                self.ready()
                with storage_errors(self._layout.root):
                    held.enter_context(self._layout.lock.exclusive() if alone else self._layout.lock.shared())
                if self._is_current():
                    break
                held.close()
            yield

    def ready(self) -> None:
        """Open the index, and make it if need be; not to be called while holding the store's lock."""
        self._healing(lambda connection: connection.execute("SELECT 1 FROM packs LIMIT 1").fetchall())

    def _healing(self, read: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Read, and if the index turns out to be damaged, make it anew and read again."""
        with self._mutex, self._errors():
            try:
                return read(self._open())
            except sqlite3.DatabaseError as error:
                if not _shows_damage(error):
                    raise
                self._is_damaged = True
                return read(self._open())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with storage_errors(self._layout.root):
                yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                with storage_errors(self._layout.root):
                    raise OSError(28, "No space left on device", str(self._layout.index)) from error
            raise Unavailable(
                f"The index `{self._layout.index}` cannot be used: {error}",
                hint=f"See that `{self._layout.root}` is readable and writable for this user",
            ) from error

    def _is_current(self) -> bool:
        if self._connection is None or self._opened[0] != os.getpid():
            return False
        if not self._kept:
            return True
        try:
            return self._layout.index.stat().st_ino == self._opened[1]
        except FileNotFoundError:
            return False

    def _open(self) -> sqlite3.Connection:
        if self._is_damaged:
            self._let_go()
            self._remake(damaged=True)
            self._is_damaged = False
        if not self._is_current():
            self._let_go()
            # Where nothing can be written, not even a lock can be taken; and nothing changes meanwhile.
            self._kept = self._kept and os.access(self._layout.root, os.W_OK)
            if not self._kept:
                self._connection = self._made_in_memory()
                return self._connection
            if not self._layout.index.exists():
                self._remake(damaged=False)
            self._opened = (os.getpid(), self._layout.index.stat().st_ino)
            if not _looks_right(self._layout.index):
                raise sqlite3.DatabaseError("this is no index")
            self._connection = self._connect(self._layout.index)
            if self._connection.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
                raise sqlite3.DatabaseError("the index has another form")
            self._read_in_unknown()
        assert self._connection is not None  # noqa: S101
        return self._connection

    def _let_go(self) -> None:
        if self._connection is not None:
            if self._opened[0] == os.getpid():
                self._connection.close()
            else:
                # Closed here, a connection of the parent would take the parent's locks away.
                self._inherited.append(self._connection)
        self._connection = None

    def _connect(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
        # Full: that an object was put again must be on disk too, or a collection takes it for forgotten.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _made_in_memory(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._opened = (os.getpid(), 0)
        connection.executescript(f"BEGIN; {_SCHEMA}")
        self._read_in(connection, self._pack_files())
        connection.execute("COMMIT")
        return connection

    def _remake(self, *, damaged: bool) -> None:
        """Make the index out of the packs, unless somebody else just did."""
        self._layout.prepare()
        before = self._opened[1]
        with self._layout.lock.exclusive():
            place = self._layout.index
            if place.exists() and not (damaged and place.stat().st_ino == before):
                return
            for suffix in ("", "-wal", "-shm"):
                place.with_name(place.name + suffix).unlink(missing_ok=True)
            draft = self._layout.temporary / f"index-{os.getpid()}-{threading.get_ident()}"
            draft.unlink(missing_ok=True)
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.executescript(
                    f"PRAGMA synchronous = OFF; BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT};"
                )
                self._read_in(connection, self._pack_files())
                connection.execute("COMMIT")
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.replace(place)

    def _read_in_unknown(self) -> None:
        """Read in the packs that the index does not know."""
        connection = self._connection
        assert connection is not None  # noqa: S101
        known = {row[0] for row in connection.execute("SELECT id FROM packs")}
        unknown = {pack_id: path for pack_id, path in self._pack_files().items() if pack_id not in known}
        if not unknown:
            return
        with self._layout.lock.shared():  # else a collector may be about to remove what it forgot just now
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._read_in(connection, unknown)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _pack_files(self) -> dict[bytes, Path]:
        found = {}
        for folder in listing(self._layout.packs):
            for path in listing(folder) if folder.is_dir() else []:
                with contextlib.suppress(ValueError):
                    pack_id = bytes.fromhex(path.stem)
                    if path == pack_path(self._layout.packs, pack_id):
                        found[pack_id] = path
        return found

    def _read_in(self, connection: sqlite3.Connection, packs: dict[bytes, Path]) -> None:
        writing, now_ns = Writing(connection), self._now_ns()
        for pack_id, path in packs.items():
            with contextlib.suppress(PackDamaged, FileNotFoundError):
                footer, size_bytes = _contents(path, pack_id)
                # Of two copies one was mostly written because the other is damaged, and nothing else tells which.
                chunks = [chunk for chunk in footer.chunks if not self._has_whole(writing, chunk.digest)]
                writing.add([NewPack(pack_id, size_bytes, chunks, footer.objects)], now_ns=now_ns)
        writing.take_waiting(now_ns=now_ns)

    def _has_whole(self, writing: Writing, digest: bytes) -> bool:
        """Tell whether a chunk is known from another pack, and whole there."""
        rows = writing.rows(f"{_WHERE} = ?", (digest,))
        return any(is_whole(self._layout, digest, Located(*row[1:])) for row in rows)


def _shows_damage(error: BaseException) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _looks_right(path: Path) -> bool:
    """Tell whether a file begins as an index: SQLite would wait for ever to make one out of an empty file in use."""
    with path.open("rb") as file:
        head = file.read(20)
    return head.startswith(b"SQLite format 3\0") and head[18:] == b"\2\2"


def is_whole(layout: Layout, digest: bytes, place: Located) -> bool:
    """Tell whether a chunk can be read at its place."""
    try:
        fd = os.open(pack_path(layout.packs, place.pack), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        stored = os.pread(fd, place.stored, place.offset)
        return blake3(Codec().decode(place.codec, stored, place.length)).digest() == digest
    except ChunkDamaged:
        return False
    finally:
        os.close(fd)


def _contents(path: Path, pack_id: bytes) -> tuple[Footer, int]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _, footer = read_footer(fd, place=str(path), expected=pack_id)
        return footer, os.fstat(fd).st_size
    finally:
        os.close(fd)
