"""Rows of a batch's input are read ahead, and chunks are handed out so that this pays."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Conflict
from noria.serving.batch.chunks import Ahead
from noria.serving.batch.processes import place_of_next
from noria.serving.batch.rows import TableRows, table_rows

N_ROWS, N_AT_ONCE = 1_003, 50


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[TableRows, pl.DataFrame]:
    """Give a file of groups of 128 rows, and what is in it."""
    path = tmp_path_factory.mktemp("table") / "in.parquet"
    frame = pl.DataFrame({"n": np.arange(N_ROWS), "text": [f"row {n}" for n in range(N_ROWS)], "no": 0.0})
    frame.write_parquet(path, row_group_size=128)
    return table_rows(path), frame


@given(
    chunks=st.lists(st.integers(0, N_ROWS // N_AT_ONCE), max_size=40),
    max_bytes=st.sampled_from([1, 5_000, 1 << 20]),
)
def test_whatever_is_kept_the_rows_are_those_of_the_file(
    table: tuple[TableRows, pl.DataFrame], chunks: list[int], max_bytes: int
) -> None:
    """In any order, and again: each time exactly the rows and columns that were asked for."""
    rows, frame = table
    ahead = Ahead(rows, N_AT_ONCE, max_bytes)
    for chunk in chunks:
        start, stop = chunk * N_AT_ONCE, min((chunk + 1) * N_AT_ONCE, N_ROWS)
        found = ahead.frame(start, stop, ["text", "n"])
        assert found.equals(frame.select("text", "n").slice(start, stop - start))


def test_what_was_read_ahead_outlives_a_change_and_what_was_not_is_refused(tmp_path: Path) -> None:
    """Rows that are kept are of the file as it was; others would be of another file."""
    path = tmp_path / "in.parquet"
    pl.DataFrame({"n": np.arange(100)}).write_parquet(path)
    ahead = Ahead(table_rows(path), 10, max_bytes=8 * 30)
    ahead.frame(0, 10, ["n"])
    ahead.frame(10, 20, ["n"])
    pl.DataFrame({"n": np.arange(200)}).write_parquet(path)

    assert ahead.frame(20, 30, ["n"])["n"].to_list() == list(range(20, 30))
    with pytest.raises(Conflict, match="was changed"):
        ahead.frame(90, 100, ["n"])


@given(n_chunks=st.integers(1, 60), n_workers=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_every_chunk_is_handed_out_once(n_chunks: int, n_workers: int, order: random.Random) -> None:
    """However the processes come back, each chunk has its turn, and nobody leaves his way before its end."""
    waiting = list(range(n_chunks))
    last: dict[int, int | None] = dict.fromkeys(range(n_workers))
    made: list[int] = []
    while waiting:
        worker = order.choice(range(n_workers))
        at_work = {chunk for other, chunk in last.items() if other != worker and chunk is not None}
        before = last[worker]
        chunk = waiting.pop(place_of_next(waiting, before, at_work))
        if before is not None and before + 1 in [chunk, *waiting]:
            assert chunk == before + 1
        last[worker] = chunk
        made.append(chunk)
    assert sorted(made) == list(range(n_chunks))
