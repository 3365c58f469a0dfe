"""Handles of datasets without the packages for tables, and sources that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from noria.core.errors import Invalid, NotFound
from noria.data.delta.query import tables_in
from noria.data.delta.sources import SqlQuery, rows_of

BLOCKED = """
import sys
for name in ("deltalake", "pyarrow"):
    sys.modules[name] = None
import noria
from noria.core.errors import ConfigInvalid
with noria.open_workspace(noria.load_settings(workspace=sys.argv[1])) as ws:
    handle = noria.dataset("t", workspace=ws)
    import polars
    handle.add(polars.DataFrame({"k": [1, 2]}))
    assert handle.polars(columns=["k"], rows="k > 1")["k"].to_list() == [2]
    try:
        handle.append({"k": [1]})
    except ConfigInvalid as error:
        print(error, error.hint)
"""


def test_what_is_missing_is_said_with_the_mend(tmp_path: Path) -> None:
    """Without the packages a handle adds and reads frames, and says what to install for the rest."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(tmp_path / "ws")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "pip install 'noria[tables]'" in done.stdout


@pytest.mark.parametrize("source", [3, None, object(), [1, 2], {"a": [1], "b": [1, 2]}])
def test_what_is_no_source_is_refused(source: object) -> None:
    """The message says what it was."""
    with pytest.raises(Invalid):
        rows_of(source)(None)


def test_files_that_are_not_there_or_of_no_kind(tmp_path: Path) -> None:
    """The path is named."""
    (tmp_path / "a.xls").write_text("x")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(NotFound, match=r"nowhere\.csv"):
        rows_of(tmp_path / "nowhere.csv")
    with pytest.raises(Invalid, match=r"a\.xls"):
        rows_of(tmp_path / "a.xls")
    with pytest.raises(Invalid, match="no Delta table"):
        rows_of(tmp_path)
    with pytest.raises(Invalid, match=r"broken\.json"):
        rows_of(tmp_path / "broken.json")(None)
    with pytest.raises(pl.exceptions.PolarsError):
        rows_of(tmp_path / "broken.parquet")(None).collect()


def test_a_query_does_not_show_its_address() -> None:
    """A password in the address stands in no log."""
    assert "hunter2" not in repr(SqlQuery(query="SELECT 1", url="postgresql://me:hunter2@host/x"))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT * FROM a", ["a"]),
        ('select * from "a@3" join b on a.x = b.x', ["a@3", "b"]),
        ("WITH t AS (SELECT * FROM a), u AS (SELECT * FROM t) SELECT * FROM u", ["a"]),
        ("SELECT * FROM (SELECT * FROM a) JOIN a USING (k)", ["a"]),
        ("SELECT 1", []),
    ],
)
def test_tables_of_a_query(query: str, names: list[str]) -> None:
    """Each once, those that the query makes itself left out."""
    assert tables_in(query) == names
