"""Runs and points as files."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from noria.core.errors import Invalid
from noria.core.ids import new_id
from noria.tracking.entities import Run, RunStatus
from noria.tracking.export import check_target, write_points, write_runs
from noria.tracking.point_entities import MetricPoint

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def ran(**more: object) -> Run:
    known = {
        "id": new_id(),
        "project": "default",
        "experiment": "e",
        "name": "r",
        "status": RunStatus.FINISHED,
        "started_at": NOW,
    }
    return Run(**(known | more))  # type: ignore[arg-type]


PAGES = [
    [
        ran(params={"lr": "0.1"}, metrics={"acc": 0.5}),
        ran(params={"año": 'x,\n"y"'}, metrics={"acc": math.nan}),
    ],
    [ran(tags={"t": "1"}, ended_at=NOW, parent="p", metrics={"loss": math.inf})],
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_a_row_a_run_and_all_keys(tmp_path: Path, suffix: str) -> None:
    """Keys of any page are columns; what a run lacks is empty; odd text and floats come back as they were."""
    path = tmp_path / f"runs{suffix}"
    written = write_runs(iter(PAGES), path)
    read = pl.read_csv(path, infer_schema=False) if suffix == ".csv" else pl.read_parquet(path)

    assert written == read.height == 3
    assert read.columns[:2] == ["run_id", "name"]
    assert {"params.lr", "params.año", "metrics.acc", "metrics.loss", "tags.t"} <= set(read.columns)
    assert read["params.año"].to_list() == [None, 'x,\n"y"', None]
    values = [None if value is None else float(value) for value in read["metrics.loss"]]
    assert values == [None, None, math.inf]
    assert math.isnan(float(read["metrics.acc"][1]))


def test_json_holds_the_runs_as_the_api_gives_them(tmp_path: Path) -> None:
    """Runs are read back as they were."""
    path = tmp_path / "runs.json"
    write_runs(iter(PAGES), path)
    read = json.loads(path.read_text())

    assert [run["id"] for run in read] == [run.id for page in PAGES for run in page]
    assert read[0]["params"] == {"lr": "0.1"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_nothing_is_a_table_too(tmp_path: Path, suffix: str) -> None:
    """A filter that matches nothing gives a file that is valid and empty."""
    path = tmp_path / f"none{suffix}"

    assert write_runs(iter([]), path) == 0
    if suffix == ".json":
        assert json.loads(path.read_text()) == []
    else:
        assert (pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)).height == 0


def test_points_are_rows(tmp_path: Path) -> None:
    """Each point has its run, key, step, time and value."""
    path = tmp_path / "points.parquet"
    points = [MetricPoint(key="loss", value=1 / (step + 1), step=step, at=NOW) for step in range(3)]
    written = write_points(iter([("r1", points[:2]), ("r1", points[2:])]), path)
    read = pl.read_parquet(path)

    assert written == 3
    assert read.columns == ["run_id", "key", "step", "at", "value"]
    assert read["at"].to_list() == [NOW] * 3
    assert read["value"].to_list() == [1.0, 0.5, 1 / 3]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """A file is replaced once all of the new one is written, and nothing is left beside it."""
    path = tmp_path / "runs.json"
    path.write_text("old")

    def broken() -> object:
        yield [ran()]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_runs(broken(), path)  # type: ignore[arg-type]

    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["runs.json"]


def test_a_target_must_name_a_format_and_a_folder(tmp_path: Path) -> None:
    """An ending that is none, and a folder that is not there, are told with the mend."""
    with pytest.raises(Invalid, match="in which format") as caught:
        check_target(tmp_path / "runs.parqet")
    assert caught.value.hint == "Did you mean `runs.parquet`?"
    with pytest.raises(Invalid, match="no folder"):
        check_target(tmp_path / "none" / "runs.csv")
