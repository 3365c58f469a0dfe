"""Columns that came with other rows."""

from __future__ import annotations

import numpy as np
import pytest

from noria.decisions.stages.alignment import Alignment
from noria.decisions.stages.guards import reference_blocks

ROWS = 1_500


def world(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw rows in which `heat` follows `hour` crookedly, `load` follows `heat`, and `cost` both."""
    hour = rng.integers(0, 24, n).astype(np.float64)
    heat = np.cos((hour - 14) / 24 * 2 * np.pi) * 8 + rng.normal(0, 1, n)
    load = 0.1 * (heat - 2) ** 2 + rng.normal(0, 0.5, n)
    cost = load * 3 + heat + rng.normal(0, 1, n)
    return {"hour": hour, "heat": heat, "load": load, "cost": cost, "noise": rng.normal(size=n)}


@pytest.fixture(scope="module")
def alignment() -> Alignment:
    known = world(ROWS, np.random.default_rng(1))
    return Alignment(known, reference_blocks(ROWS, 200))


@pytest.mark.parametrize("lag", [1, 3, -2, 12])
def test_a_late_column_is_named_with_its_lag(alignment: Alignment, lag: int) -> None:
    """Relations that are no lines tell it, where a matrix of correlations says little."""
    live = world(250, np.random.default_rng(2))
    live["heat"] = np.roll(live["heat"], lag)

    (sign,) = alignment.signs(live)

    assert (sign.column, sign.kind, sign.values["lag"]) == ("heat", "lagged", lag)
    assert sign.hard is (abs(lag) <= 10), "half a day or a day later may be like now"


def test_calm_rows_and_moved_worlds_show_nothing(alignment: Alignment) -> None:
    """Neither calm windows, nor nights only, nor a column that is shuffled or gone are late."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        assert alignment.signs(world(100, rng)) == []
    many = world(3_000, rng)
    night = many["hour"] < 6
    assert alignment.signs({name: values[night] for name, values in many.items()}) == []
    assert alignment.signs({**many, "heat": rng.permutation(many["heat"])}) == []
    assert alignment.signs({**many, "heat": np.full(3_000, np.nan)}) == []


def test_a_lag_of_a_slow_series_is_not_late() -> None:
    """What it was a day ago hangs together with what it is at many lags, and few of its rows count."""
    rng = np.random.default_rng(0)
    n = 6_000
    level = np.cumsum(rng.normal(size=n))
    level -= 0.8 * np.convolve(level, np.ones(1_500) / 1_500, "same")
    now = 3 * level / level.std() + 6 * np.convolve(rng.normal(size=n), np.ones(12) / 12, "same")
    rows = {"now": now, "earlier": np.roll(now, 48) + rng.normal(0, 0.3, n), "clock": np.arange(n) % 288.0}
    alignment = Alignment(
        {name: values[300:2_300] for name, values in rows.items()}, reference_blocks(2_000, 250)
    )

    told = [
        alignment.signs({name: values[start : start + 250] for name, values in rows.items()})
        for start in range(2_300, 5_800, 250)
    ]

    assert not any(told)


def test_few_rows_say_nothing(alignment: Alignment) -> None:
    """A handful of rows has no lag."""
    live = world(8, np.random.default_rng(5))
    live["heat"] = np.roll(live["heat"], 2)

    assert alignment.signs(live) == []
