"""The commands of `noria data` for tables, as a person and as a program use them."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from noria.cli.main import main

Command = Callable[..., str]

JANUARY = "day,n,city\n2026-01-01,3,Sevilla\n2026-01-02,5,Cádiz\n"
FEBRUARY = "day,n,city\n2026-02-01,7,Sevilla\n"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line in a folder of its own, that checks the exit code and gives what was said."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    Path("january.csv").write_text(JANUARY)
    Path("february.csv").write_text(FEBRUARY)

    def call(*arguments: str, code: int = 0) -> str:
        assert main(["data", *arguments]) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def rows_of(command: Command, sql: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(command("query", sql, "--json"))["rows"]
    return found


def test_a_table_is_kept_from_the_command_line(command: Command) -> None:
    """Append, merge, delete, overwrite, compact, and ask each version."""
    first = json.loads(command("append", "trips", "january.csv", "-m", "January", "--json"))
    command("append", "trips", "february.csv")
    Path("corrected.csv").write_text("day,n,city\n2026-02-01,8,Sevilla\n2026-02-02,1,Jaén\n")
    merged = json.loads(command("merge", "trips", "corrected.csv", "--on", "day", "--json"))
    deleted = json.loads(command("delete", "trips", "--where", "city = 'Cádiz'", "--json"))
    command("compact", "trips")
    total = "SELECT city, SUM(n) AS n FROM {} GROUP BY city ORDER BY city"

    assert (first["version"], first["n_rows"], first["message"]) == (1, 2, "January")
    assert merged["message"] == "merge: 1 rows updated, 1 inserted"
    assert deleted["n_rows"] == 3
    assert rows_of(command, total.format("trips")) == [{"city": "Jaén", "n": 1}, {"city": "Sevilla", "n": 11}]
    assert rows_of(command, total.format('"trips@1"')) == [
        {"city": "Cádiz", "n": 5},
        {"city": "Sevilla", "n": 3},
    ]
    assert json.loads(command("schema", "trips", "--json")) == {"day": "Date", "n": "Int64", "city": "String"}
    assert "compact" in command("log", "trips")
    replaced = json.loads(command("overwrite", "trips", "january.csv", "--json"))
    assert replaced["n_rows"] == 2


def test_rows_that_do_not_fit_are_refused_with_the_mend(command: Command) -> None:
    """The column, what was expected and what was found; `--evolve` takes a new column."""
    command("append", "trips", "january.csv")
    Path("bad.csv").write_text("day,n,city\n2026-01-03,many,Sevilla\n")
    Path("wide.csv").write_text("day,n,city,rain\n2026-01-03,1,Sevilla,0.5\n")
    refused = command("append", "trips", "bad.csv", code=2)
    wide = command("append", "trips", "wide.csv", code=2)
    command("append", "trips", "wide.csv", "--evolve")

    assert "`n`: expected Int64, found String" in refused
    assert "`rain`: expected nothing, found Float64" in wide
    assert "--evolve" in wide
    assert [row["rain"] for row in rows_of(command, "SELECT rain FROM trips")] == [None, None, 0.5]


def test_a_file_that_is_no_table_is_named_with_its_line(command: Command) -> None:
    """Where the fault of a malformed file lies is told when it is added and when it becomes rows."""
    command("append", "trips", "january.csv")
    Path("ragged.csv").write_text("day,n,city\n2026-01-03,1,Sevilla\n2026-01-04,1,Sevilla,7\n")
    Path("cut.jsonl").write_text('{"day": "2026-01-03", "n": 1, "city": "Sevilla"}\n{"day": \n')
    line = "`ragged.csv` cannot be read as a table: line 3 has 4 fields, and the first line 3"
    for refused in (
        command("add", "ragged.csv", code=2),
        command("append", "trips", "ragged.csv", code=2),
        command("merge", "trips", "ragged.csv", "--on", "day", code=2),
    ):
        assert line in refused
        assert "truncate_ragged_lines" not in refused  # an option of another library
    assert "`cut.jsonl` cannot be read as a table: line 2 is not JSON" in command(
        "append", "trips", "cut.jsonl", code=2
    )
    assert "trips" in command("log", "trips", "--json")
    assert json.loads(command("log", "trips", "--json"))["items"][0]["version"] == 1


def test_lines_of_json_come_in_by_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are appended some at a time; a line that is no JSON is named."""
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f'{{"n": {n}}}\n' for n in range(25)) + "\n"))
    last = json.loads(command("append", "lines", "-", "--every-rows", "10", "--json"))
    monkeypatch.setattr("sys.stdin", io.StringIO('{"n": 1}\nno\n'))
    refused = command("append", "lines", "-", code=2)

    assert (last["version"], last["n_rows"]) == (3, 25)
    assert "Line 2 is no JSON" in refused


def test_rows_come_from_a_database(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """By option or environment; a secret in the address is in no message."""
    with sqlite3.connect("shop.db") as shop:
        shop.execute("CREATE TABLE sold (day TEXT, n INTEGER)")
        shop.executemany("INSERT INTO sold VALUES (?, ?)", [("mon", 1), ("tue", 2)])
    shop.close()
    command("append", "sold", "--sql", "SELECT * FROM sold", "--from", "sqlite:///shop.db")
    monkeypatch.setenv("NORIA_SQL_URL", "sqlite:///shop.db")
    command("append", "sold", "--sql", "SELECT * FROM sold WHERE n > 1")
    unknown = command("append", "sold", "--sql", "SELECT * FROM nowhere", code=2)
    secret = command("append", "sold", "--sql", "SELECT 1", "--from", "wrong://me:hunter2@host/x", code=2)

    assert [row["n"] for row in rows_of(command, "SELECT n FROM sold")] == [1, 2, 2]
    assert "no such table: nowhere" in unknown
    assert "hunter2" not in secret
    assert "hint:" in command("append", "sold", code=2)
    assert "hint:" in command("append", "sold", "january.csv", "--sql", "SELECT 1", code=2)


def test_answers_are_shown_and_written(command: Command) -> None:
    """Tables are joined by their references; a long answer says how to see the rest; files have all of it."""
    command("append", "trips", "january.csv")
    command("append", "other", "january.csv")
    joined = (
        'WITH t AS (SELECT * FROM trips) SELECT t.day, o.n FROM t JOIN "other@1" AS o USING (day) ORDER BY n'
    )
    command("query", joined, "--out", "joined.parquet")
    command("query", "SELECT * FROM trips", "--out", "all.csv")

    assert pl.read_parquet("joined.parquet")["n"].to_list() == [3, 5]
    assert Path("all.csv").read_text() == JANUARY
    assert "Sevilla" in command("query", "SELECT * FROM trips", "--limit", "1")
    assert "neither CSV nor Parquet" in command("query", "SELECT * FROM trips", "--out", "a.xls", code=2)
    assert "reads no table" in command("query", "SELECT 1", code=2)
    assert "failed" in command("query", "SELECT m FROM trips", code=2)
    assert "no dataset `trip`" in command("query", "SELECT * FROM trip", code=1)
