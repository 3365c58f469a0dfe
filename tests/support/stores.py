"""What tests do to a local object store behind its back, by what its documentation says about its files."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """Where the first stored byte of an object lies."""

    path: Path
    offset: int


@contextlib.contextmanager
def index_of(root: Path) -> Iterator[sqlite3.Connection]:
    """Open the index of a store."""
    with contextlib.closing(
        sqlite3.connect(root / "index.db", timeout=30, isolation_level=None)
    ) as connection:
        yield connection


def n_transactions(root: Path) -> int:
    """Count the transactions that were written to the index of an open store since its log was begun.

    A frame of SQLite's write-ahead log that ends a transaction tells the size of the database after it; frames with
    other salts than the log's head are left of an earlier log (https://www.sqlite.org/fileformat2.html#walformat).
    """
    log = (root / "index.db-wal").read_bytes()
    if not log:
        return 0
    page_bytes, salts = struct.unpack_from(">I", log, 8)[0], log[16:24]
    frames = (log[begin : begin + 24] for begin in range(32, len(log) - 24, 24 + page_bytes))
    return sum(frame[8:16] == salts and frame[4:8] != bytes(4) for frame in frames)


def loose_path(root: Path, digest: str) -> Path:
    """Give the place of an object that is a file of its own."""
    name = digest.removeprefix("blake3:")
    return root / "objects" / name[:2] / name[2:]


def place_of(root: Path, digest: str) -> Place:
    """Find an object that has at least one byte."""
    if loose_path(root, digest).exists():
        return Place(loose_path(root, digest), 0)
    key = bytes.fromhex(digest.removeprefix("blake3:"))
    with index_of(root) as connection:
        [(recipe,)] = connection.execute("SELECT recipe FROM objects WHERE digest = ?", (key,)).fetchall()
        first = struct.unpack_from("<32sI", recipe)[0] if recipe else key
        [(pack, offset)] = connection.execute(
            "SELECT p.id, c.offset FROM chunks c JOIN packs p ON p.n = c.pack WHERE c.digest = ?", (first,)
        ).fetchall()
    return Place(root / "packs" / pack.hex()[:2] / f"{pack.hex()}.pack", offset)


def flip_first_byte(root: Path, digest: str) -> None:
    """Change the first stored byte of an object."""
    path, offset = place_of(root, digest)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def make_old(root: Path) -> None:
    """Have everything in a store look as if it had been put in 1970."""
    for path in (root / "objects").glob("*/*"):
        os.utime(path, (0, 0))
    if (root / "index.db").exists():
        with index_of(root) as connection:
            connection.execute("UPDATE objects SET put_at = 0")
            connection.execute("UPDATE packs SET put_at = 0")
