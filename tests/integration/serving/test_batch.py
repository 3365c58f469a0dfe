"""Batch prediction: every input and sink, one output row for each input row, whatever is killed."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

import noria
from noria.core.errors import Conflict, Invalid, NoriaError, NotFound, Unavailable
from noria.core.workspace import Workspace
from noria.registry.client import register
from noria.serving.batch.client import predict
from noria.serving.batch.entities import BatchStatus
from noria.serving.batch.service import Batches
from noria.serving.batch.sinks.postgres import PostgresSink
from noria.serving.batch.sinks.table import TableSink
from noria.serving.batch.stage import stage_root
from support.model_server import open_folder
from support.postgres import PostgresServer
from support.processes import Processes

CHILD = Path(__file__).with_name("batch_child.py")
N_ROWS = 2_000
COLUMNS = ["f0", "f1", "f2", "f3"]
SCHEMA = {"row": pl.Int64, "id": pl.String, "prediction": pl.Boolean, "model_version": pl.Int32}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace with a forest of matrices and a line of named columns, and `customers` as a table."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=(300, 4))
    with open_folder(tmp_path_factory.mktemp("batch")) as opened:
        forest = RandomForestClassifier(5, random_state=0).fit(x, x[:, 0] > 0)
        register(forest, "points", x=x, y=x[:, 0] > 0, workspace=opened)
        named = {"age": np.arange(20.0), "size": np.arange(20.0)[::-1]}
        line = LinearRegression().fit(pl.DataFrame(named).to_numpy(), np.arange(20.0) * 3)
        register(line, "line", x=named, y=np.arange(20.0) * 3, workspace=opened)
        noria.dataset("customers", workspace=opened).append(rows(generator))
        yield opened


def rows(generator: np.random.Generator) -> pl.DataFrame:
    """Give input rows whose ids are no row numbers."""
    numbers = {name: generator.normal(size=N_ROWS) for name in COLUMNS}
    return pl.DataFrame({"id": [f"c{n}" for n in range(N_ROWS)], **numbers})


@pytest.fixture(scope="module")
def frame(workspace: Workspace) -> pl.DataFrame:
    """Give the rows of `customers`."""
    return noria.dataset("customers", workspace=workspace).polars()


@pytest.fixture(scope="module")
def expected(workspace: Workspace, frame: pl.DataFrame) -> pl.DataFrame:
    """Give what the version's own library predicts of all rows at once, which is what every sink must hold."""
    labels = noria.model("points", workspace=workspace).predict(frame.select(COLUMNS).to_numpy())
    return pl.DataFrame(
        {
            "row": np.arange(N_ROWS),
            "id": frame["id"],
            "prediction": labels,
            "model_version": np.full(N_ROWS, 1, dtype=np.int32),
        }
    )


def test_every_kind_of_input_gives_one_output_row_for_each(
    workspace: Workspace, frame: pl.DataFrame, expected: pl.DataFrame, tmp_path: Path
) -> None:
    """Files, a table, and a query, in one process and in two, through chunks that do not divide the rows."""
    frame.write_parquet(tmp_path / "in.parquet", row_group_size=300)
    frame.write_csv(tmp_path / "in.csv")
    frame.write_json(tmp_path / "in.json")
    frame.write_ndjson(tmp_path / "in.ndjson")
    frame.write_ipc(tmp_path / "in.arrow")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(f"create table shop (id text, {', '.join(f'{c} real' for c in COLUMNS)})")
        connection.executemany("insert into shop values (?, ?, ?, ?, ?)", frame.rows())
    connection.close()
    inputs = [str(tmp_path / f"in.{kind}") for kind in ("parquet", "csv", "json", "ndjson", "arrow")]
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    for number, source in enumerate(
        [*inputs, "customers", "customers@1", "select * from shop order by rowid"]
    ):
        out = tmp_path / f"out{number}.parquet"
        run = predict(
            "points", source, str(out), key=["id"], chunk_rows=333, input_url=url, workspace=workspace
        )
        assert (run.status, run.n_rows, run.n_done, run.n_duplicates) == (
            BatchStatus.SUCCEEDED,
            N_ROWS,
            N_ROWS,
            0,
        )
        assert pl.read_parquet(out).equals(expected), source
    assert not list(stage_root(workspace.settings).iterdir()), "what a run kept beside its output is gone"
    listed = workspace.service(Batches).runs("default", limit=8)
    assert [item.input for item in listed.items[:2]] == ["select * from shop order by rowid", "customers@1"]


