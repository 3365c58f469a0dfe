"""Columns that are compared together say what each says alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from noria.core.stats.counters import TableCounter
from noria.core.stats.profiles import profile_table
from noria.monitoring.drift import compare, compare_all, compare_column


def columns_of(rng: np.random.Generator, n: int, shift: float) -> dict[str, np.ndarray]:
    wide = {f"x{i}": rng.normal(shift * (i % 3), 1 + i, n) for i in range(8)}
    missing = rng.normal(shift, 1, n)
    missing[rng.random(n) < 0.1] = np.nan
    few = rng.integers(0, 4, n).astype(float)
    heavy = np.where(rng.random(n) < 0.4, 0.0, rng.exponential(size=n))
    return {**wide, "missing": missing, "few": few, "heavy": heavy, "text": rng.choice(["a", "b"], n)}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shift", [0.0, 0.5, 30.0])
def test_tables_are_compared_as_their_columns(seed: int, shift: float) -> None:
    """With every test, of rows that are quiet, that moved, and that left the reference altogether."""
    rng = np.random.default_rng(seed)
    profile = profile_table(columns_of(rng, 700, 0.0))
    tables = []
    for n in (300, 19, 40):
        counter = TableCounter(profile)
        counter.update(columns_of(rng, n, shift))
        tables.append((profile, counter.counts))

    together = compare_all(tables)

    assert together[1] == {}
    for (reference, counts), found in zip(tables, together, strict=True):
        assert found == compare(reference, counts)
        assert list(found) == (list(reference.columns) if counts.n_rows >= 20 else [])
        for name, comparison in found.items():
            alone = compare_column(reference.columns[name], counts.columns[name])
            assert comparison.test == alone.test
            assert comparison.statistic == pytest.approx(alone.statistic)
            assert comparison.p_value == pytest.approx(alone.p_value)
            assert comparison.psi == pytest.approx(alone.psi)


def test_the_p_value_is_never_below_that_of_the_rows() -> None:
    """At the edges of the bins the distance is at most that at all values, of which SciPy gives the p-value."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        before, after = rng.normal(size=500), rng.normal(rng.choice([0.0, 0.2]), size=250)
        profile = profile_table({"x": before})
        counter = TableCounter(profile)
        counter.update({"x": after})
        exact = stats.ks_2samp(before, after, method="asymp").pvalue

        assert compare(profile, counter.counts)["x"].p_value >= exact * (1 - 2e-3)
