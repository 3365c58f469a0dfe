"""How long it takes to profile a table of 1,000,000 x 50, to compare two versions of it by key, and to check one.

Columns are of every kind: a key, fractions, whole numbers, few and many texts, truths and times, some with missing
values. The second version has 1 % of one column changed, 1,000 rows less, 1,000 rows more, and its rows in another
order. Each case runs in a process of its own, so that its memory is its own, and reads a Parquet file as a version is
read. Wall and CPU seconds are of the work without starting Python; memory is the most that the process ever held.

    python benchmarks/data/bench_looking.py [--rows 1000000] [--repeats 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SEED = 20261121
LIMITS_S = {"profile": 10.0, "diff by key": 15.0}
"""What issue 5 asks for, on two cores."""


def make_versions(n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make two versions of a table with 50 columns."""
    source = np.random.default_rng(SEED)
    columns: dict[str, Any] = {"id": source.permutation(n)}
    columns |= {f"x{i}": source.normal(size=n) for i in range(20)}
    columns |= {f"gap{i}": _with_gaps(source, n) for i in range(6)}
    columns |= {f"n{i}": source.integers(0, 10 ** (i + 1), n) for i in range(9)}
    columns |= {f"kind{i}": source.choice(["alpha", "beta", "gamma", "delta"], n) for i in range(6)}
    columns |= {f"name{i}": [f"user-{k}" for k in source.integers(0, n, n)] for i in range(2)}
    columns |= {f"yes{i}": source.random(n) < 0.3 for i in range(3)}
    columns |= {
        f"at{i}": np.datetime64("2026-01-01", "us") + source.integers(0, 10**13, n).astype("m8[us]")
        for i in range(3)
    }
    before = pl.DataFrame(columns)
    changed = pl.when(pl.int_range(pl.len()) % 100 == 0).then(9.0).otherwise("x3")
    after = before.with_columns(x3=changed)[source.permutation(n)]
    few = min(1_000, n // 10)
    new = after.head(few).with_columns(pl.col("id") + n)
    return before, pl.concat([after[few:], new])


def _with_gaps(source: np.random.Generator, n: int) -> pl.Series:
    values = source.normal(size=n)
    return pl.Series(values).set(pl.Series(source.random(n) < 0.1), None)


def profile(folder: Path) -> str:
    """Profile the first version."""
    from noria.data.profiling.files import open_table_file
    from noria.data.profiling.tables import stored_profile

    with open_table_file(folder / "before.parquet") as table:
        found = stored_profile(table)
    assert found is not None
    return f"{len(json.dumps(found)) / 1024:.0f} KiB, keys {found['keys']}"


def profile_in_place(folder: Path) -> str:
    """Profile the first version a column at a time, as a file too large for memory is."""
    from noria.data.profiling.files import open_table_file
    from noria.data.profiling.tables import profile_of

    with open_table_file(folder / "before.parquet", in_memory_bytes=0) as table:
        found = profile_of(table)
    assert found is not None
    return f"{found.n_rows} rows"


def diff(folder: Path) -> str:
    """Compare both by key."""
    return _diff(folder, ["id"])


def diff_whole(folder: Path) -> str:
    """Compare both without a key."""
    return _diff(folder, [])


def diff_in_place(folder: Path) -> str:
    """Compare both by key, a column at a time."""
    return _diff(folder, ["id"], in_memory_bytes=0)


def _diff(folder: Path, key: list[str], **options: int) -> str:
    from noria.data.diffing.tables import diff_tables
    from noria.data.profiling.files import open_table_file

    with (
        open_table_file(folder / "before.parquet", **options) as before,
        open_table_file(folder / "after.parquet", **options) as after,
    ):
        rows = diff_tables(before, after, key=key).rows
    return f"{rows.n_added} added, {rows.n_removed} removed, {rows.n_changed} changed"


def check(folder: Path) -> str:
    """Check the second version by the rules that the first one suggests."""
    import tomllib
    from datetime import UTC, datetime

    import msgspec

    from noria.data.profiling.files import open_table_file
    from noria.data.quality.checks import check_table
    from noria.data.quality.settings import DataSection

    text = (folder / "rules.toml").read_text()
    rules = msgspec.convert(tomllib.loads(text)["data"], DataSection).checks["table"]
    with (
        open_table_file(folder / "after.parquet") as table,
        open_table_file(folder / "before.parquet") as reference,
    ):
        found = check_table(table, rules, now=datetime.now(UTC), reference=reference)
    return f"{sum(each.passed for each in found)} of {len(found)} rules kept"


CASES: dict[str, Callable[[Path], str]] = {
    "profile": profile,
    "profile, not in memory": profile_in_place,
    "diff by key": diff,
    "diff by key, not in memory": diff_in_place,
    "diff of whole rows": diff_whole,
    "check": check,
}


def run_case(name: str, folder: Path) -> None:
    """Run one case and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = CASES[name](folder)
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**took, "peak_mib": peak, "found": found}))


def prepare(folder: Path, n: int) -> None:
    """Write the two versions, and rules for them."""
    from noria.data.profiling.sources import FrameTable
    from noria.data.profiling.tables import profile_of
    from noria.data.quality.suggesting import suggest_rules

    before, after = make_versions(n)
    before.write_parquet(folder / "before.parquet")
    after.write_parquet(folder / "after.parquet")
    found = profile_of(FrameTable(before))
    assert found is not None
    (folder / "rules.toml").write_text(suggest_rules("table", found, against="table@1"))


def main() -> None:
    """Print a line per case: median wall and CPU seconds, peak memory, what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="few rows, once: shows only that it works")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.smoke:
        given.rows, given.repeats = 2_000, 1
    if given.prepare:
        prepare(given.folder, given.rows)
        return
    if given.case:
        run_case(given.case, given.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: what a parent held counts for its children.
        started = [sys.executable, __file__, "--folder", name, "--rows", str(given.rows), "--prepare"]
        subprocess.run(started, check=True)
        results = {case: measure(case, name, given.repeats) for case in CASES}
    if given.json:
        print(json.dumps({"rows": given.rows, "columns": 50, "cores": os.cpu_count(), "cases": results}))
        return
    print(f"{given.rows} rows x 50 columns, {os.cpu_count()} cores, median of {given.repeats}")
    for case, found in results.items():
        limit = f"limit {LIMITS_S[case]:.0f} s" if case in LIMITS_S else ""
        print(
            f"{case:28} {found['wall_s']:7.2f} s  {found['cpu_s']:7.2f} s CPU  {found['peak_mib']:6.0f} MiB  "
            f"{limit:12} {found['found']}"
        )


def measure(case: str, folder: str, repeats: int) -> dict[str, Any]:
    """Run a case some times, each in a process of its own, and give the medians."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--case", case, "--folder", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    medians = {key: statistics.median(run[key] for run in runs) for key in ("wall_s", "cpu_s", "peak_mib")}
    return {**medians, "found": runs[0]["found"]}


if __name__ == "__main__":
    main()
