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


def test_rows_in_another_unit_are_told_by_the_other_columns() -> None:
    """Of rows in thousands, those that lie among the others are found by what the others say of them."""
    rng = np.random.default_rng(3)

    def drawn(n: int) -> pl.DataFrame:
        level = rng.normal(0, 1.5, n)
        return pl.DataFrame({"c": np.exp(level + rng.normal(0, 0.1, n)), "level": level, "of": rng.random(n)})

    known, live = drawn(2_000), drawn(N)
    part = np.arange(N) % 3 == 0
    wrong = live.with_columns(pl.Series("c", np.where(part, live["c"] / 1000, live["c"])))
    sign = Sign(column="c", kind="outside", size=0.3, natural=0.0, sentence="", values={"far": 0.3})

    def columns(frame: pl.DataFrame) -> dict[str, np.ndarray]:
        return {name: frame[name].to_numpy() for name in frame.columns}

    found = mendings(sign, known, columns(known), columns(wrong), shows=lambda _: True, still=lambda _: True)

    factor = next(mending for mending in found if mending.exact)
    assert "divided by 0.001" in factor.words
    assert "what the other columns say" in factor.words
    mended = factor.apply(wrong)["c"].to_numpy()
    assert float(np.mean(np.isclose(mended, live["c"].to_numpy()))) > 0.99
