"""The short way to add a path, held against what the services write."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from noria.core.config import Settings, load_settings
from noria.core.errors import Invalid
from noria.core.workspace import open_workspace
from noria.data.client import dataset
from noria.data.service import Datasets
from noria.data.trees.here import add_here, store_here
from noria.data.version_writes import Added

Add = Callable[[Settings, str, Path], None]


def by_services(settings: Settings, name: str, path: Path) -> None:
    """Add as the SDK does."""
    with open_workspace(settings) as workspace:
        dataset(name, workspace=workspace).add(path, message="said")


def by_short_way(settings: Settings, name: str, path: Path) -> None:
    """Add without the services; fails where that is no way."""
    assert added(settings, name, path) is not None


def added(settings: Settings, name: str, path: Path) -> Added | None:
    stored = store_here(settings, path)
    return None if stored is None else add_here(settings, name, stored, message="said")


def remove_newest(settings: Settings, name: str) -> None:
    with open_workspace(settings) as workspace:
        datasets = workspace.service(Datasets)
        latest = datasets.get(workspace.project, name).latest
        datasets.remove_version(workspace.project, name, latest)


def everything(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Give all rows of all tables, with ids and moments made alike, and what the stat index holds."""
    found = {}
    for file in ("noria.db", "stat.db"):
        connection = sqlite3.connect(settings.folder / file)
        tables = connection.execute("select name from sqlite_master where type = 'table' order by name")
        for (table,) in tables.fetchall():
            rows = connection.execute(f'select * from "{table}"').fetchall()  # noqa: S608 - a name of the schema
            if table == "parts":
                rows = [(*row[1:3], *known) for row in rows for known in msgspec.msgpack.decode(row[4])]
            found[f"{file}/{table}"] = sorted(tuple(map(alike, row)) for row in rows)
        connection.close()
    return found


def alike(value: Any) -> str:
    text = re.sub(r"\b[0-9a-f]{32}\b", "ID", repr(value))
    return "MOMENT" if isinstance(value, int) and value > 1_500_000_000_000_000 else text


def history(settings: Settings, data: Path, add: Add) -> None:
    """Go through what can happen to a folder."""
    data.mkdir()
    (data / "a").write_text("a")
    (data / "same").write_text("a")
    (data / "below").mkdir()
    (data / "empty").mkdir()
    (data / "below" / "b").write_text("b")
    (data / "below" / "b").chmod(0o755)
    add(settings, "one", data)
    add(settings, "one", data)
    (data / "a").write_text("changed")
    add(settings, "one", data)
    (data / "below" / "b").unlink()
    (data / "c").write_text("c")
    add(settings, "one", data)
    add(settings, "two", data)
    remove_newest(settings, "one")
    add(settings, "one", data)
    (data / "single").write_text("x" * 2_000_000)
    add(settings, "three", data / "single")


def test_the_short_way_writes_what_the_services_write(tmp_path: Path) -> None:
    """Every row of every table is the same, whatever happened to the folder before."""
    made = {}
    for way in (by_services, by_short_way):
        settings = load_settings(workspace=str(tmp_path / "w"))
        open_workspace(settings).close()
        history(settings, tmp_path / "data", way)
        made[way] = everything(settings)
        (tmp_path / "w").rename(tmp_path / f"w-{way.__name__}")
        (tmp_path / "data").rename(tmp_path / f"data-{way.__name__}")

    assert made[by_short_way].keys() == made[by_services].keys()
    for table, rows in made[by_services].items():
        # Times and inodes differ between two folders.
        part = (lambda row: row[:4] + row[-1:]) if table == "stat.db/parts" else (lambda row: row)
        assert list(map(part, made[by_short_way][table])) == list(map(part, rows)), table
    assert len(made[by_services]["noria.db/dataset_versions"]) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "insert into alembic_version values ('data_9999')",
        "delete from alembic_version where version_num like 'data%'",
        "update projects set name = 'other'",
        "drop table object_trees",
    ],
)
def test_a_database_that_is_not_as_usual_is_left_to_the_services(tmp_path: Path, statement: str) -> None:
    """Of another version, without the project, damaged: nothing is written."""
    settings = load_settings(workspace=str(tmp_path / "w"))
    open_workspace(settings).close()
    (tmp_path / "data").write_text("a")
    stored = store_here(settings, tmp_path / "data")
    connection = sqlite3.connect(settings.folder / "noria.db", isolation_level=None)
    connection.execute(statement)
    before = list(connection.iterdump())

    assert stored is not None
    assert add_here(settings, "data", stored, message="") is None
    assert list(connection.iterdump()) == before
    connection.close()


def test_what_is_stored_as_something_else_goes_another_way(tmp_path: Path) -> None:
    """Arrays and tables, a workspace that is not there yet, one with something to send, a path that is not there."""
    settings = load_settings(workspace=str(tmp_path / "w"))
    (tmp_path / "data").mkdir()
    (tmp_path / "table.csv").write_text("a\n1\n")
    before = store_here(settings, tmp_path / "data")
    open_workspace(settings).close()

    assert before is None
    assert store_here(settings, tmp_path / "table.csv") is None
    assert store_here(settings, tmp_path / "nothing") is None
    (settings.folder / "spool" / "run").mkdir(parents=True)
    assert store_here(settings, tmp_path / "data") is None


def test_a_name_that_none_can_have_is_refused(tmp_path: Path) -> None:
    """As by the service, in its words."""
    settings = load_settings(workspace=str(tmp_path / "w"))
    open_workspace(settings).close()
    (tmp_path / "data").write_text("a")

    with pytest.raises(Invalid, match="cannot be the name of a dataset"):
        by_short_way(settings, "../x", tmp_path / "data")


def test_add_imports_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    """To import them would take longer than to store ten thousand files."""
    settings = load_settings(workspace=str(tmp_path / "w"))
    open_workspace(settings).close()
    (tmp_path / "data").write_text("a")
    program = (
        "import sys; from noria.cli.main import main; main(['data', 'add', 'data', '-w', 'w', '--json']);"
        "print(sorted({'sqlalchemy', 'httpx', 'polars', 'numpy', 'pydantic', 'rich', 'socket'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )

    assert '"version":1' in done.stdout
    assert done.stdout.endswith("\n[]\n")
