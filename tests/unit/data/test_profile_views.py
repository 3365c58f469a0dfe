"""The profile of a data set as its page shows it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.serialisation import to_builtins
from noria.core.stats.profiles import profile_table
from noria.data.profile_views import HEIGHT, WIDTH, column_rows, density_bars


def test_a_profile_of_real_columns_is_shown() -> None:
    """Figures are those of the columns, and areas of bars are in proportion to rows."""
    values = np.random.default_rng(0).normal(size=2_000)
    kinds: Any = ["a", "b", "a", None] * 500
    profile = to_builtins(profile_table({"x": values, "kind": kinds}))
    (x, kind), n_columns = column_rows(profile, 0, 10)
    areas = [bar.width * bar.height for bar in x.bars]

    assert n_columns == 2
    assert x.mean == pytest.approx(values.mean())
    assert x.median == pytest.approx(np.quantile(values, 0.5), abs=0.05)
    # Bins hold equally many rows, so their areas are equal.
    assert max(areas) / min(areas) < 1.3
    assert (kind.missing, kind.top) == (0.25, (("a", 0.5), ("b", 0.25)))


def test_columns_are_given_by_the_page() -> None:
    """A page has its columns only, and the count is of all."""
    profile = {"columns": {f"c{i}": {"kind": "numeric"} for i in range(7)}}
    shown, n_columns = column_rows(profile, 5, 5)

    assert ([row.name for row in shown], n_columns) == (["c5", "c6"], 7)


@pytest.mark.parametrize(
    "profile",
    [{}, {"columns": 3}, {"columns": {"a": 3}}, {"columns": {"a": {"counts": "x"}}}, {"columns": {"a": {}}}],
)
def test_a_profile_of_another_form_breaks_nothing(profile: dict[str, Any]) -> None:
    """What a client made up is shown by the name of the column at most."""
    shown, n_columns = column_rows(profile, 0, 10)

    assert len(shown) == n_columns
    assert all(row.bars == () and row.mean is None for row in shown)


@given(
    st.lists(st.floats(-1e9, 1e9), max_size=12).map(sorted),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=13),
    st.floats(-1e9, 1e9),
    st.floats(0, 1e9),
)
def test_bars_stay_within_the_drawing(
    edges: list[float], counts: list[int], minimum: float, span: float
) -> None:
    """Whatever the figures are, no bar leaves the drawing, and the highest reaches its top."""
    bars = density_bars(edges[: len(counts) - 1], counts[: len(edges) + 1], minimum, minimum + span)

    for bar in bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.02
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.02
    assert not bars or math.isclose(max(bar.height for bar in bars), HEIGHT)
