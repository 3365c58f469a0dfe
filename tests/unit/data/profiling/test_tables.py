"""The profile of a table, against NumPy, pandas and the profile that older versions stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from noria.core.errors import Invalid, NotFound
from noria.core.stats.profiles import TableProfile, compare, profile_table
from noria.data.profiling.entities import ColumnFigures, VersionProfile, read_profile
from noria.data.profiling.files import open_table_file
from noria.data.profiling.sources import ArraysTable, FrameTable
from noria.data.profiling.tables import MAX_COLUMNS, profile_of, stored_profile


def profiled(frame: pl.DataFrame, *, target: str | None = None) -> VersionProfile:
    found = profile_of(FrameTable(frame), target=target)
    assert found is not None
    return found


def column(values: Any) -> ColumnFigures:
    return profiled(pl.DataFrame({"a": values})).columns["a"]


def mixed(n: int = 3_000) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=n)
    numbers[::7] = np.nan
    numbers[5] = np.inf
    return pl.DataFrame(
        {
            "number": numbers,
            "count": rng.poisson(3, n),
            "small": rng.integers(0, 200, n).astype(np.uint8),
            "kind": rng.choice(["a", "b", "ñ"], n),
            "truth": rng.random(n) < 0.3,
            "day": [date(2026, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 400, n)],
        }
    )


@pytest.mark.parametrize("name", mixed(50).columns)
def test_every_figure_that_was_stored_before_is_the_same(name: str) -> None:
    """Monitors compare windows with these figures, so a new profile tells of them what the old one told."""
    frame = mixed()
    old = profile_table({name: frame[name].to_numpy()}).columns[name]
    new = msgspec.convert(stored_profile(FrameTable(frame)), TableProfile).columns[name]

    for field in ("kind", "n_rows", "n_missing", "n_infinite", "n_distinct", "n_distinct_capped"):
        assert getattr(new, field) == getattr(old, field), field
    assert new.counts == old.counts
    if old.kind == "categorical":
        assert (new.top, new.n_other) == (old.top, old.n_other)
        return
    for field in ("minimum", "maximum", "mean", "std", "quantiles", "edges"):
        assert getattr(new, field) == pytest.approx(getattr(old, field), rel=1e-12), field


def test_a_window_is_compared_with_a_stored_profile() -> None:
    """What is kept with a version serves `noria.core.stats.profiles.compare`."""
    frame = mixed()
    stored = msgspec.convert(stored_profile(FrameTable(frame)), TableProfile)
    found = compare(stored, {name: frame[name].to_numpy() for name in frame.columns})

    assert all(each.psi == 0 and each.n_outside == 0 for each in found.values())


def test_figures_agree_with_pandas() -> None:
    """Distinct values, missing ones, extremes, moments and the commonest values, by another library."""
    frame = mixed()
    told = profiled(frame).columns
    other = pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
    for name in ("count", "kind"):
        counts = other[name].value_counts()

        assert told[name].n_unique == other[name].nunique()
        assert told[name].n_missing == other[name].isna().sum()
        assert sum(each.n for each in told[name].top) + told[name].n_other == len(other)
        assert told[name].top[0].n == counts.iloc[0]
        assert {each.label: each.n for each in told[name].top}.items() <= {
            str(k): v for k, v in counts.items()
        }.items()
    described = other["count"].describe()
    assert told["count"].mean == pytest.approx(described["mean"])
    assert told["count"].std == pytest.approx(other["count"].std(ddof=0))
    assert told["count"].quantiles[3:6] == tuple(described[["25%", "50%", "75%"]])
    assert (told["count"].n_zero, told["count"].n_negative) == ((other["count"] == 0).sum(), 0)


def test_a_histogram_counts_every_finite_value_once() -> None:
    """In bins of equal width, as NumPy counts them."""
    values = np.random.default_rng(1).gamma(2, size=5_000)
    found = column(values).histogram

    assert found is not None
    assert (found.low, found.high) == (values.min(), values.max())
    assert list(found.counts) == np.histogram(values, bins=20)[0].tolist()
    assert column([3.0, 3.0, None]).histogram is None


def test_missing_infinite_and_whole_numbers_beyond_floats() -> None:
    """NaN and null are missing, infinities are counted apart, and large whole numbers are told from each other."""
    found = column([1.0, None, float("nan"), float("inf"), -float("inf"), -2.0])
    large = column([2**53, 2**53 + 1, 2**53 + 1])

    assert (found.n_missing, found.n_infinite, found.minimum, found.maximum) == (2, 2, -2.0, 1.0)
    assert (found.n_negative, sum(found.counts)) == (2, 4)
    assert large.n_unique == 2
    assert [(each.label, each.n) for each in large.top] == [(str(2**53 + 1), 2), (str(2**53), 1)]


@pytest.mark.parametrize("values", [[None, None], [float("nan")], [float("inf"), float("inf")], [True], [""]])
def test_a_column_without_anything_to_measure(values: list[Any]) -> None:
    """Is described without a mean, and nothing fails."""
    found = column(values)

    assert found.mean is None
    assert found.n_rows == len(values)


def test_times_have_a_range_whatever_their_zone() -> None:
    """First and last are told as times; figures are seconds since 1970 in UTC."""
    at = [datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)]
    frame = pl.DataFrame({"utc": at}).with_columns(
        madrid=pl.col("utc").dt.convert_time_zone("Europe/Madrid"), span=pl.lit(timedelta(hours=1))
    )
    told = profiled(frame).columns

    assert told["utc"].first == "2026-03-01T12:00:00+00:00"
    assert told["madrid"].last == "2026-05-01T02:00:00+02:00"
    assert told["madrid"].minimum == told["utc"].minimum == at[0].timestamp()
    assert (told["span"].minimum, told["span"].first) == (3600.0, None)
    assert told["madrid"].type == "Datetime(us, Europe/Madrid)"


def test_texts_that_are_times_have_a_range() -> None:
    """As CSV files keep them; one that is none takes it from all."""
    assert (column(["2026-02-01", "2025-12-31", None]).first, column(["2026-02-01"]).last) == (
        "2025-12-31",
        "2026-02-01",
    )
    assert column(["2026-02-01", "later"]).first is None


def test_nested_columns_are_named() -> None:
    """Lists and records have a type and missing values, and no figures."""
    found = profiled(pl.DataFrame({"a": [1, 2], "l": [[1], None]}))

    assert (found.nested["l"].type, found.nested["l"].n_missing) == ("List(Int64)", 1)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"a": [1, 1, 2], "b": ["x", "x", "y"]}, 1),
        ({"a": [1.0, None, None], "b": [None, 2.0, 2.0]}, 1),
        ({"a": ["x"] * 5}, 4),
        ({"a": [[1], [1], [2]], "b": [0, 0, 0]}, 1),
    ],
)
def test_duplicates_are_counted(frame: dict[str, Any], expected: int) -> None:
    """As many as Polars' own `unique` removes, missing values being equal to each other."""
    given = pl.DataFrame(frame)

    assert profiled(given).n_duplicates == expected
    assert given.height - given.unique().height == expected


