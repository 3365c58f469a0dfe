"""Reports of counted streams say what reports of the rows say."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from noria.core.errors import Invalid
from noria.core.stats.counters import TableCounter, empty_counts
from noria.core.stats.profiles import compare, profile_table
from noria.data.profiling.sources import ArraysTable
from noria.monitoring.reports.comparing import compare_tables
from noria.monitoring.reports.counted import compare_counts_with
from noria.monitoring.reports.entities import DriftComparison


def test_a_counted_stream_is_judged_as_its_rows_are() -> None:
    """The same verdicts, the same distances; the test is chi-squared of the cells."""
    rng = np.random.default_rng(4)
    before = {
        "same": rng.normal(size=2_000),
        "moved": rng.normal(size=2_000),
        "gone": rng.normal(size=2_000),
        "kind": rng.choice(list("abc"), 2_000),
    }
    after = {
        "same": rng.normal(size=900),
        "moved": rng.normal(1, size=900),
        "gone": np.where(rng.random(900) < 0.5, np.nan, rng.normal(size=900)),
        "kind": rng.choice(list("abz"), 900),
    }
    profile = profile_table(before)
    counter = TableCounter(profile)
    for start in range(0, 900, 100):
        counter.update({name: values[start : start + 100] for name, values in after.items()})
    found = compare_counts_with(profile, counter.counts)
    rows = compare_tables(ArraysTable(before), ArraysTable(after))
    told = {column.name: column for column in found.columns}
    expected = {column.name: column for column in rows.columns}

    assert {name for name, column in told.items() if column.drifted} == {"moved", "gone", "kind"}
    for name, column in told.items():
        assert (column.differs, column.drifted) == (expected[name].differs, expected[name].drifted)
        assert column.psi == pytest.approx(expected[name].psi)
        assert column.missing_current == expected[name].missing_current
        assert column.jensen_shannon == pytest.approx(compare(profile, after)[name].jensen_shannon)
    cells = np.array([profile.columns["moved"].counts, counter.counts.columns["moved"].cells[:-1]])
    tested = stats.chi2_contingency(cells[:, cells.sum(axis=0) > 10], correction=False)
    assert told["moved"].statistic == pytest.approx(tested.statistic, rel=0.05)
    assert told["moved"].mean_current == pytest.approx(after["moved"].mean(), abs=1e-3)
    assert told["kind"].new_values == ["z"]
    assert told["kind"].new_share == pytest.approx(expected["kind"].new_share)
    assert msgspec.json.decode(msgspec.json.encode(found), type=DriftComparison) == found


def test_odd_streams() -> None:
    """Nothing counted is refused; a row tells nothing; a column that came to life or froze is drift."""
    profile = profile_table({"x": np.full(100, np.nan), "y": np.linspace(0, 1, 100)})
    one, some = TableCounter(profile), TableCounter(profile)
    one.update({"x": [1.0], "y": [1.0]})
    some.update({"x": np.linspace(0, 1, 50), "y": np.full(50, 0.5)})
    found = compare_counts_with(profile, some.counts)

    with pytest.raises(Invalid, match="no rows"):
        compare_counts_with(profile, empty_counts(profile))
    with pytest.raises(Invalid, match="was not counted"):
        compare_counts_with(profile_table({"z": [1.0] * 30}), some.counts)
    assert [c.name for c in compare_counts_with(profile, one.counts).not_compared] == ["x", "y"]
    assert {c.name: c.test for c in found.columns if c.drifted} == {"x": "missing", "y": "chi_squared"}
