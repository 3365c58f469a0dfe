"""Repairs of columns of codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from noria.decisions.replay.repairs import Mending, mendings
from noria.decisions.stages.guards import Sign

N = 400


def ways(
    kind: str, known: pl.DataFrame, live: pl.DataFrame, shows: Callable[[dict[str, np.ndarray]], bool]
) -> list[Mending]:
    def columns(frame: pl.DataFrame) -> dict[str, np.ndarray]:
        return {
            name: frame[name].cast(pl.Float64).to_numpy()
            if frame[name].dtype == pl.Boolean
            else np.array(frame[name].to_list(), dtype=object)
            for name in frame.columns
        }

    sign = Sign(column="c", kind=kind, size=0.5, natural=0.0, sentence="", values={"value": 1.0})
    return mendings(sign, known, columns(known), columns(live), shows=shows, still=shows)


def test_a_negated_flag_is_negated_back() -> None:
    """Its two values are exchanged, which is tried before it is estimated."""
    rng = np.random.default_rng(1)
    known, live = (pl.DataFrame({"c": rng.random(N) < 0.8}) for _ in range(2))
    wrong = live.with_columns(~pl.col("c"))

    first = ways("default", known, wrong, lambda columns: bool(columns["c"].mean() < 0.5))[0]

    assert first.exact
    assert first.apply(wrong).equals(live)
    assert first.apply(live).equals(live), "rows that are right stay as they are"


@pytest.mark.parametrize("letters", [2, 3])
def test_codes_that_were_cut_off_are_completed(letters: int) -> None:
    """Each begins one known code; where it begins two, nothing is guessed."""
    rng = np.random.default_rng(2)
    known, live = (pl.DataFrame({"c": rng.choice(["madrid", "malaga", "sevilla"], N)}) for _ in range(2))
    cut = live.with_columns(pl.col("c").str.head(letters))

    found = ways("unseen", known, cut, lambda columns: "madrid" not in columns["c"])

    whole = [mending for mending in found if mending.exact and mending.apply(cut).equals(live)]
    assert bool(whole) is (letters == 3)
