"""Data files: any cutting of the same rows gives the same files, and statistics are those of the rows."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.data.delta import parquet
from noria.data.delta.parquet import row_groups, write_parts


@given(lengths=st.lists(st.integers(0, 50), max_size=12))
def test_rows_are_cut_into_groups_of_equal_length(lengths: list[int]) -> None:
    """How rows came in makes no difference to the groups."""
    total = sum(lengths)
    whole = pl.DataFrame({"n": range(total)}, schema={"n": pl.Int64()})
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    groups = list(row_groups(whole.slice(s, n) for s, n in zip(starts, lengths, strict=True)))

    assert all(group.height for group in groups)
    assert pl.concat(groups).equals(whole) if groups else total == 0


def test_groups_end_at_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds one group, whatever the length of the pieces."""
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 10)
    frames = [pl.DataFrame({"n": range(n)}) for n in (3, 25, 4)]

    assert [group.height for group in row_groups(iter(frames))] == [10, 10, 10, 2]


def test_a_full_file_is_ended_after_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows become several files, in order."""
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 10)
    frame = pl.DataFrame({"n": range(35)})
    parts = write_parts([frame], frame.schema, tmp_path, file_bytes=1)

    assert [part.n_rows for part in parts] == [10, 10, 10, 5]
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
