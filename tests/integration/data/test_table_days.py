"""Real series, appended day by day as they would come in, asked by version and by time, and put right afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset

DATA = Path(os.environ.get("TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")


@dataclass(frozen=True, slots=True)
class Series:
    """A set with the column that tells the day, and the ones that name a row."""

    file: str
    day: str
    keys: tuple[str, ...]


SETS = {
    "bike_sharing": Series("bike_sharing/hour.csv.gz", "dteday", ("instant",)),
    "electricity_spain": Series("electricity_spain/generation_price_hourly.csv.gz", "date", ("date",)),
    "electricity_london": Series(
        "electricity_london/halfhourly_2013.csv.gz", "timestamp", ("household", "timestamp")
    ),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Open a workspace in a folder, once."""
    folder = tmp_path_factory.mktemp("workspace")
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as found:
        yield found


def days_of(name: str, n_days: int, folder: Path) -> list[Path]:
    """Write a file of CSV for each day, the lines as they stand in the set."""
    place = DATA / SETS[name].file
    if not place.exists():
        pytest.skip(f"data: there is no `{place}`; `TEST_DATA` names the folder of the sets")
    lines = pl.read_csv(place, infer_schema=False).with_columns(day=pl.col(SETS[name].day).str.head(10))
    parts = lines.sort("day", maintain_order=True).partition_by("day", maintain_order=True)
    paths = []
    for part in parts[:n_days]:
        paths.append(folder / f"{part['day'][0]}.csv")
        part.drop("day").write_csv(paths[-1])
    return paths


def append_days(workspace: Workspace, name: str, n_days: int, folder: Path) -> None:
    handle = dataset(name, workspace=workspace)
    paths = days_of(name, n_days, folder)
    versions = [handle.append(path, evolve=True, message=path.stem) for path in paths]
    whole = pl.concat([pl.read_csv(path, infer_schema=False) for path in paths])

    assert [v.version for v in versions] == list(range(1, len(paths) + 1))
    assert handle.current.n_rows == whole.height
    # Few files, whatever the number of days.
    assert handle.current.n_files < 60
    for n in (1, len(paths) // 2, len(paths)):
        then = dataset(f"{name}@{versions[n - 1].created_at.isoformat()}", workspace=workspace)
        assert then.ref == f"{name}@{n}"
        assert then.polars().height == sum(pl.read_csv(path).height for path in paths[:n])
    check_values(handle.polars(), whole, SETS[name])
    correct(workspace, name)


def check_values(found: pl.DataFrame, text: pl.DataFrame, series: Series) -> None:
    """Look that numbers are those of the file, in its order."""
    for column in text.columns:
        if found[column].dtype.is_numeric():
            assert found[column].cast(pl.Float64).equals(text[column].cast(pl.Float64)), column
        elif found[column].dtype == pl.String:
            assert found[column].equals(text[column]), column
    assert found.select(series.keys).is_unique().all()


def correct(workspace: Workspace, name: str) -> None:
    """Put one row right, take its day out, and find the day in the versions before."""
    handle, keys = dataset(name, workspace=workspace), list(SETS[name].keys)
    before = handle.current
    value = handle.polars().columns[-1]
    row = handle.polars(rows=slice(5, 6)).with_columns(pl.col(value) + 1)
    corrected = handle.merge(row, on=keys, message="a meter was read again")
    old = dataset(before.ref, workspace=workspace).polars()

    differs = handle.polars()[value].ne_missing(old[value])
    assert [n for n, differ in enumerate(differs) if differ] == [5]
    assert corrected.n_rows == before.n_rows
    handle.delete(pl.col(keys[-1]) == row[keys[-1]][0])
    assert handle.polars().join(row, on=keys, how="semi").is_empty()
    assert dataset(before.ref, workspace=workspace).polars().equals(old)


@pytest.mark.parametrize("name", SETS)
def test_a_series_grows_day_by_day(workspace: Workspace, name: str, tmp_path: Path) -> None:
    """Each day is a version, found by number and by time; a row put right leaves the versions before alone."""
    append_days(workspace, name, 20, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SETS)
def test_a_series_grows_for_years(workspace: Workspace, name: str, tmp_path: Path) -> None:
    """The same for 700 days."""
    append_days(workspace, name, 700, tmp_path)
