"""The stories of docs/guides/drift.md: what `noria data drift` says of real drift is what the guide says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from noria.cli.main import main

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

Told = Callable[[pl.DataFrame, pl.DataFrame], dict[str, Any]]


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Give a function that compares two frames by the command, and gives the columns of its JSON by name."""

    def compare(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
        before.write_parquet(tmp_path / "before.parquet")
        after.write_parquet(tmp_path / "after.parquet")
        files = [str(tmp_path / "before.parquet"), str(tmp_path / "after.parquet")]
        assert main(["data", "drift", *files, "--json"]) == 0
        return {column["name"]: column for column in json.loads(capsys.readouterr().out)["columns"]}

    return compare


def _read(*names: str) -> pl.DataFrame:
    path = DATA.joinpath(*names)
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return pl.read_csv(path, null_values="NULL")


def _psi(columns: dict[str, Any], *names: str) -> list[float]:
    return [round(columns[name]["psi"], 2) for name in names]


def test_the_market_of_new_south_wales_was_joined_with_that_of_victoria(told: Told) -> None:
    """Columns of Victoria came to life, the price fell, demand moved little, weekday and time of day stayed."""
    elec = _read("elec2", "elec2.csv.gz")
    constant = elec["vicprice"] == elec["vicprice"][0]
    n_before = int((~constant).arg_max() or 0)
    columns = told(elec.head(n_before), elec.slice(n_before))

    assert n_before > 17_000
    drifted = {name for name, column in columns.items() if column["drifted"]}
    assert {"vicdemand", "vicprice", "transfer", "nswprice"} <= drifted
    assert columns["nswdemand"]["differs"]
    assert not columns["nswdemand"]["drifted"]
    assert not columns["day"]["differs"]
    assert not columns["period"]["differs"]


def test_bike_sharing_grew_while_its_inputs_hardly_moved(told: Told) -> None:
    """From 2011 to 2012 rentals drifted, weather differs by little, and the calendar is the same."""
    bikes = _read("bike_sharing", "hour.csv.gz")
    columns = told(bikes.filter(pl.col("yr") == 0), bikes.filter(pl.col("yr") == 1))

    assert _psi(columns, "registered", "cnt", "casual", "temp", "hum") == [0.58, 0.54, 0.12, 0.04, 0.06]
    assert not any(columns[name]["differs"] for name in ("season", "mnth", "hr", "weekday"))


def test_a_winter_in_london_is_no_summer(told: Told) -> None:
    """Households use more in January than in July, at the same hours; temperature moved most of the weather."""
    load = _read("electricity_london", "halfhourly_2013.csv.gz").with_columns(
        month=pl.col("timestamp").str.slice(5, 2), hour=pl.col("timestamp").str.slice(11, 2).cast(pl.Int64)
    )
    columns = told(
        *(load.filter(pl.col("month") == month).select("kwh", "hour", "household") for month in ("01", "07"))
    )

    assert columns["kwh"]["drifted"]
    assert (columns["kwh"]["mean_reference"], columns["kwh"]["mean_current"]) == pytest.approx(
        (0.402, 0.208), abs=5e-4
    )
    assert not columns["hour"]["differs"]
    assert _psi(columns, "kwh", "household") == [0.33, 0.01]
