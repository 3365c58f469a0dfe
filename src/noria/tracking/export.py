"""Runs as tables: one row a run, one column a param, metric or tag; or one row a point.

Polars is imported here: for the command line and the SDK, never for the server.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core.errors import Invalid, near
from noria.core.serialisation import to_json
from noria.tracking.entities import Run
from noria.tracking.point_entities import MetricPoint

if TYPE_CHECKING:
    import polars as pl

FORMATS = (".csv", ".parquet", ".json")

_COLUMNS_OF_RUNS = ("run_id", "name", "experiment", "status", "started_at", "ended_at", "parent", "author")


def check_target(path: Path) -> Path:
    """Give the path back if its ending names a format and its folder is there.

    Raises
    ------
    Invalid
        If not.
    """
    if path.suffix.lower() not in FORMATS:
        close = near(path.suffix.lower(), FORMATS)
        raise Invalid(
            f"`{path.name}` does not say in which format to write",
            hint=f"Did you mean `{path.stem}{close}`?" if close else f"End it in {', '.join(FORMATS)}",
        )
    if not path.parent.is_dir():
        raise Invalid(f"There is no folder `{path.parent}`", hint=f"mkdir -p {path.parent}")
    return path


def write_runs(pages: Iterable[list[Run]], path: Path) -> int:
    """Write runs to a file, and give how many.

    Columns of the tables: `run_id`, `name`, `experiment`, `status`, `started_at`, `ended_at`, `parent`, `author`, then
    `params.<key>`, `metrics.<key>` and `tags.<key>` of all runs; a run without the key has none. JSON holds the runs as
    the API gives them.

    Parameters
    ----------
    path
        Its ending says the format: `.csv`, `.parquet`, `.json`. What stood there is replaced once all is written.
    """
    if path.suffix.lower() == ".json":
        return _write_json(pages, path)
    return _write_frames((_frame_of_runs(page) for page in pages if page), path, _COLUMNS_OF_RUNS)


def write_points(histories: Iterable[tuple[str, list[MetricPoint]]], path: Path) -> int:
    """Write the points of metrics to a file, and give how many: `run_id`, `key`, `step`, `at`, `value`.

    Parameters
    ----------
    histories
        Run ids and some of their points.
    """
    rows = (
        [
            {"run_id": run_id, "key": point.key, "step": point.step, "at": point.at, "value": point.value}
            for point in points
        ]
        for run_id, points in histories
    )
    if path.suffix.lower() == ".json":
        return _write_json(rows, path)
    return _write_frames(
        (_frame(part) for part in rows if part), path, ("run_id", "key", "step", "at", "value")
    )


def _frame_of_runs(page: list[Run]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for run in page:
        row: dict[str, Any] = {
            "run_id": run.id,
            "name": run.name,
            "experiment": run.experiment,
            "status": str(run.status),
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "parent": run.parent,
            "author": run.author,
        }
        row |= {f"params.{key}": value for key, value in run.params.items()}
        row |= {f"metrics.{key}": value for key, value in run.metrics.items()}
        row |= {f"tags.{key}": value for key, value in run.tags.items()}
        rows.append(row)
    return _frame(rows)


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    # What no row of this page has, another page may have: the types of these must not depend on it.
    instant = pl.Datetime("us", "UTC")
    known: dict[str, pl.DataType] = {
        "started_at": instant,
        "ended_at": instant,
        "at": instant,
        "parent": pl.String(),
    }
    names = {name for row in rows for name in row}
    overrides = {name: type_ for name, type_ in known.items() if name in names}
    return pl.DataFrame(rows, schema_overrides=overrides, infer_schema_length=None)


def _write_frames(frames: Iterator[pl.DataFrame], path: Path, leading: tuple[str, ...]) -> int:
    import polars as pl

    gathered = list(frames)
    whole = pl.concat(gathered, how="diagonal_relaxed") if gathered else pl.DataFrame(schema=list(leading))
    rest = sorted(name for name in whole.columns if name not in leading)
    table = whole.select(*leading, *rest)

    def write(place: Path) -> None:
        if path.suffix.lower() == ".csv":
            table.write_csv(place)
        else:
            table.write_parquet(place)

    _replace(path, write)
    return table.height


def _write_json(parts: Iterable[list[Any]], path: Path) -> int:
    n_written = 0

    def write(place: Path) -> None:
        nonlocal n_written
        with place.open("wb") as file:
            file.write(b"[")
            for part in parts:
                for each in part:
                    file.write((b",\n" if n_written else b"\n") + to_json(each))
                    n_written += 1
            file.write(b"\n]\n")

    _replace(path, write)
    return n_written


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside a file and put it in its place, so that a half-written one is never seen."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    place = Path(name)
    try:
        write(place)
        place.chmod(0o666 & ~_umask())
        place.replace(path)
    finally:
        place.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
