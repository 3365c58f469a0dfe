"""What one changed row costs in a table of a million rows, and how long tables take.

For each way of keeping the rows: their size, and the share of it that is stored again when a row changes in the
middle, or is put in there, or one cell of it changes. Stored bytes are those of all files of the store, counted
before and after.

    python benchmarks/data/bench_tables.py [--rows 1000000] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset

SEED = 20260301


class Share(NamedTuple):
    """What was stored for a change."""

    kept_as: str
    change: str
    size_bytes: int
    again_bytes: int

    @property
    def percent(self) -> float:
        """Stored again, of the size of the whole."""
        return 100 * self.again_bytes / self.size_bytes


class Timed(NamedTuple):
    """How long something took."""

    what: str
    wall_s: float
    cpu_s: float


def make_rows(n: int) -> pl.DataFrame:
    """Make measurements of a hundred sensors, with a text that is different in each row."""
    source = np.random.default_rng(SEED)
    return pl.DataFrame(
        {
            "id": np.arange(n),
            "at": np.datetime64("2026-01-01", "us") + np.arange(n) * np.timedelta64(60_000_000, "us"),
            "sensor": [f"sensor-{k:02d}" for k in source.integers(0, 100, n)],
            "level": source.integers(0, 1_000, n),
            **{f"value_{k}": source.normal(size=n).round(3) for k in range(5)},
            "note": [f"{a:016x}" for a in source.integers(0, 2**62, n)],
        }
    )


def changed_row(frame: pl.DataFrame) -> pl.DataFrame:
    """Change every cell but the key of the row in the middle."""
    middle = frame.height // 2
    row = other_row(frame, int(frame["id"][middle]))
    return pl.concat([frame.head(middle), row, frame.slice(middle + 1)])


def with_row(frame: pl.DataFrame) -> pl.DataFrame:
    """Put a row into the middle."""
    middle = frame.height // 2
    return pl.concat([frame.head(middle), other_row(frame, -1), frame.slice(middle)])


def other_row(frame: pl.DataFrame, key: int) -> pl.DataFrame:
    """Make a row with values that no other has."""
    values: dict[str, Any] = {f"value_{k}": 1000.5 + k for k in range(5)}
    row = frame.head(1).to_dicts()[0] | values
    row |= {"id": key, "sensor": "sensor-07", "level": 7, "note": "f" * 16}
    return pl.DataFrame([row], schema=frame.schema)


def stored_bytes(workspace: Workspace) -> int:
    """Count the bytes of the object store on disk."""
    root = workspace.settings.objects_url.removeprefix("file://")
    places = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return sum(place.stat().st_size for place in places if not place.name.startswith("index.db"))


def share(
    workspace: Workspace, kept_as: str, change: str, first: Callable[[], int], again: Callable[[], object]
) -> Share:
    """Keep the rows, change them, and count."""
    size_bytes = first()
    before = stored_bytes(workspace)
    again()
    return Share(kept_as, change, size_bytes, stored_bytes(workspace) - before)


def file_shares(workspace: Workspace, frame: pl.DataFrame, folder: Path) -> list[Share]:
    """Add a file, and add it again with one row changed or put in."""
    writers: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        "CSV file": lambda rows, path: rows.write_csv(path),
        "Parquet file of Polars": lambda rows, path: rows.write_parquet(path),
    }
    return [
        file_share(workspace, kept_as, write, change, frame, make(frame), folder)
        for kept_as, write in writers.items()
        for change, make in {"one row changed": changed_row, "one row put in": with_row}.items()
    ]


def file_share(
    workspace: Workspace,
    kept_as: str,
    write: Callable[[pl.DataFrame, Path], object],
    change: str,
    frame: pl.DataFrame,
    changed: pl.DataFrame,
    folder: Path,
) -> Share:
    """Add a file, then its change."""
    path = folder / ("rows.csv" if "CSV" in kept_as else "rows.parquet")

    def add(rows: pl.DataFrame) -> int:
        write(rows, path)
        return (
            dataset(f"{path.suffix[1:]}-{change.rsplit(maxsplit=1)[-1]}", workspace=workspace)
            .add(path)
            .size_bytes
        )

    return share(workspace, kept_as, change, lambda: add(frame), lambda: add(changed))


def table_shares(workspace: Workspace, frame: pl.DataFrame, times: list[Timed]) -> list[Share]:
    """Append rows to tables, then merge one row, and overwrite with one more."""
    merged, put_in, cell = (dataset(name, workspace=workspace) for name in ("merged", "put-in", "cell"))
    row = other_row(frame, frame.height // 2)
    with_cell = frame[frame.height // 2].with_columns(value_2=pl.lit(1000.5))
    kept_as = "table of Noria"
    return [
        share(
            workspace,
            kept_as,
            "one row merged",
            lambda: timed(times, "append", lambda: merged.append(frame)).size_bytes,
            lambda: timed(times, "merge of one row", lambda: merged.merge(row, on="id")),
        ),
        share(
            workspace,
            kept_as,
            "one row put in",
            lambda: put_in.append(frame).size_bytes,
            lambda: timed(times, "overwrite", lambda: put_in.overwrite(with_row(frame))),
        ),
        share(
            workspace,
            kept_as,
            "one cell merged",
            lambda: cell.append(frame.with_columns(note=pl.col("note").str.reverse())).size_bytes,
            lambda: cell.merge(with_cell.with_columns(note=pl.col("note").str.reverse()), on="id"),
        ),
    ]


def read_times(workspace: Workspace, frame: pl.DataFrame, times: list[Timed]) -> None:
    """Read the table as a whole and in parts, and append a little."""
    handle = dataset("merged", workspace=workspace)
    timed(times, "read all", handle.polars)
    timed(times, "read one column", lambda: handle.polars(columns=["value_0"]))
    timed(times, "read rows of one id", lambda: handle.polars(rows="id = 5"))
    timed(times, "append of 100 rows", lambda: handle.append(frame.head(100)))


def timed(times: list[Timed], what: str, do: Callable[[], Any]) -> Any:
    """Do it, and note how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = do()
    times.append(Timed(what, time.perf_counter() - wall, time.process_time() - cpu))
    return answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="a few rows, to see that it runs")
    chosen = parser.parse_args()
    frame = make_rows(2_000 if chosen.smoke else chosen.rows)
    times: list[Timed] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(workspace=str(Path(folder) / "workspace"))
        with open_workspace(settings, send_left=False) as workspace:
            shares = file_shares(workspace, frame, Path(folder)) + table_shares(workspace, frame, times)
            read_times(workspace, frame, times)
    if chosen.json:
        json.dump(
            {"shares": [s._asdict() for s in shares], "times": [t._asdict() for t in times]}, sys.stdout
        )
        return
    print(f"{frame.height} rows, {len(frame.columns)} columns\n")
    for found in shares:
        print(
            f"{found.kept_as:24} {found.size_bytes / 1e6:8.1f} MB  {found.change:16} "
            f"{found.again_bytes / 1e6:8.2f} MB again = {found.percent:6.2f} %"
        )
    print()
    for what, wall_s, cpu_s in times:
        print(f"{what:24} {wall_s:8.2f} s  {cpu_s:8.2f} s of CPU")


if __name__ == "__main__":
    main()
