"""Files shown by their beginnings."""

from __future__ import annotations

import json

import pytest

from noria.tracking.previews import (
    MAX_COLUMNS,
    MAX_JSON_BYTES,
    MAX_ROWS,
    MAX_TEXT_BYTES,
    Kind,
    Preview,
    bytes_needed,
    preview,
)


def shown(path: str, data: bytes) -> Preview:
    """Make a preview of the bytes that it needs."""
    return preview(path, len(data), data[: bytes_needed(path, len(data))])


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("a.txt", b"hello", Kind.TEXT),
        ("none", b"hello", Kind.TEXT),
        ("a.PNG", b"\x89PNG", Kind.IMAGE),
        ("a.svg", b"<svg/>", Kind.IMAGE),
        ("a.html", b"<b>x</b>", Kind.HTML),
        ("a.md", b"# x", Kind.MARKDOWN),
        ("a.patch", b"+x", Kind.DIFF),
        ("a.log", b"x", Kind.CONSOLE),
        ("a.parquet", b"PAR1", Kind.PARQUET),
        ("a.bin", b"a\x00b", Kind.BINARY),
        ("a.txt", b"\xff\xfe", Kind.BINARY),
        ("a.csv", b"a,b\n1,2\n", Kind.TABLE),
        ("a.csv", b"", Kind.TEXT),
        ("a.json", b'{"a": 1}', Kind.TEXT),
        ("a.json", b'{"a": ', Kind.TEXT),
        ("a.json", b'{"columns": ["a"], "data": [[1]]}', Kind.TABLE),
        ("a.json", b'{"columns": ["a"], "data": [1]}', Kind.TEXT),
        ("a.json", b'{"data": [{"x": [1]}], "layout": {}}', Kind.FIGURE),
        ("a.json", b"[" * 9000 + b"]" * 9000, Kind.TEXT),
    ],
)
def test_a_file_is_shown_by_its_ending_and_content(path: str, data: bytes, kind: Kind) -> None:
    """What the ending promises and the content does not hold is shown as text, or not at all."""
    assert shown(path, data).kind is kind


def test_a_huge_image_is_not_asked_for() -> None:
    """It would be loaded whole."""
    assert preview("a.png", 1 << 30, b"").kind is Kind.TOO_LARGE


def test_long_texts_are_cut_between_characters() -> None:
    """A character of several bytes that the cut parts is left out."""
    for shift in range(4):
        data = b"x" * shift + "€".encode() * MAX_TEXT_BYTES
        made = shown("a.txt", data)

        assert made.is_cut
        assert made.kind is Kind.TEXT
        assert set(made.text.lstrip("x")) == {"€"}


def test_tables_are_shown_by_their_first_rows_and_columns() -> None:
    """How many rows there are is told where they were counted."""
    wide = json.dumps({"columns": [f"c{i}" for i in range(99)], "data": [list(range(99))] * 250}).encode()
    whole = shown("t.json", wide).table
    long = b"a,b\n" + b"".join(b"%d,2\n" % i for i in range(200_000))
    cut = shown("t.csv", long)
    short = shown("t.tsv", b"a\tb\n1\t2\n3\n").table

    assert whole is not None
    assert (len(whole.columns), whole.n_columns, len(whole.rows), whole.n_rows) == (
        MAX_COLUMNS,
        99,
        MAX_ROWS,
        250,
    )
    assert cut.is_cut
    assert cut.table is not None
    assert (cut.table.rows[-1], cut.table.n_rows) == (("99", "2"), None)
    assert short is not None
    assert (short.rows, short.n_rows) == ((("1", "2"), ("3", "")), 2)


def test_half_a_row_is_not_shown() -> None:
    """Where the bytes end within the shown rows, the last one may be cut and is left out."""
    made = shown("t.csv", b"a\n" + b"".join(b"%s\n" % (b"x" * 5_000) for _ in range(60)))

    assert made.table is not None
    assert {len(row[0]) for row in made.table.rows} == {400}
    assert 50 <= len(made.table.rows) <= 52


def test_json_too_large_to_read_whole_is_text() -> None:
    """A table of many megabytes is not parsed for a page."""
    made = shown("t.json", b'{"columns": ["a"], "data": [' + b"[1]," * MAX_JSON_BYTES)

    assert (made.kind, made.is_cut) == (Kind.TEXT, True)
    assert len(made.text) == MAX_TEXT_BYTES
