"""Windows of live rows beside training rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from noria.decisions.replay.rows import Window, rows_of_span

START = datetime.fromisoformat("2025-01-01")


def hours(n: int, step: int, start: datetime = START) -> pl.DataFrame:
    return pl.DataFrame({"at": [start + timedelta(hours=step * i) for i in range(n)], "x": range(n)})


def window(raw: pl.DataFrame) -> Window:
    target = np.zeros(raw.height)
    return Window(
        number=0,
        raw=raw,
        target=pl.Series("y", target),
        actual=target,
        known_at=np.zeros(raw.height, dtype=np.int64),
    )


@pytest.mark.parametrize(("step", "rows"), [(1, 168), (4, 42), (8, 21)])
def test_a_window_spans_as_many_training_rows_as_its_time(step: int, rows: int) -> None:
    """A week of hours beside training rows of every hour, every fourth, every eighth."""
    live = window(hours(168, 1, START + timedelta(days=700)))

    assert rows_of_span(hours(1_000, step), live, "at") == rows


def test_without_an_order_in_time_there_is_no_span() -> None:
    """Training rows that were shuffled, a column that is not there, a single row."""
    live = window(hours(24, 1))
    shuffled = hours(200, 1).sample(fraction=1.0, shuffle=True, seed=1)

    assert rows_of_span(shuffled, live, "at") is None
    assert rows_of_span(hours(200, 1), live, None) is None
    assert rows_of_span(hours(200, 1), live, "when") is None
    assert rows_of_span(hours(200, 1), window(hours(1, 1)), "at") is None
