"""Statements that short commands run as they were compiled beforehand."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from noria.core.database.engine import Database
from noria.core.database.new_database import make_new
from noria.core.database.prepared import FILE, Compiled
from noria.core.database.revisions import heads

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_statements.py"
KNOWN = msgspec.json.decode(FILE.read_bytes(), type=dict[str, Compiled])


def test_the_file_holds_what_sqlalchemy_compiles_now() -> None:
    """Text, values and constants of each statement that a function builds; no other, and none is missing."""
    done = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False, timeout=170
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(KNOWN) > 50


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Give a connection of the driver's to a new database."""
    path = tmp_path_factory.mktemp("new") / "noria.db"
    database = Database(f"sqlite:///{path}")
    make_new(database, heads=heads())
    database.dispose()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_the_driver_alone_takes_each_of_them(new: sqlite3.Connection, name: str) -> None:
    """SQLite knows its tables, columns and functions, and it has as many values as places."""
    text, order, constants = KNOWN[name]

    assert set(constants) <= set(order)
    assert new.execute(f"explain {text}", [constants.get(value, 1) for value in order]).fetchall()
