"""How often each test of drift errs on real rows in which nothing changed: two halves of a shuffled data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from noria.core.stats.divergence import domain_classifier
from noria.core.stats.energy import energy_test
from noria.data.profiling.sources import FrameTable
from noria.monitoring.drift import drift_report
from noria.monitoring.reports.comparing import compare_tables

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
LEVEL = 0.05
N_SPLITS = 200
N_ROWS = 500

NUMBERS = ["nswprice", "nswdemand", "temp", "hum", "windspeed", "cnt", "load"]
CATEGORIES = ["class", "day", "season", "weathersit", "weekday"]


def most(n: int) -> int:
    """Give the most rejections of `n` quiet tests at the level; one run in 100,000 has more."""
    return int(stats.binom.ppf(1 - 1e-5, n, LEVEL))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Give rows of three data sets side by side: prices, rentals and weather, and a load with gaps."""
    paths = [
        DATA / "elec2" / "elec2.csv.gz",
        DATA / "bike_sharing" / "hour.csv.gz",
        DATA / "electricity_household_france" / "hourly.csv.gz",
    ]
    for path in paths:
        if not path.exists():
            pytest.skip(f"{path} is not here")
    elec, bikes, france = (pl.read_csv(path) for path in paths)
    load = france["Global_active_power"].cast(pl.Float64).rename("load")
    # More gaps than there are: where values are missing has nothing to do with the half a row falls into.
    load = load.set(pl.Series(np.arange(len(load)) % 9 == 0), None)
    n = min(len(elec), len(bikes), len(load))
    chosen = pl.concat(
        [
            elec.head(n).select("nswprice", "nswdemand", "class", "day"),
            bikes.head(n).select("temp", "hum", "windspeed", "cnt", "season", "weathersit", "weekday"),
            load.head(n).to_frame(),
        ],
        how="horizontal",
    )
    return chosen.with_columns(pl.col(CATEGORIES).cast(pl.String))


@pytest.fixture
def splits(rows: pl.DataFrame) -> Callable[[int], Iterator[tuple[pl.DataFrame, pl.DataFrame]]]:
    """Give a function that draws pairs of samples without a row in common."""

    def drawn(n: int) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        rng = np.random.default_rng(17)
        for _ in range(n):
            places = rng.permutation(len(rows))[: 2 * N_ROWS]
            yield rows[places[:N_ROWS]], rows[places[N_ROWS:]]

    return drawn


def test_reports_rarely_err_about_quiet_columns(
    splits: Callable[[int], Iterator[tuple[pl.DataFrame, pl.DataFrame]]],
) -> None:
    """Kolmogorov-Smirnov, chi-squared, and missing values: at their level or below, and not always silent."""
    p_values: dict[str, list[float]] = {}
    for before, after in splits(N_SPLITS):
        for column in compare_tables(FrameTable(before), FrameTable(after), n_threads=1).columns:
            p_values.setdefault(column.name, []).append(column.p_value)

    assert set(p_values) == {*NUMBERS, *CATEGORIES}
    for name, held in p_values.items():
        assert len(held) == N_SPLITS
        assert sum(p <= LEVEL for p in held) <= most(N_SPLITS), name
        assert sum(p <= 0.5 for p in held) >= 0.25 * N_SPLITS, name


def test_windows_rarely_err_about_quiet_columns(
    splits: Callable[[int], Iterator[tuple[pl.DataFrame, pl.DataFrame]]],
) -> None:
    """The same from the counters of a window; and the adjusted verdict on the window errs no more often."""
    p_values: dict[str, list[float]] = {}
    n_drifted = 0
    for before, after in splits(N_SPLITS):
        reference, current = (
            {name: side[name].to_numpy() for name in side.columns} for side in (before, after)
        )
        found = drift_report(reference, current, level=LEVEL, least_psi=0.0)
        assert found is not None
        n_drifted += found.drifted
        for column in found.columns:  # the ten that moved most
            p_values.setdefault(column.name, []).append(column.p_value)

    assert n_drifted <= most(N_SPLITS)
    for name, held in p_values.items():
        assert sum(p <= LEVEL for p in held) <= most(N_SPLITS), name
    assert sum(p <= 0.5 for held in p_values.values() for p in held) > N_SPLITS


@pytest.mark.parametrize("kind", ["linear", pytest.param("trees", marks=pytest.mark.soak)])
def test_the_classifier_rarely_tells_quiet_rows_apart(
    splits: Callable[[int], Iterator[tuple[pl.DataFrame, pl.DataFrame]]], kind: str
) -> None:
    """Of all columns of numbers at once."""
    rng = np.random.default_rng(18)
    names = [name for name in NUMBERS if name != "load"]
    p_values = [
        domain_classifier(
            *(side.select(names).to_numpy()[:200] for side in pair),
            rng=rng,
            model=kind,  # type: ignore[arg-type]
        ).p_value
        for pair in splits(40)
    ]

    assert sum(p <= LEVEL for p in p_values) <= most(40)


def test_the_energy_distance_rarely_errs_about_quiet_rows(
    splits: Callable[[int], Iterator[tuple[pl.DataFrame, pl.DataFrame]]],
) -> None:
    """Of vectors of six numbers on one scale."""
    rng = np.random.default_rng(19)
    names = [name for name in NUMBERS if name != "load"]
    p_values = []
    for pair in splits(100):
        before, after = (side.select(names).to_numpy()[:100] for side in pair)
        scale = before.std(axis=0)
        p_values.append(energy_test(before / scale, after / scale, rng=rng).p_value)

    assert sum(p <= LEVEL for p in p_values) <= most(100)
    assert sum(p <= 0.5 for p in p_values) >= 25


def test_the_rows_are_told_apart_once_something_moved(rows: pl.DataFrame) -> None:
    """Summer beside winter: the same tests on the same rows are not silent for want of power."""
    winter = rows.filter(pl.col("season") == "1").head(N_ROWS)
    summer = rows.filter(pl.col("season") == "3").head(N_ROWS)
    found = {column.name: column for column in compare_tables(FrameTable(winter), FrameTable(summer)).columns}

    assert all(found[name].differs for name in ("temp", "season", "cnt", "load"))
