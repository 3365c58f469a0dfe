"""Data files: any cutting of the same rows gives the same files, and statistics are those of the rows."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from noria.data.delta.parquet import row_groups, write_parts


def numbered(n: int, first: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"n": range(first, first + n)}, schema={"n": pl.Int64()})


@given(lengths=st.lists(st.integers(0, 50), max_size=12))
def test_groups_do_not_depend_on_the_pieces(lengths: list[int]) -> None:
    """However rows come in, they are cut in the same places, into groups of a quarter to the whole of the limit."""
    whole = numbered(sum(lengths))
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    pieces = [whole.slice(s, n) for s, n in zip(starts, lengths, strict=True)]
    groups = list(row_groups(iter(pieces), most_rows=20, cut_once_in=8))
    at_once = list(row_groups(iter([whole]), most_rows=20, cut_once_in=8))

    assert [group.height for group in groups] == [group.height for group in at_once]
    assert all(5 <= group.height <= 20 for group in groups[:-1])
    assert pl.concat([whole.clear(), *groups]).equals(whole)


def test_a_row_put_in_moves_no_group_but_its_own() -> None:
    """Behind the place groups are cut before the same rows as without it."""
    whole = numbered(5_000)
    changed = pl.concat([whole.head(100), numbered(1, -1), whole.slice(100)])
    before, after = (
        list(row_groups(iter([rows]), most_rows=400, cut_once_in=64)) for rows in (whole, changed)
    )

    assert len(before) == len(after) > 10
    differing = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if not old.equals(new)]
    assert len(differing) <= 2


def test_rows_that_give_no_place_to_cut_end_at_the_limit() -> None:
    """Equal rows, and rows of lists alone, are cut by number."""
    equal = pl.DataFrame({"n": [1] * 25})
    lists = pl.DataFrame({"l": [[1]] * 25})

    for frame in (equal, lists):
        heights = [group.height for group in row_groups(iter([frame]), most_rows=10, cut_once_in=1 << 40)]
        assert heights == [10, 10, 5]


def test_a_full_file_is_ended_after_its_group(tmp_path: Path) -> None:
    """Many rows become several files, in order."""
    frame = numbered(35)
    parts = write_parts([frame], frame.schema, tmp_path, file_bytes=1, group_rows=10)

    assert len(parts) >= 4
    assert sum(part.n_rows for part in parts) == 35
    assert pl.concat([pl.read_parquet(part.path) for part in parts]).equals(frame)


def test_no_rows_are_no_files(tmp_path: Path) -> None:
    """An empty file would say nothing."""
    frame = pl.DataFrame(schema={"n": pl.Int64()})

    assert write_parts([frame], frame.schema, tmp_path) == []


def test_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    """Numbers and days have least and greatest values, unless some are not numbers; missing ones are counted."""
    frame = pl.DataFrame(
        {
            "n": [3, None, -1],
            "x": [0.5, 2.5, None],
            "nan": [1.0, float("nan"), 2.0],
            "text": ["a", None, None],
            "day": [date(2026, 1, 2), date(2026, 1, 1), None],
            "list": [[1], None, [2]],
            "none": pl.Series([None, None, None], dtype=pl.Int64),
        }
    )
    (part,) = write_parts([frame.head(2), frame.slice(2)], frame.schema, tmp_path)

    assert json.loads(part.statistics) == {
        "numRecords": 3,
        "minValues": {"n": -1, "x": 0.5, "day": "2026-01-01"},
        "maxValues": {"n": 3, "x": 2.5, "day": "2026-01-02"},
        "nullCount": {"n": 1, "x": 1, "nan": 0, "text": 2, "day": 1, "none": 3},
    }


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    """A file is a function of its rows, so that the same rows are stored once."""
    frame = pl.DataFrame({"n": range(1000), "t": [f"v{i % 7}" for i in range(1000)]})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (one,) = write_parts([frame], frame.schema, tmp_path / "a")
    (two,) = write_parts([frame.head(10), frame.slice(10)], frame.schema, tmp_path / "b")

    assert one.path.read_bytes() == two.path.read_bytes()
