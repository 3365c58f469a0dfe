"""Columns that moved: on constructed values, of rows that are dealt out and of rows in their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from noria.decisions.stages.guards import reference_blocks
from noria.decisions.stages.moves import Moves

N, BLOCK = 2000, 200


def columns(seed: int, n: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {
        "number": rng.gamma(2, 2, n),
        "code": np.asarray(rng.choice(list("abc"), n, p=[0.6, 0.3, 0.1]), dtype=object),
    }


def test_rows_of_the_same_world_do_not_move() -> None:
    """All looks share one level: of 100 worlds with 20 looks each two at most say that a column moved."""
    n_alarms = 0
    for seed in range(100):
        moves = Moves(columns(seed, N), reference_blocks(N, BLOCK))
        n_alarms += any(
            moves.moved(columns(10_000 + 20 * seed + look, BLOCK), n_looks=look + 1) for look in range(20)
        )

    assert n_alarms <= 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("number", lambda c: c["number"] + 1.5),
        ("number", lambda c: c["number"][c["number"] > 3]),
        ("code", lambda c: np.where(c["code"] == "a", "c", c["code"])),
        ("code", lambda c: np.where(c["code"] == "b", "never seen", c["code"])),
    ],
)
def test_what_moved_is_named(name: str, change: object) -> None:
    """The column whose values became others, or frequent, and no other one."""
    moves = Moves(columns(0, N), reference_blocks(N, BLOCK))
    live = columns(1, BLOCK)

    assert set(moves.moved(live | {name: change(live)})) == {name}  # type: ignore[operator]


def test_what_blocks_did_by_themselves_is_nature() -> None:
    """A column that wanders in training may wander on; one that leaps beyond that has moved."""
    wander = np.sin(np.arange(N) / 150) + np.random.default_rng(0).normal(0, 0.3, N)
    moves = Moves({"x": wander}, reference_blocks(N, BLOCK))

    assert not moves.moved({"x": wander[300:500]})
    assert not moves.moved({"x": np.sin(np.arange(N, N + BLOCK) / 150)})

    dealt = Moves({"x": np.random.default_rng(1).permutation(wander)}, reference_blocks(N, BLOCK))
    assert dealt.moved({"x": wander[300:500]})


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    """What a column moved beyond chance agrees with SciPy's distance."""
    before, after = np.random.default_rng(0).normal(size=150), np.random.default_rng(1).normal(1, 1, 120)

    found = Moves({"x": before}, []).moved({"x": after})["x"]

    chance = np.sqrt(-0.5 * np.log(0.01 / 4)) * np.sqrt(1 / 150 + 1 / 120)
    assert found == pytest.approx(ks_2samp(before, after).statistic - chance)


def test_a_calm_window_widens_nature() -> None:
    """What was accepted is no move any more."""
    moves = Moves(columns(0, N), reference_blocks(N, BLOCK))
    live = columns(1, BLOCK) | {"number": columns(1, BLOCK)["number"] + 1.5}

    assert moves.moved(live)
    moves.accept(live)

    assert not moves.moved(live)


def test_windows_without_values_move_nowhere() -> None:
    """One row, all missing, and no column at all."""
    moves = Moves(columns(0, N), reference_blocks(N, BLOCK))

    assert not moves.moved({"number": np.array([99.0])})
    assert not moves.moved({"number": np.full(BLOCK, np.nan)})
    assert not Moves({}, []).moved({"x": np.zeros(100)})
