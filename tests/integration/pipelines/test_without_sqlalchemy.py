"""A run of a pipeline in a folder needs no SQLAlchemy, and keeps what the services would have kept with it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import sqlalchemy as sa

from noria.core.database.engine import Database
from noria.core.database.migrate import upgrade
from noria.core.database.prepared import FILE
from noria.core.database.schema import Converters
from noria.core.database.sqlite import around, driver_of
from noria.core.workspace import InProcess, open_workspace
from noria.pipelines.service import PipelineRuns
from noria.pipelines.tables import pipeline_runs
from noria.tracking.tables import runs
from support.conformance import workspace_settings

FLOW = """
import time
import noria
from noria import pipeline, step


@step
def start(n: int) -> int:
    noria.log({"n": n})
    return n


@step
def add(n: int, seconds: float) -> int:
    time.sleep(seconds)
    return n + 1


@step
def fail(n: int) -> int:
    raise ValueError("as wanted")


@pipeline
def study(n: int = 1, seconds: float = 0.0) -> int:
    return add(start(n), seconds)


@pipeline
def failing(n: int = 1) -> int:
    return fail(add(start(n), 0.0))
"""
PROGRAM = """
import json, sys
from noria.cli.main import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""
Run = Callable[..., tuple[int, set[str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a project of one module, whose workspace was never opened."""
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "noria.toml").touch()
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run `noria` in a process of its own, and give its exit code and what it imported."""

    def answer(*arguments: str) -> tuple[int, set[str]]:
        command = [sys.executable, "-c", PROGRAM, *arguments, "-w", str(folder / "kept")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
        told: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
        return told["code"], {name.partition(".")[0] for name in told["modules"]}

    return answer


def test_no_run_in_a_folder_imports_sqlalchemy(run: Run, folder: Path) -> None:
    """In a new workspace, unchanged, with other values, forced, in processes, beyond a lease's renewal, and failing."""
    for expected, arguments in (
        (0, ["flow:study"]),
        (0, ["flow:study"]),
        (0, ["flow:study", "-p", "n=2", "--explain"]),
        (0, ["flow:study", "--force"]),
        (0, ["flow:study", "--from", "add", "--workers", "2"]),
        (0, ["flow:study", "-p", "n=3", "-p", "seconds=4.5"]),
        (1, ["flow:failing"]),
        (2, ["flow:study", "-p", "n=x"]),
    ):
        code, imported = run("run", *arguments)
        assert code == expected, arguments
        assert not {"sqlalchemy", "alembic"} & imported, arguments

    with open_workspace(workspace_settings(folder / "kept")) as workspace:
        recorded = workspace.service(PipelineRuns).list("default").items
        steps = workspace.service(PipelineRuns).steps("default", recorded[-2].run_id).items
    assert [str(one.status) for one in recorded] == ["failed", *["finished"] * 6]
    assert [str(one.status) for one in steps] == ["reused", "reused"]


def test_runs_may_begin_at_once_in_a_new_folder(folder: Path) -> None:
    """One process makes the database, each waits for the others' writes, and none loses a run."""
    command = [sys.executable, "-c", PROGRAM, "run", "flow:study", "-w", str(folder / "kept"), "-p"]
    started = [
        subprocess.Popen([*command, f"n={n}"], cwd=folder, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    told = [one.communicate(timeout=120)[1] for one in started]

    assert [json.loads(text.splitlines()[-1])["code"] for text in told] == [0] * 4, told
    with open_workspace(workspace_settings(folder / "kept")) as workspace:
        recorded = workspace.service(PipelineRuns).list("default").items
    assert [str(one.status) for one in recorded] == ["finished"] * 4


def test_an_old_schema_is_noticed_and_migrated(run: Run, folder: Path) -> None:
    """SQLAlchemy comes for that, once; a copy of what was there lies beside it."""
    (folder / "kept").mkdir()
    old = Database(workspace_settings(folder / "kept").database_url)
    upgrade(old, "access_0001")
    old.dispose()

    first, for_migration = run("run", "flow:study")
    second, afterwards = run("run", "flow:study")

    assert (first, second) == (0, 0)
    assert {"sqlalchemy", "alembic"} <= for_migration
    assert not {"sqlalchemy", "alembic"} & afterwards
    assert len(list((folder / "kept").glob("noria.db.before-*"))) == 1


def converting() -> list[tuple[str, Converters]]:
    """Give every group of columns whose values convert outside of SQLAlchemy."""
    modules = {name.partition(":")[0] for name in json.loads(FILE.read_text())}
    found: list[tuple[ModuleType, str, object]] = [
        (module, name, value)
        for module in map(importlib.import_module, sorted(modules))
        for name, value in vars(module).items()
    ]
    return [(f"{module.__name__}:{name}", one) for module, name, one in found if isinstance(one, Converters)]


@pytest.mark.parametrize(
    ("name", "values"), converting(), ids=lambda one: one if isinstance(one, str) else ""
)
def test_values_convert_as_sqlalchemy_converts_them(
    run: Run, folder: Path, name: str, values: Converters
) -> None:
    """What the driver has is read alike by both, and is what is written for it."""
    run("run", "flow:study")
    run("run", "flow:failing")
    query = sa.select(*values.columns)
    if len({column.table for column in values.columns}) > 1:
        query = query.where(runs.c.id == pipeline_runs.c.run_id)
    with open_workspace(workspace_settings(folder / "kept")) as workspace:
        database = cast("InProcess", workspace.backend).context.database
        with database.read() as connection:
            text = str(query.compile(dialect=around(connection).dialect))
            rows = driver_of(connection).execute(text).fetchall()
            theirs = [dict(row) for row in connection.execute(query).mappings()]

    ours = [values.from_driver(row) for row in rows]
    assert ours, name
    assert ours == theirs
    assert [tuple(values.to_driver(row).values()) for row in ours] == rows
