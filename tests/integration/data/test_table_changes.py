"""Tables, in process: where rows come from, what becomes of their types, and what merges and deletes mean."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from noria.access.projects import NewProject, Projects
from noria.core.config import load_settings
from noria.core.errors import Invalid, NotFound, StorageFull
from noria.core.objects.digests import hash_bytes
from noria.core.objects.trees import Entry, make_manifest, put_manifest
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import DatasetHandle, dataset
from noria.data.delta.errors import MergeKeysInvalid, NotATable, TableDamaged, TableSchemaMismatch
from noria.data.delta.sources import SqlQuery
from noria.data.entities import DatasetKind, NewDatasetVersion
from noria.data.service import Datasets
from support.disks import tiny_disk


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Open a workspace in a folder, once."""
    folder = tmp_path_factory.mktemp("workspace")
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as found:
        yield found


@pytest.fixture
def workspace(opened: Workspace, request: pytest.FixtureRequest) -> Workspace:
    """Give the workspace with a project of the test's own."""
    project = project_of(request.node.name)
    opened.service(Projects).create(NewProject(name=project))
    return Workspace(dataclasses.replace(opened.settings, project=project), opened.backend, opened.clock)


def project_of(test: str) -> str:
    return "p" + hash_bytes(test.encode())[-12:]


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"k": numbers, "v": [f"v{n}" for n in numbers]}, schema={"k": pl.Int64, "v": pl.String}
    )


def keys(handle: DatasetHandle) -> list[int]:
    return handle.polars()["k"].to_list()


def table(workspace: Workspace, ref: str = "t") -> DatasetHandle:
    return dataset(ref, workspace=workspace)


def test_all_kinds_of_values_come_back_equal(workspace: Workspace) -> None:
    """Missing values, zones, nested ones and text of any script stay what they were."""
    frame = pl.DataFrame(
        {
            "text": ["ñ", None, "日本"],
            "day": [date(2026, 1, 1), None, date(1900, 1, 1)],
            "naive": [datetime(2026, 1, 1, 0, 0, 0, 1), None, datetime(1969, 1, 1)],  # noqa: DTZ001
            "zoned": [datetime(2026, 1, 1, tzinfo=UTC), None, datetime(2026, 6, 1, tzinfo=UTC)],
            "money": [Decimal("12.30"), None, Decimal("-0.01")],
            "bytes": [b"\x00", None, b""],
            "yes": [True, None, False],
            "nested": [[{"a": 1, "b": ["x"]}], None, []],
            "nan": [float("nan"), None, float("inf")],
        }
    )
    handle = table(workspace)
    handle.append(frame)
    handle.append(frame)

    assert handle.polars().equals(pl.concat([frame, frame]))


def test_rows_with_a_word_enter_once(workspace: Workspace) -> None:
    """An append that says a word again changes nothing, whatever came between; the word of a table is its own."""
    handle = table(workspace)
    first = handle.append({"k": [1]}, once="monday")
    assert table(workspace).append({"k": [1]}, once="monday") == first
    for n in range(12):  # so many that the log gets a checkpoint
        handle.append({"k": [n]}, once=f"n{n}")
    handle.compact()
    handle.overwrite({"k": [7, 8]})
    newest = handle.append({"k": [9]})
    for word in ("monday", "n0", "n11"):
        assert table(workspace).append({"k": [1]}, once=word) == newest
    assert table(workspace, "other").append({"k": [1]}, once="monday").version == 1
    assert keys(handle) == [7, 8, 9]
    for wrong in ("", "x" * 201):
        with pytest.raises(Invalid, match="once"):
            handle.append({"k": [1]}, once=wrong)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "k,v\n1,x\n2,\n"),
        ("a.tsv", "k\tv\n1\tx\n2\t\n"),
        ("a.json", '[{"k":1,"v":"x"},{"k":2,"v":null}]'),
        ("a.ndjson", '{"k":1,"v":"x"}\n{"k":2,"v":null}\n'),
    ],
)
def test_rows_come_from_text(workspace: Workspace, tmp_path: Path, name: str, text: str) -> None:
    """CSV, TSV and both forms of JSON are read with their types, and then with those of the table."""
    (tmp_path / name).write_text(text)
    handle = table(workspace)
    handle.append(tmp_path / name)
    handle.append(str(tmp_path / name))

    assert handle.polars().rows() == [(1, "x"), (2, None)] * 2


