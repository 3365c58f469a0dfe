"""The rules that the table sets beside Noria, on small constructed courses."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import rules
from losses import Answers, loss
from rules import Course
from simulated import Rows


class World:
    """Windows whose target is `slope` times x; what is learnt answers by the newest slope that it was taught."""

    metric = "mae"

    def __init__(self, slopes: list[float], *, moved: float = 0.0, retrain_cost: float = 0.0) -> None:
        rng = np.random.default_rng(0)
        self.costs = {"retrain": retrain_cost}
        self.raw = pl.DataFrame({"x": rng.normal(size=400)})
        self.slopes = slopes
        self.windows = []
        for number, slope in enumerate(slopes):
            x = rng.normal(size=200) + (moved if slope != slopes[0] else 0.0)
            noise = 0.1 * rng.normal(size=200)
            self.windows.append(
                Rows(number=number, raw=pl.DataFrame({"x": x}), target=pl.Series("y", slope * x + noise))
            )
        self.n_fits = 0

    def learn(self, windows: list[Rows], _variant: str) -> Any:
        self.n_fits += 1
        return SimpleNamespace(slope=self.slopes[max(w.number for w in windows)])

    def model_at(self, _number: int) -> Any:
        return SimpleNamespace(slope=self.slopes[0])

    def inputs(self, window: Rows) -> pl.DataFrame:
        return window.raw

    def predict(self, model: Any, features: pl.DataFrame) -> Answers:
        return Answers(values=model.slope * features["x"].to_numpy())

    def answers(self) -> dict[int, Answers]:
        return {w.number: self.predict(self.model_at(0), w.raw) for w in self.windows}

    def losses(self, answers: dict[int, Answers]) -> dict[int, float]:
        return {w.number: loss("mae", w.actual, answers[w.number]) for w in self.windows}


def run(world: Any, rule: rules.Rule, delay: int | None = 0) -> tuple[float, int]:
    return rules.saved_by(world, rule, delay, len(world.windows) - 1)


def test_psi_by_hand() -> None:
    """Ten equal bins; half of the new rows moved from the lower half to the last bin."""
    before = np.arange(1000.0)
    after = np.concatenate([np.arange(500.0, 1000.0), np.full(500, 999.0)])
    expected = (
        5 * (1e-4 - 0.1) * math.log(1e-4 / 0.1)  # five empty bins
        + 4 * (0.1 - 0.1) * math.log(1.0)
        + (0.6 - 0.1) * math.log(0.6 / 0.1)
    )
    assert rules.psi(before, after) == pytest.approx(expected, abs=0.02)
    assert rules.psi(before, before) == 0.0


def test_nothing_moved_and_only_the_schedule_retrains() -> None:
    calm = [1.0] * 12
    assert run(World(calm), rules.always) == (0.0, 3)
    for rule in (rules.on_psi, rules.on_ks, rules.on_drop):
        assert run(World(calm), rule) == (0.0, 0)


def test_moved_inputs_are_seen_by_psi_and_ks() -> None:
    moved = World([1.0] * 6 + [1.0 + 1e-9] * 6, moved=2.0)
    assert run(moved, rules.on_psi)[1] >= 1
    assert run(moved, rules.on_ks)[1] >= 1
    assert run(moved, rules.on_drop)[1] == 0


def test_changed_targets_are_seen_by_the_drop_alone() -> None:
    """The challenger learns up to the window before the one that judges, so it is live two windows after."""
    changed = World([1.0] * 6 + [-1.0] * 6)
    assert run(changed, rules.on_psi)[1] == 0
    assert run(changed, rules.on_ks)[1] == 0
    saved, n = run(changed, rules.on_drop)
    losses = changed.losses(changed.answers())
    assert n == 1
    assert saved == pytest.approx(sum(losses[w] for w in range(8, 12)), rel=0.1)


def test_a_challenger_that_does_no_better_is_not_put_live() -> None:
    """The newest window turned back, so that what the window before taught is worse."""
    world = World([1.0] * 6 + [1.0, 3.0, 1.2])
    course = Course(simulated=world, taught=world.raw, known=8)  # type: ignore[arg-type]
    course.losses = {**dict.fromkeys(range(8), 0.08), 0: 0.09, 8: 0.2}
    assert rules.on_drop(course, world.windows[8]) is None
    assert world.n_fits == 1


def test_late_labels_delay_what_is_learnt() -> None:
    changed = [1.0] * 6 + [-1.0] * 12
    at_once, late = (run(World(changed), rules.on_drop, delay)[0] for delay in (0, 7))
    assert 0 < late < at_once


def test_without_labels_nothing_is_retrained() -> None:
    for rule in rules.RULES.values():
        assert run(World([1.0] * 4 + [-1.0] * 8), rule, None) == (0.0, 0)


def test_each_retrain_costs() -> None:
    saved, n = run(World([1.0] * 12, retrain_cost=0.5), rules.always)
    assert n == 3
    assert saved == pytest.approx(-1.5)
