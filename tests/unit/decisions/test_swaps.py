"""Two columns that have each other's values."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Remedy
from noria.decisions.replay.case import signs_of
from noria.decisions.replay.remedies import refuted_columns
from noria.decisions.replay.repairs import mendings
from noria.decisions.replay.trial import Trial
from noria.decisions.replay.watch import Inputs
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.swaps import SWAPPED

SIZE = 150


def draw(n: int, rng: np.random.Generator, *, warmer: float = 0.0) -> dict[str, np.ndarray]:
    """Draw related columns (`inside` and `outside` lie near one another), and two that nothing tells."""
    outside = rng.normal(10 + warmer, 4, n)
    return {
        "outside": outside,
        "inside": 12 + 0.5 * outside + rng.normal(0, 0.5, n),
        "ground": outside - 1 + rng.normal(0, 1, n),
        "stock": rng.gamma(2.0, 10.0, n),
        "price": rng.normal(100, 5, n),
        "kind": rng.choice(["a", "b", "c"], n).astype(object),
        "place": rng.choice(["north", "south"], n).astype(object),
    }


@pytest.fixture(scope="module")
def calm() -> Inputs:
    """Give a monitor that saw two calm windows."""
    rng = np.random.default_rng(0)
    inputs = Inputs(draw(1_200, rng), SIZE)
    for number in range(2):
        assert signs_of(inputs.see(number, draw(SIZE, rng))) == []
    return inputs


@pytest.fixture
def inputs(calm: Inputs) -> Inputs:
    return copy.deepcopy(calm)


@pytest.mark.parametrize(
    ("one", "other"), [("outside", "inside"), ("stock", "price"), ("kind", "place"), ("ground", "price")]
)
def test_swapped_columns_are_named_and_put_back(inputs: Inputs, one: str, other: str) -> None:
    """Whether or not other columns hang together with them; and nothing else is named."""
    rng = np.random.default_rng(1)
    right = draw(SIZE, rng)
    wrong = {**right, one: right[other], other: right[one]}

    signs = signs_of(inputs.see(2, wrong))

    assert [(sign.kind, {sign.column, sign.values["swapped"]}) for sign in signs] == [
        ("swapped", {one, other})
    ]
    assert signs[0].hard
    known = pl.DataFrame({name: values.tolist() for name, values in inputs.reference.items()})
    found = mendings(signs[0], known, inputs.reference, wrong, shows=lambda _: False, still=lambda _: True)
    assert [mending.exact for mending in found] == [True]
    frame = pl.DataFrame({name: values.tolist() for name, values in wrong.items()})
    mended = pl.DataFrame({name: values.tolist() for name, values in right.items()})
    assert found[0].apply(frame).equals(mended)
    assert found[0].apply(mended).equals(mended), "rows that are right stay as they are"


@pytest.mark.parametrize("warmer", [-6.0, 6.0, 12.0])
def test_a_world_that_moves_is_no_swap(inputs: Inputs, warmer: float) -> None:
    """One column of a family comes to lie where another one was, and keeps its relations."""
    rng = np.random.default_rng(2)

    found = [inputs.see(4 + number, draw(SIZE, rng, warmer=warmer)) for number in range(6)]

    assert [sign for scene in found for sign in scene.signs if sign.kind == "swapped"] == []


def test_columns_that_trade_places_with_their_world_are_no_swap() -> None:
    """Where a mix of rows gives each of two related columns the look of the other, their relations hold."""
    rng = np.random.default_rng(3)

    def mixed(n: int, share: float) -> dict[str, np.ndarray]:
        left = rng.random(n) < share
        return {
            "left": np.where(left, 8, 2) + rng.normal(0, 1, n),
            "right": np.where(left, 2, 8) + rng.normal(0, 1, n),
            "side": np.where(left, "l", "r").astype(object),
        }

    inputs = Inputs(mixed(3_000, 0.8), SIZE)
    for number in range(4):
        inputs.see(number, mixed(SIZE, 0.8))

    found = [inputs.see(4 + number, mixed(SIZE, 0.2)) for number in range(4)]

    assert [sign for scene in found for sign in scene.signs if sign.kind == "swapped"] == []


def test_a_season_hides_no_swap() -> None:
    """A winter week is far from all of the year; what columns were like the week before tells them apart."""
    rng = np.random.default_rng(4)

    def weeks(n: int, *, start: float) -> dict[str, np.ndarray]:
        season = -9 * np.cos(2 * np.pi * (start + np.arange(n) / 168) / 52)
        return {
            "warmth": 12 + season + rng.normal(0, 2, n),
            "wind": rng.gamma(4.0, 2.0, n),
            "lot": rng.normal(size=n),
        }

    inputs = Inputs(weeks(52 * 168, start=0.0), 168)
    for number in range(3):
        scene = inputs.see(number, weeks(168, start=float(number)))
        assert signs_of(scene) == []
        inputs.calm(scene)
    live = weeks(168, start=3.0)
    wrong = {**live, "warmth": live["wind"], "wind": live["warmth"]}

    assert [sign.kind for sign in signs_of(inputs.see(3, live))] == []
    assert [sign.kind for sign in signs_of(inputs.see(4, wrong))] == ["swapped"]


def test_columns_that_keep_values_of_their_own_are_not_swapped() -> None:
    """A calm warm week after a windy cold one: each comes to lie where the other lay, on its own scale of marks."""
    rng = np.random.default_rng(5)

    def week(n: int, warm: float, wind: float, spread: float = 2.0) -> dict[str, np.ndarray]:
        return {
            "warmth": np.round(rng.normal(warm, spread, n) / 0.94) * 0.94,
            "wind": np.round(rng.normal(wind, spread, n) / 1.85) * 1.85,
        }

    inputs = Inputs(week(1_200, 12.0, 12.0, 6.0), SIZE)
    for number in range(4):
        inputs.calm(inputs.see(number, week(SIZE, 7.0, 17.0)))

    assert [s.kind for s in inputs.see(4, week(SIZE, 17.0, 7.0)).signs if s.kind == "swapped"] == []
    values = week(SIZE, 7.0, 17.0)
    swapped = {"warmth": values["wind"], "wind": values["warmth"]}
    assert [s.kind for s in inputs.see(5, swapped).signs] == ["swapped"]


def _mend(high: float, *, estimated: bool = False) -> Trial:
    return Trial(
        remedy=Remedy.REPAIR_INPUTS,
        path=None,
        note="",
        value=high - 1.0,
        low=high - 2.0,
        high=high,
        cost=0.1,
        estimated=estimated,
        repairs=True,
    )


@pytest.mark.parametrize(
    ("kind", "size", "tried", "expected"),
    [
        (SWAPPED, 1.0, [_mend(-0.5)], {"warmth", "wind"}),
        (SWAPPED, 1.0, [_mend(0.0)], set()),
        (SWAPPED, 1.0, [_mend(-0.5), _mend(0.5)], set()),
        (SWAPPED, 1.0, [_mend(-0.5, estimated=True)], set()),
        (SWAPPED, 1.0, [_mend(-0.5), _mend(0.5, estimated=True)], {"warmth", "wind"}),
        (SWAPPED, 1.0, [], set()),
        ("rescaled", 0.5, [_mend(-0.5)], {"warmth"}),
        ("rescaled", 0.5, [_mend(0.5)], set()),
        ("rescaled", 5.0, [_mend(-0.5)], set()),
        ("missing", 1.0, [_mend(-0.5)], set()),
    ],
)
def test_labelled_rows_that_surely_lose_more_refute_a_swap_or_another_unit(
    kind: str, size: float, tried: list[Trial], expected: set[str]
) -> None:
    """Exact values alone can do so: an estimate that does not help says nothing, and a plain factor is no weather."""
    sign = Sign(column="warmth", kind=kind, size=size, natural=0.0, sentence="", values={SWAPPED: "wind"})

    assert refuted_columns([sign], tried) == expected