def test_rows_come_from_binary_files_arrow_pandas_and_sql(workspace: Workspace, tmp_path: Path) -> None:
    """Whatever speaks Arrow, files of columns, other Delta tables, and answers of databases."""
    frame = rows(1, 2)
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.arrow")
    handle = table(workspace)
    handle.append(frame)
    folder = handle.checkout(tmp_path / "delta")
    frame.write_database("t", f"sqlite:///{tmp_path / 'db'}")
    sources = [
        tmp_path / "a.parquet",
        tmp_path / "a.arrow",
        folder,
        frame.to_arrow(),
        pa.RecordBatchReader.from_batches(frame.to_arrow().schema, frame.to_arrow().to_batches()),
        frame.to_pandas(),
        frame.lazy(),
        frame.to_dicts(),
        SqlQuery(query="SELECT k, v FROM t ORDER BY k", url=f"sqlite:///{tmp_path / 'db'}"),
    ]
    for source in sources:
        assert handle.append(source).n_rows is not None

    assert keys(handle) == [1, 2] * (1 + len(sources))


def test_a_column_that_gets_wider_is_written_anew(workspace: Workspace) -> None:
    """Old rows have the new type, and old versions the old one."""
    handle = table(workspace)
    handle.append(rows(1, 2))
    with pytest.raises(TableSchemaMismatch):
        handle.append({"k": [2.5], "v": ["x"]})
    handle.append({"k": [2.5], "v": ["x"]}, evolve=True)
    handle.merge({"k": [1.0], "v": ["y"], "w": [b"z"]}, on="k", evolve=True)

    assert handle.schema() == {"k": "Float64", "v": "String", "w": "Binary"}
    assert handle.polars().rows() == [(1.0, "y", b"z"), (2.0, "v2", None), (2.5, "x", None)]
    assert table(workspace, "t@1").schema() == {"k": "Int64", "v": "String"}


def test_keys_of_a_merge_name_each_row_once(workspace: Workspace) -> None:
    """Keys that are missing, stand twice, or are no column are refused."""
    handle = table(workspace)
    handle.append(rows(1, 1))
    with pytest.raises(MergeKeysInvalid, match="k=7"):
        handle.merge(rows(7, 7), on="k")
    with pytest.raises(MergeKeysInvalid, match="no value"):
        handle.merge({"k": [None], "v": ["x"]}, on="k")
    with pytest.raises(MergeKeysInvalid, match="`q` is no column"):
        handle.merge(rows(1), on="q")
    handle.merge(rows(1).with_columns(v=pl.lit("both")), on=["k"])

    assert handle.polars()["v"].to_list() == ["both", "both"]


def test_missing_values_are_neither_deleted_nor_found(workspace: Workspace) -> None:
    """A condition that is not known to be true leaves the row."""
    handle = table(workspace)
    handle.append({"n": [1, None, 3]})
    handle.delete("n > 2")

    assert handle.polars()["n"].to_list() == [1, None]


def test_other_kinds_are_no_tables(workspace: Workspace) -> None:
    """Arrays are neither appended to nor read as a table, and the mend is said."""
    table(workspace).add({"x": np.zeros((2, 2))})
    with pytest.raises(NotATable, match="`t@1`"):
        table(workspace).append(rows(1))
    with pytest.raises(NotATable):
        table(workspace).scan()
    with pytest.raises(NotATable):
        table(workspace).delete("k > 1")
    with pytest.raises(NotFound):
        table(workspace, "never").delete("k > 1")

    assert keys_after_overwrite(workspace) == [1]


def keys_after_overwrite(workspace: Workspace) -> list[int]:
    table(workspace).overwrite(rows(1))
    return keys(table(workspace))


def test_a_frame_that_was_added_goes_on_as_a_table(workspace: Workspace) -> None:
    """What `add` keeps as one file becomes a Delta table with the first change."""
    table(workspace).add(pl.DataFrame({"k": [1], "v": ["v1"]}, schema={"k": pl.UInt8, "v": pl.Categorical}))
    table(workspace).append({"k": pl.Series([2], dtype=pl.Int16), "v": ["v2"]})

    assert table(workspace).polars().rows() == [(1, "v1"), (2, "v2")]
    assert [v.message for v in table(workspace).log()] == ["append 1 rows", "t@1 as a Delta table", ""]


