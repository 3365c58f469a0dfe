"""Where a file of text stops being a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.data.faults import why_unreadable


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"a,b\n1,2\n3,4,5\n6,7\n", "line 3 has 3 fields, and the first line 2"),
        ("a.tsv", b"a\tb\n1\t2\t3\n", "line 2 has 3 fields, and the first line 2"),
        ("a.csv", b'a,b\n"1\n2",3\n4,5,6\n', "line 4 has 3 fields, and the first line 2"),
        ("a.csv", b'a,b\n1,"2\n3,4\n', "the quotation mark in line 2 is opened and never closed"),
        ("a.csv", b"a,b\n1,\xe9\n", "line 2 is not UTF-8 from its byte 3 on"),
        ("a.csv", b"", "it is empty"),
        ("a.jsonl", b'{"a":1}\n\n{"a":\n', "line 3 is not JSON: Input data was truncated"),
        ("a.ndjson", b'{"a":1}\n\xff\n', "line 2 is not UTF-8 from its byte 1 on"),
        ("a.csv", b"a,b\n1,2\n", "what the reader said"),
        ("a.parquet", b"no", "what the reader said"),
        ("gone.csv", None, "what the reader said"),
    ],
)
def test_the_fault_of_a_file_is_told_by_its_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    """The first line that does not fit is named; where none is found, the first line of what was said of the file."""
    place = tmp_path / name
    if content is not None:
        place.write_bytes(content)
    assert why_unreadable(place, ValueError("what the reader said\n\nand much more")) == said
