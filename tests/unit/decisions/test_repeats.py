"""Rows that come twice, and inputs of other rows, on constructed values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from noria.decisions.replay.watch import Inputs
from noria.decisions.stages.guards import reference_blocks
from noria.decisions.stages.repeats import ROWS, Repeats, contradicting, copies

Columns = dict[str, NDArray[Any]]


def world(seed: int, n: int) -> Columns:
    rng = np.random.default_rng(seed)
    codes = rng.choice(list("uvw"), n).astype(object)
    codes[rng.random(n) < 0.1] = None
    return {"a": rng.normal(size=n), "c": codes}


def rows(columns: Columns, places: Any) -> Columns:
    return {name: column[places] for name, column in columns.items()}


@pytest.fixture
def repeats() -> Repeats:
    found = Repeats(world(0, 2000), reference_blocks(2000, 300))
    for seed in range(1, 5):
        found.accept(world(seed, 300))
    return found


def test_the_share_of_copies_is_counted() -> None:
    """Missing values equal one another, and no text."""
    columns = {"a": np.array([1.0, 1.0, np.nan, np.nan]), "c": np.array(["", "", None, None], dtype=object)}

    assert copies(columns) == 0.5
    assert copies({"a": columns["a"], "c": np.array(["", None, "", None], dtype=object)}) == 0.0
    assert copies({}) == 0.0


def test_copies_beside_as_many_different_rows(repeats: Repeats) -> None:
    """Rows delivered twice make a window longer; rows that became frequent take the place of others."""
    live = world(9, 300)
    twice = rows(live, np.r_[0:300, 0:120])
    frequent = rows(live, np.r_[0:180, 0:120])
    found = repeats.sign(twice)

    assert found is not None
    assert (found.column, found.kind, found.hard) == (ROWS, "duplicated", True)
    assert found.size == pytest.approx(120 / 420)
    assert repeats.sign(live) is None
    assert repeats.sign(frequent) is None


def test_too_few_windows_tell_nothing() -> None:
    """How long windows are is not known before some have come."""
    live = rows(world(9, 300), np.r_[0:300, 0:120])

    assert Repeats(world(0, 2000), reference_blocks(2000, 300)).sign(live) is None


def test_equal_inputs_with_other_targets() -> None:
    """Rows that have the inputs of others contradict these; copies with their targets do not."""
    rng = np.random.default_rng(0)
    calm, live, targets = world(0, 500), world(1, 500), rng.random(500)
    mixed = np.where(np.arange(500) % 2 == 0, np.arange(500), np.arange(500) - 1)

    assert contradicting((calm, targets), (live, targets)) is None
    assert contradicting((calm, targets), (rows(live, mixed), targets[mixed])) is None
    found = contradicting((calm, targets), (rows(live, mixed), targets))
    assert found is not None
    assert found.size == 1.0


def test_windows_that_drew_the_same_rows_hold_no_copies() -> None:
    """Each window has a row once; that two of them share rows is told of none when both are looked at together."""
    rng = np.random.default_rng(3)
    known = {"a": rng.normal(size=2000), "b": rng.normal(size=2000)}
    inputs = Inputs(known, 200)
    pool = {"a": rng.normal(size=300), "b": rng.normal(size=300)}
    parts = [rows(pool, rng.permutation(300)[:200]) for _ in range(6)]
    for number, part in enumerate(parts):
        inputs.learn(inputs.see(number, part))
    both = {name: np.concatenate([part[name] for part in parts[-2:]]) for name in pool}

    assert inputs.look_at(5, both, is_one=False).signs == []
    twice = rows(parts[-1], np.r_[0:200, 0:120])
    assert [sign.kind for sign in inputs.see(6, twice).signs] == ["duplicated"]


def test_copies_are_not_told_once_a_column_is_lost() -> None:
    """Where one of two columns is estimated from few values of the other, rows are alike without any fault."""
    rng = np.random.default_rng(4)

    def drawn(n: int) -> Columns:
        return {"step": rng.integers(30, size=n).astype(float), "value": rng.normal(size=n)}

    inputs = Inputs(drawn(2000), 200)
    for number in range(4):
        inputs.learn(inputs.see(number, drawn(200)))
    live = drawn(400)
    alike = rows(live, np.r_[0:200, 0:200])

    assert [sign.kind for sign in inputs.look_at(5, alike).signs if sign.column == ROWS] == ["duplicated"]
    inputs.forget_copies()
    assert [sign for sign in inputs.look_at(5, alike).signs if sign.column == ROWS] == []