def test_a_stream_whose_block_fails_appends_nothing_more(workspace: Workspace) -> None:
    """What was not acknowledged is left out."""

    def fails() -> None:
        with table(workspace).stream(every_rows=2) as stream:
            stream.append(rows(1, 2))
            stream.append(rows(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert keys(table(workspace)) == [1, 2]


def test_types_of_text_are_those_of_all_its_rows(workspace: Workspace, tmp_path: Path) -> None:
    """A number that gets a fraction after thousands of rows is a fraction; text of digits stays text."""
    (tmp_path / "late.csv").write_text("n,zip\n" + "1,01234\n" * 3_000 + "0.5,0x\n")
    (tmp_path / "digits.csv").write_text("n,zip\n" + "2,00001\n" * 3_000)
    (tmp_path / "words.csv").write_text("n,zip\n" + "2,00001\n" * 3_000 + "many,1\n")
    handle = table(workspace)
    handle.append(tmp_path / "late.csv")
    handle.append(tmp_path / "digits.csv")
    with pytest.raises(TableSchemaMismatch) as raised:
        handle.append(tmp_path / "words.csv")

    assert handle.schema() == {"n": "Float64", "zip": "String"}
    assert handle.polars(rows=slice(2_999, 3_002)).rows() == [(1.0, "01234"), (0.5, "0x"), (2.0, "00001")]
    assert raised.value.details["columns"] == [{"column": "n", "expected": "Float64", "found": "String"}]


LOG = "_delta_log/00000000000000000000.json"


def add_log(workspace: Workspace, text: str) -> None:
    """Add a version of a table that is nothing but this log."""
    store = workspace.objects()
    body = store.put_bytes(text.encode())
    entry = Entry(path=LOG, digest=body.digest, size_bytes=body.size_bytes)
    digest = put_manifest(store, make_manifest([entry])).digest
    new = NewDatasetVersion(
        digest=digest, kind=DatasetKind.TABLE, n_files=1, size_bytes=body.size_bytes, n_rows=1
    )
    workspace.service(Datasets).add(workspace.project, "t", new)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../part-000000000000-0123456789abcdef.parquet", "other.parquet"]
)
def test_a_log_that_names_foreign_files_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    """A version that another program made cannot lead a reader out of its files."""
    write_deltalake(tmp_path / "made", rows(1))
    actions = [json.loads(line) for line in (tmp_path / "made" / LOG).read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["path"] = name
    add_log(workspace, "\n".join(json.dumps(action) for action in actions))
    with pytest.raises(TableDamaged, match="no data file of this version"):
        table(workspace).polars()
    with pytest.raises(TableDamaged):
        table(workspace).append(rows(2))


@pytest.mark.parametrize("text", ["", "no json", "{}"])
def test_a_log_that_is_none_is_refused(workspace: Workspace, text: str) -> None:
    """What cannot be read as a log is named, and nothing else is tried."""
    add_log(workspace, text)
    with pytest.raises(TableDamaged, match="`t@1`"):
        table(workspace).scan()


def test_a_full_disk_is_named_and_changes_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for what is on its way, the place is said, and the table is as before."""
    before = table(workspace).append({"x": [0.5]})
    with tiny_disk(tmp_path / "tiny", "size=1m") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(StorageFull, match="tiny"):
            table(workspace).append({"x": np.random.default_rng(1).normal(size=400_000)})

    assert table(workspace).current == before


@pytest.mark.parametrize("kind", ["table", "file"])
def test_rows_come_out_as_whatever_is_asked_for(workspace: Workspace, kind: str) -> None:
    """Polars, lazily too, pandas, Arrow and NumPy give the same cells, with the columns and rows that were chosen."""
    frame = pl.DataFrame({"a": [1, 2, 3, 4], "b": [0.5, None, 2.5, 3.5], "c": ["x", "y", "z", "ß"]})
    handle = dataset("cells", workspace=workspace)
    handle.append(frame.head(2)) if kind == "table" else handle.add(frame)
    if kind == "table":
        handle.append(frame.tail(2))
    newest = dataset(f"cells@{2 if kind == 'table' else 1}", workspace=workspace)

    assert newest.polars().equals(frame)
    assert newest.scan(columns=["a"]).filter(pl.col("a") > 2).collect()["a"].to_list() == [3, 4]
    assert pl.from_pandas(newest.pandas()).equals(frame)
    assert newest.arrow().to_pylist() == frame.to_dicts()
    assert newest.numpy(columns=["a"]).tolist() == [[1], [2], [3], [4]]
    columns, some = ["c", "a"], "a >= 2 and b is not null"
    wanted = frame.filter(pl.col("a") >= 2, pl.col("b").is_not_null())["c", "a"]
    assert newest.polars(columns=columns, rows=some).equals(wanted)
    assert pl.from_pandas(newest.pandas(columns=columns, rows=some)).equals(wanted)
    assert newest.arrow(columns=columns, rows=some).to_pylist() == wanted.to_dicts()
    assert newest.numpy(columns=columns, rows=some).tolist() == wanted.to_numpy().tolist()
    assert newest.numpy(columns=["b"], rows=slice(2, 4)).tolist() == [[2.5], [3.5]]