def test_arrays_and_named_columns_are_inputs_too(workspace: Workspace, tmp_path: Path) -> None:
    """A dataset of arrays feeds a model of matrices; a table with more columns feeds one of named columns."""
    x = np.random.default_rng(1).normal(size=(50, 4))
    added = noria.dataset("points-in", workspace=workspace).add({"x": x, "label": np.arange(50)})
    out = tmp_path / "out.parquet"
    predict("points", added.ref, str(out), key=["label"], probabilities=True, workspace=workspace)
    found = pl.read_parquet(out)
    assert found["label"].to_list() == list(range(50))
    shares = found.select("probability_False", "probability_True")
    assert np.allclose(shares.sum_horizontal(), 1.0, atol=1e-6)
    assert (found["prediction"] == (found["probability_True"] > 0.5)).all()

    table = pl.DataFrame({"name": ["a", "b", "c"], "size": [1, 2, None], "age": [1.0, float("nan"), 2.0]})
    table.write_parquet(tmp_path / "in.parquet")
    with pytest.raises(Invalid, match=r"`age` is missing \(NaN\) in row 1, counted from row 0"):
        predict("line", str(tmp_path / "in.parquet"), str(out), workspace=workspace)
    assert pl.read_parquet(out).equals(found), "what was there is untouched"
    run = predict(
        "line", str(tmp_path / "in.parquet"), str(out), key=["name"], unfit="null", workspace=workspace
    )
    held = pl.read_parquet(out)
    assert (run.n_rows, run.n_unfit) == (3, 2)
    assert held["name"].to_list() == ["a", "b", "c"]
    assert held["prediction"].is_null().to_list() == [False, True, True]

    empty = table.clear()
    empty.write_parquet(tmp_path / "empty.parquet")
    run = predict("line", str(tmp_path / "empty.parquet"), str(out), key=["name"], workspace=workspace)
    assert (run.n_rows, pl.read_parquet(out).schema) == (0, held.schema)


BAD: list[tuple[dict[str, Any], type[NoriaError], str]] = [
    ({"ref": "pionts"}, NotFound, "pionts"),
    ({"input": "costumers"}, NotFound, "costumers"),
    ({"input": "nowhere/in.csv"}, NotFound, "nowhere/in.csv"),
    ({"input": "select 1"}, Invalid, "database"),
    ({"output": None}, Invalid, "Where the predictions go"),
    ({"output": "out.csv"}, Invalid, "out.csv"),
    ({"output": "mysql://host/db"}, Invalid, "mysql://"),
    ({"output": "postgresql://host/db"}, Invalid, "names no table"),
    ({"key": ["ids"]}, Invalid, "no column `ids`"),
    ({"key": []}, Invalid, "4 numbers a row, and the input has 5"),
    ({"key": ["f0"], "keep": ["row"]}, Invalid, "name of a column of the output"),
    ({"chunk_rows": 0}, Invalid, "chunk"),
    ({"workers": 0}, Invalid, "workers"),
    ({"slot": "blue"}, Invalid, "go together"),
    ({"duplicates": "drop"}, Invalid, "`drop`"),
    ({"duplicates": "refuse"}, Invalid, "id = 7"),
    ({"ref": "line", "probabilities": True}, Invalid, "no probabilities"),
    ({"ref": "line"}, Invalid, "no column `age`"),
]