def test_likely_keys() -> None:
    """One column where it suffices, named like a key first; else pairs; never a measurement."""
    n = 60
    single = pl.DataFrame({"z": range(n), "user_id": range(n), "x": np.random.default_rng(0).normal(size=n)})
    pair = pl.DataFrame({"day": [i // 6 for i in range(n)], "shop": [i % 6 for i in range(n)], "k": [1] * n})

    assert profiled(single).keys == (("user_id",), ("z",))
    assert profiled(pair).keys == (("day", "shop"),)
    assert profiled(pair.vstack(pair)).keys == ()


def test_correlations_agree_with_numpy() -> None:
    """Each pair over the rows where both are there, strongest first."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=500)
    frame = pl.DataFrame({"x": x, "y": 1e9 - 3 * x + rng.normal(size=500), "z": rng.normal(size=500) + x / 2})
    frame = frame.with_columns(y=pl.when(pl.int_range(500) % 3 == 0).then(None).otherwise("y"))
    found = profiled(frame.with_columns(constant=1.0)).correlations

    assert found is not None
    assert (found.n_columns, found.pairs[0].first, found.pairs[0].second) == (3, "x", "y")
    for pair in found.pairs:
        both = frame.select(pair.first, pair.second).drop_nulls().to_numpy()
        assert pair.r == pytest.approx(np.corrcoef(both.T)[0, 1], abs=1e-12)
    assert found.pairs[0].n_rows == frame["y"].count()


def test_leaks_are_found_and_honest_columns_are_not() -> None:
    """A copy of the target, a code of it and a gap where it is true give it away; an id and a weak hint do not."""
    rng = np.random.default_rng(4)
    n = 4_000
    churned = rng.random(n) < 0.2
    frame = pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(n)],
            "churned": churned,
            "closed_on": [date(2026, 1, 1) if c else None for c in churned],
            "code": np.where(churned, "C9", "C1"),
            "hint": churned * 0.5 + rng.normal(size=n),
        }
    )
    found = profiled(frame, target="churned")
    price = rng.gamma(2, size=n)
    numeric = pl.DataFrame({"price": price, "with_tax": price * 1.21, "rooms": np.ceil(price)})

    assert [leak.column for leak in found.leaks] == ["closed_on", "code"]
    assert {leak.measure for leak in found.leaks} == {"lambda"}
    assert [(leak.column, leak.measure) for leak in profiled(numeric, target="price").leaks] == [
        ("with_tax", "r_squared")
    ]
    assert (found.target, found.n_leak_rows) == ("churned", n)


def test_an_unknown_target() -> None:
    """Is answered with the near one."""
    with pytest.raises(NotFound, match="`churn`") as raised:
        profiled(pl.DataFrame({"churned": [1, 2]}), target="churn")

    assert "`churned`" in str(raised.value.hint)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow"])
@pytest.mark.parametrize("in_memory_bytes", [0, 1 << 30])
def test_a_file_has_the_profile_of_its_frame(tmp_path: Path, suffix: str, in_memory_bytes: int) -> None:
    """Whether it is read whole or a column at a time."""
    frame = mixed(300).drop("number", "small").with_columns(pl.col("day").cast(pl.String))
    path = tmp_path / f"t{suffix}"
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": frame.write_csv,
        ".tsv": lambda p: frame.write_csv(p, separator="\t"),
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
        ".arrow": frame.write_ipc,
    }
    writers[suffix](path)
    with open_table_file(path, in_memory_bytes=in_memory_bytes) as table:
        found = profile_of(table, target="truth")

    assert found == profiled(frame, target="truth")


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    """Is refused by its path, however large it is."""
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but not really")
    for in_memory_bytes in (0, 1 << 20):
        with (
            pytest.raises(Invalid, match=r"t\.parquet` cannot be read as a table"),
            open_table_file(tmp_path / "t.parquet", in_memory_bytes=in_memory_bytes),
        ):
            pass


def test_arrays_are_a_table() -> None:
    """Of every type that a version of arrays may hold."""
    arrays = {
        "half": np.arange(4, dtype=np.float16),
        "long": np.arange(4, dtype=np.longdouble),
        "bytes": np.array([b"a", b"b", b"a", b"\xff"]),
        "text": np.array(["x", "y", "x", "x"]),
        "byte": np.arange(4, dtype=np.uint8),
    }
    found = profile_of(ArraysTable(arrays))

    assert found is not None
    assert found.columns["half"].mean == found.columns["long"].mean == 1.5
    assert [each.label for each in found.columns["bytes"].top] == ["a", "b", "�"]
    assert found.columns["text"].top[0].n == 3


def test_what_has_no_profile() -> None:
    """Tables without rows, and with more columns than anyone reads."""
    assert profile_of(FrameTable(pl.DataFrame({"a": []}))) is None
    wide = pl.DataFrame({f"c{i}": [1] for i in range(MAX_COLUMNS + 1)})
    assert profile_of(FrameTable(wide)) is None


def test_profiles_of_older_versions_are_read() -> None:
    """With the figures that they have; what a client made up is no profile."""
    old = msgspec.to_builtins(profile_table({"x": [1.0, 2.0], "k": ["a", "b"]}))
    read = read_profile(old)

    assert read is not None
    assert (read.format, read.columns["x"].mean, read.columns["x"].n_unique) == (1, 1.5, None)
    assert read_profile({"columns": 3}) is None
    assert read_profile(None) is None
