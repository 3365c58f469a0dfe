"""Tables: what is put in comes out, of each version, by each way of reading."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from noria.core.errors import Invalid, NotFound
from noria.core.objects.references import ObjectNotInProject
from noria.core.workspace import Workspace
from noria.data.client import DatasetHandle, dataset
from noria.data.delta.errors import TableSchemaMismatch
from noria.data.entities import DatasetKind, NewDatasetVersion
from noria.data.service import Datasets
from support.conformance import Services

ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"])
"""For what the database has no part in."""


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"k": numbers, "v": [f"v{n}" for n in numbers]}, schema={"k": pl.Int64, "v": pl.String}
    )


def keys(handle: DatasetHandle) -> list[int]:
    return handle.polars()["k"].to_list()


def table(workspace: Workspace, ref: str = "t") -> DatasetHandle:
    return dataset(ref, workspace=workspace)


def test_a_table_has_a_life(workspace: Workspace, tmp_path: Path) -> None:
    """Each change is a version; each version stays as it was, and is a Delta table of its own outside."""
    handle = table(workspace)
    versions = [
        handle.append(rows(1, 2, 3), message="first"),
        handle.append(rows(4)),
        handle.merge(rows(4, 5).with_columns(v=pl.lit("new")), on="k"),
        handle.delete("k IN (1, 2)"),
        handle.append({"k": [6], "extra": [0.5]}, evolve=True),
        handle.compact(),
        handle.overwrite({"other": [True]}, evolve=True),
    ]
    said = [(v.version, v.kind, v.n_rows, v.message) for v in versions]

    assert said == [
        (1, DatasetKind.TABLE, 3, "first"),
        (2, DatasetKind.TABLE, 4, "append 1 rows"),
        (3, DatasetKind.TABLE, 5, "merge: 1 rows updated, 1 inserted"),
        (4, DatasetKind.TABLE, 3, "delete 2 rows"),
        (5, DatasetKind.TABLE, 4, "append 1 rows"),
        (6, DatasetKind.TABLE, 4, "compact 4 files into 1"),
        (7, DatasetKind.TABLE, 1, "overwrite with 1 rows"),
    ]
    assert [keys(table(workspace, f"t@{n}")) for n in range(1, 7)] == [
        [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [3, 4, 5], [3, 4, 5, 6], [3, 4, 5, 6],
    ]  # fmt: skip
    assert table(workspace, "t@6").polars()["extra"].to_list() == [None, None, None, 0.5]
    assert handle.polars().to_dict(as_series=False) == {"other": [True]}
    assert table(workspace, f"t@{versions[1].created_at.isoformat()}").ref == "t@2"
    for n in (1, 3, 5, 7):
        folder = table(workspace, f"t@{n}").checkout(tmp_path / f"{n}")
        outside = pl.DataFrame(DeltaTable(folder).scan())
        ours = table(workspace, f"t@{n}").polars()
        assert outside.sort(outside.columns).equals(ours.select(outside.columns).sort(outside.columns))


@ONE_DATABASE
def test_every_way_of_reading_gives_the_same(workspace: Workspace) -> None:
    """Polars, Arrow, pandas and NumPy, with some columns and some rows."""
    handle = table(workspace)
    handle.append({"n": [1, 2, 3, 4], "x": [0.5, 1.5, 2.5, 3.5]})

    assert handle.scan(columns=["x"], rows="n > 2").collect()["x"].to_list() == [2.5, 3.5]
    assert handle.polars(columns=["x"], rows=pl.col("n") > 2)["x"].to_list() == [2.5, 3.5]
    assert handle.arrow(rows=slice(1, 3)).to_pydict() == {"n": [2, 3], "x": [1.5, 2.5]}
    assert handle.pandas(columns=["n"])["n"].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(handle.numpy(rows="n < 3"), [[1.0, 0.5], [2.0, 1.5]])
    assert handle.schema() == {"n": "Int64", "x": "Float64"}
    with pytest.raises(NotFound, match="`m`") as raised:
        handle.polars(columns=["m"])
    assert "`n`" in (raised.value.hint or "")
    with pytest.raises(Invalid, match="does not have: `y`"):
        handle.polars(rows="y > 2")


@ONE_DATABASE
def test_rows_that_do_not_fit_change_nothing(workspace: Workspace, tmp_path: Path) -> None:
    """The error names the column with what was expected and found, for files without types too."""
    handle = table(workspace)
    before = handle.append(rows(1))
    (tmp_path / "bad.csv").write_text("k,v\n1,a\nx,b\n")
    for source, column, found in [
        (tmp_path / "bad.csv", "k", "String"),
        (rows(1).with_columns(k=pl.lit("x")), "k", "String"),
        (rows(1).drop("v"), "v", "nothing"),
        (rows(1).with_columns(w=1), "w", "Int32"),
    ]:
        with pytest.raises(TableSchemaMismatch) as raised:
            handle.append(source)
        assert [(c["column"], c["found"]) for c in raised.value.details["columns"]] == [(column, found)]

    assert table(workspace).current == before


@ONE_DATABASE
def test_what_changes_nothing_is_no_version(workspace: Workspace) -> None:
    """Nothing appended, merged, deleted, gathered or put in the place of itself leaves the newest version."""
    handle = table(workspace)
    first = handle.append(rows(1, 2))

    assert handle.append(rows()) == first
    assert handle.merge(rows(2), on="k") == first
    assert handle.merge(rows(2, 3).with_columns(v=pl.lit("x")), on="k", update=False, insert=False) == first
    assert handle.delete("k > 5") == first
    assert handle.compact() == first
    assert handle.overwrite(rows(1, 2)) == first


@ONE_DATABASE
def test_a_version_never_changes(workspace: Workspace) -> None:
    """Only a name without a version is changed."""
    table(workspace).append(rows(1))
    with pytest.raises(Invalid, match="versions never change"):
        table(workspace, "t@1").append(rows(2))


def test_a_stream_makes_versions_of_some_size(workspace: Workspace) -> None:
    """Rows wait until there are enough; leaving the block appends the rest; few files stay."""
    with table(workspace).stream(every_rows=4, every_s=3600) as stream:
        made = [stream.append([{"k": n, "v": None if n % 2 else "x"}]) for n in range(10)]
        assert stream.n_waiting == 2

    assert [v.n_rows for v in made if v is not None] == [4, 8]
    assert keys(table(workspace)) == list(range(10))


def test_writers_at_once_lose_nothing(workspace: Workspace) -> None:
    """Each append is a version of its own, and each row is there once."""
    done: list[int] = []

    def write(first: int) -> None:
        done.extend(table(workspace).append(rows(n)).version for n in range(first, first + 3))

    threads = [threading.Thread(target=write, args=(10 * t,)) for t in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == list(range(1, 10))
    assert sorted(keys(table(workspace))) == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_a_table_of_another_project_is_out_of_reach(workspace: Workspace, services: Services) -> None:
    """Naming the digest of a version gives no access to its files."""
    from noria.access.projects import NewProject, Projects

    services(Projects).create(NewProject(name="other"))
    added = table(workspace).append(rows(1))
    new = NewDatasetVersion(digest=added.digest, kind=DatasetKind.TABLE, n_files=3, size_bytes=1)
    with pytest.raises(ObjectNotInProject):
        services(Datasets).add("other", "t", new)
