"""What commands print."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from noria.core.console.output import cell, facts, print_error, print_json, say, show, table
from noria.core.errors import NotFound


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        ([], "–"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (0.123456, "0.1235"),
        (1e-9, "1e-09"),
        (math.nan, "nan"),
        (["a", 1, None], "a, 1, –"),
        ("text", "text"),
    ],
)
def test_cells(value: object, text: str) -> None:
    """Short floats, words for truth, a dash for nothing."""
    assert cell(value) == text


def test_an_instant_is_told_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the second."""
    assert cell(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).astimezone()) == cell(
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    )


def test_a_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Every row on one line, numbers to the right, and no markup read out of the data."""
    rows = [("a", 1, "x" * 300), ("[bold]b[/bold]", 22, "y")]
    show(rows, json=False, render=lambda found: table(["name", "n", "long"], found))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]

    assert len(lines) == 4
    assert lines[2].split() == ["a", "1", "x" * 300]
    assert lines[3].split() == ["[bold]b[/bold]", "22", "y"]
    assert lines[2].index("1") == lines[3].index("22") + 1


def test_an_empty_table_has_headings(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a person sees that the list is empty, and of what."""
    show([], json=False, render=lambda found: table(["name"], found))

    assert "name" in capsys.readouterr().out


def test_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """A name and a value a line."""
    show(None, json=False, render=lambda _: facts([("rows", 3), ("message", None)]))

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["rows", "3"],
        ["message", "–"],
    ]


def test_json_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Compact, with what JSON has no word for as null."""
    print_json({"a": [1, math.inf], "at": datetime(2026, 1, 1, tzinfo=UTC)})
    printed = capsys.readouterr().out

    assert printed.count("\n") == 1
    assert json.loads(printed) == {"a": [1, None], "at": "2026-01-01T00:00:00Z"}


def test_words_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Data and words do not mix; what looks like markup is printed as it is."""
    say("Made [red]it[/red]")
    print_error(NotFound("There is no `[x]`", hint="See `noria`"))
    print_error(NotFound("There is none"))

    assert capsys.readouterr() == (
        "",
        "Made [red]it[/red]\nerror: There is no `[x]`\n\nhint: See `noria`\nerror: There is none\n",
    )