def test_bad_input_is_refused_by_name_and_nothing_is_written(workspace: Workspace, tmp_path: Path) -> None:
    """Whatever is wrong, the message names it; rows with the same key are counted, or refused when asked."""
    numbers = np.random.default_rng(2).normal(size=(5, 4))
    numbered = pl.DataFrame(numbers, schema=COLUMNS).with_columns(
        id=pl.Series([7, 8, 7, 9, 7]), row=pl.lit("a")
    )
    numbered.write_parquet(tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    good: dict[str, Any] = {
        "ref": "points",
        "input": str(tmp_path / "in.parquet"),
        "output": str(out),
        "key": ["id"],
    }
    (tmp_path / "ragged.csv").write_text("f0,f1,f2,f3\n1,2,3,4\n1,2,3,4,5\n")
    ragged: tuple[dict[str, Any], type[NoriaError], str] = (
        {"input": str(tmp_path / "ragged.csv")},
        Invalid,
        r"ragged\.csv` cannot be read as a table: line 3 has 5",
    )
    for change, kind, message in [*BAD, ragged]:
        with pytest.raises(kind, match=message):
            predict(**{**good, **change}, workspace=workspace)
    assert not out.exists()
    run = predict(**good, workspace=workspace)
    assert (run.n_rows, run.n_duplicates) == (5, 2)
    assert pl.read_parquet(out)["id"].to_list() == [7, 8, 7, 9, 7]


def test_a_word_makes_a_run_once(workspace: Workspace, tmp_path: Path) -> None:
    """A run that says the same word does nothing after the first; another output under the word is refused."""
    asked: dict[str, Any] = {"key": ["id"], "once": "2026-11-22", "workspace": workspace}
    first = predict("points", "customers", "daily", **asked)
    again = predict("points", "customers", "daily", **asked)
    assert (again.id, again.attempt, again.written) == (first.id, 1, "daily@1")
    with pytest.raises(Conflict, match="2026-11-22"):
        predict("points", "customers", str(tmp_path / "out.parquet"), **asked)
    more = predict("points", "customers", "daily", key=["id"], append=True, workspace=workspace)
    assert noria.dataset(str(more.written), workspace=workspace).polars().height == 2 * N_ROWS


def test_a_killed_run_goes_on_where_it_was(
    workspace: Workspace, expected: pl.DataFrame, processes: Processes, tmp_path: Path
) -> None:
    """`kill -9` in the middle, of one process and of one with helpers, and before the rows are written."""
    command = [sys.executable, str(CHILD), str(workspace.settings.folder), "customers", "resumed"]
    for workers, n_rows in (("1", 150), ("2", 700), ("2", N_ROWS)):
        child = processes.start([*command, workers, str(n_rows)])
        assert child.wait() == -signal.SIGKILL, child.output()
        with pytest.raises(NotFound):
            noria.dataset("resumed", workspace=workspace).polars()
    last = processes.start([*command, "1"])
    assert last.wait() == 0, last.output()
    assert "attempt 4" in last.output()
    table = noria.dataset("resumed", workspace=workspace)
    assert table.current.version == 1
    assert table.polars().equals(expected)

    (run,) = workspace.service(Batches).runs("default", limit=1).items
    expected.write_parquet(tmp_path / "again.parquet")
    again = TableSink(workspace, "resumed").write(run.id, [tmp_path / "again.parquet"], append=True)
    assert again == "resumed@1", "as if killed after the rows were written, before that was on record"


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_kills_at_any_instant_leave_each_row_once(
    workspace: Workspace,
    expected: pl.DataFrame,
    processes: Processes,
    postgres_server: PostgresServer,
    tmp_path: Path,
) -> None:
    """Twenty runs, each killed at random instants until one comes through, into every kind of sink."""
    with postgres_server.fresh_database() as url:
        address = url.replace("+psycopg", "")
        for number in range(20):
            chance = random.Random(number)
            output = [str(tmp_path / f"o{number}.parquet"), f"soak{number}", f"{address}#soak{number}"][
                number % 3
            ]
            command = [sys.executable, str(CHILD), str(workspace.settings.folder), "customers", output, "2"]
            for _ in range(chance.randint(1, 5)):
                child = processes.start(command)
                time.sleep(chance.uniform(0.3, 4.0))
                child.process.send_signal(signal.SIGKILL)
                child.wait()
            last = processes.start(command)
            assert last.wait() == 0, last.output()
            assert held(workspace, output).equals(expected), number


def held(workspace: Workspace, output: str) -> pl.DataFrame:
    """Read what a sink holds."""
    if "://" in output:
        address, _, table = output.partition("#")
        import psycopg

        with psycopg.connect(address) as connection:
            found = connection.execute(f"select * from {table} order by row").fetchall()  # noqa: S608
        return pl.DataFrame(found, schema=SCHEMA, orient="row")
    if output.endswith(".parquet"):
        return pl.read_parquet(output)
    return noria.dataset(output, workspace=workspace).polars()


def test_postgres_takes_rows_once_and_is_waited_for(
    workspace: Workspace,
    frame: pl.DataFrame,
    expected: pl.DataFrame,
    postgres_server: PostgresServer,
    tmp_path: Path,
) -> None:
    """A database that takes no connection fails the run, whose rows are kept; later they come, once."""
    import psycopg

    with postgres_server.fresh_database() as url:
        output = f"{url}#scores"
        name = url.rpartition("/")[2]
        postgres_server._execute("alter database {} allow_connections false", name)
        asked: dict[str, Any] = {"key": ["id"], "chunk_rows": 300, "workspace": workspace}
        with pytest.raises(Unavailable, match="does not take the rows") as caught:
            predict("points", "customers", output, retry_s=0.0, **asked)
        assert postgres_server.password not in str(caught.value)
        (failed,) = workspace.service(Batches).runs("default", limit=1).items
        assert (failed.status, failed.n_done) == (BatchStatus.FAILED, N_ROWS)
        assert postgres_server.password not in failed.output
        postgres_server._execute("alter database {} allow_connections true", name)
        done = predict("points", "customers", output, **asked)
        assert (done.id, done.attempt) == (failed.id, 2)

        sink, extra = PostgresSink(output), tmp_path / "extra.parquet"
        expected.write_parquet(extra)
        sink.write(done.id, [extra], append=False)
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            found = connection.execute(
                "select row, id, prediction, model_version from scores order by row"
            ).fetchall()
            assert found == expected.rows()
            texts = pl.DataFrame({"id": ["", None, 'a"b,\n'], "at": [None, 1.5, -0.0]})
            texts.write_parquet(extra)
            PostgresSink(f"{url}#texts").write("texts", [extra], append=False)
            assert connection.execute("select id, at from texts").fetchall() == texts.rows()


def test_a_file_that_changes_meanwhile_is_refused(
    workspace: Workspace, frame: pl.DataFrame, tmp_path: Path
) -> None:
    """Rows of two states of a file never mix: the run fails, and the next one reads the new state."""
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame.write_parquet(source)

    def change(n_done: int, _: int) -> None:
        if n_done == 300:
            shutil.copy(source, tmp_path / "copy.parquet")
            frame.reverse().write_parquet(source)

    with pytest.raises(Conflict, match="was changed"):
        predict(
            "points", str(source), str(out), key=["id"], chunk_rows=300, workspace=workspace, progress=change
        )
    assert not out.exists()
    predict("points", str(source), str(out), key=["id"], chunk_rows=300, workspace=workspace)
    assert pl.read_parquet(out)["id"].to_list() == frame["id"].reverse().to_list()
