"""Training rows that were dealt at random, live rows that follow one another."""

from __future__ import annotations

import numpy as np

from noria.decisions.replay.case import signs_of
from noria.decisions.replay.watch import Inputs

SIZE = 200


def walk(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a slow wave, a copy of it with noise, and values that stay for a while."""
    wave = np.sin(np.arange(n) / 60) * 5 + rng.normal(0, 0.3, n)
    return {
        "wave": wave,
        "echo": 2 * wave + rng.normal(0, 0.5, n),
        "held": np.repeat(rng.normal(size=n // 10), 10),
    }


def windows(live: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    return [
        {name: values[start : start + SIZE] for name, values in live.items()}
        for start in range(0, len(live["wave"]), SIZE)
    ]


def dealt(rng: np.random.Generator) -> Inputs:
    known = walk(2_000, rng)
    order = rng.permutation(2_000)
    return Inputs({name: values[order] for name, values in known.items()}, SIZE)


def test_live_rows_in_order_are_no_fault() -> None:
    """That values follow one another, and that a window holds a part of the wave only, is learnt first."""
    rng = np.random.default_rng(1)
    inputs = dealt(rng)

    found = [inputs.see(number, part) for number, part in enumerate(windows(walk(2_000, rng)))]

    assert [sign for scene in found for sign in signs_of(scene)] == []


def test_a_unit_is_told_all_the_same() -> None:
    """A column in thousandths is a fault in any order."""
    rng = np.random.default_rng(2)
    inputs = dealt(rng)
    parts = windows(walk(2_000, rng))

    for number, part in enumerate(parts[:6]):
        inputs.see(number, part)
    scene = inputs.see(6, {**parts[6], "echo": parts[6]["echo"] * 1000})

    assert "echo" in {sign.column for sign in signs_of(scene)}


def test_a_column_that_is_gone_from_the_first_window_is_told() -> None:
    """What no order of rows explains is not learnt away."""
    rng = np.random.default_rng(3)
    inputs = dealt(rng)
    first = windows(walk(2_000, rng))[0]

    scene = inputs.see(0, {**first, "held": np.full(SIZE, np.nan)})

    assert {sign.column for sign in signs_of(scene)} == {"held"}


def test_what_the_first_live_window_shows_is_learnt_unless_it_is_plain() -> None:
    """A relation that is weaker in live rows from the start is how they come; a unit is a fault at once."""
    rng = np.random.default_rng(4)
    known = walk(2_000, rng)
    live = walk(400, rng)
    weaker = {**live, "echo": live["echo"] + rng.normal(0, 8, 400)}

    inputs = Inputs(known, SIZE)
    first, second = windows(weaker)
    plain = Inputs(known, SIZE).see(0, {**first, "echo": first["echo"] * 1000})

    assert [signs_of(inputs.see(number, part)) for number, part in enumerate((first, second))] == [[], []]
    assert "echo" in {sign.column for sign in signs_of(plain)}
