"""What counting a stream costs per value, and how long a report takes that is made from the counters alone.

40 columns of numbers and 10 of texts, in batches of 1,000 rows, 100,000 rows in all. CPU seconds of this process.

    python benchmarks/monitoring/bench_streaming.py [--turns 7] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
from bench_drift import SEED, table

from noria.core.stats.counters import TableCounter, merged
from noria.core.stats.profiles import TableProfile, profile_table
from noria.monitoring.reports.counted import compare_counts_with

BATCH = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7, help="turns (default: 7)")
    parser.add_argument("--quick", action="store_true", help="one turn")
    chosen = parser.parse_args()
    n_turns = 1 if chosen.quick else chosen.turns
    frames = [table(np.random.default_rng([SEED, moved]), drifted=moved) for moved in (False, True)]
    before, after = ({name: frame[name].to_numpy() for name in frame.columns} for frame in frames)
    profile = profile_table(before)
    n_rows = len(next(iter(after.values())))
    batches = [
        {name: values[start : start + BATCH] for name, values in after.items()}
        for start in range(0, n_rows, BATCH)
    ]

    def counted(first: str = "") -> TableCounter:
        columns = {name: column for name, column in profile.columns.items() if name.startswith(first)}
        counter = TableCounter(TableProfile(n_rows=profile.n_rows, columns=columns))
        for batch in batches:
            counter.update(batch)
        return counter

    for first, kind, n_columns in (("n", "numbers", 40), ("c", "texts", 10), ("", "all", 50)):
        taken = [cpu_s(partial(counted, first)) / (n_rows * n_columns) * 1e6 for _ in range(n_turns)]
        told(taken, f"count {kind}, batches of {BATCH:,} rows", "us per value")
    counts = counted().counts
    found = compare_counts_with(profile, counts)
    told(
        [cpu_s(lambda: compare_counts_with(profile, counts)) * 1e3 for _ in range(n_turns)],
        "report, 50 columns",
        "ms",
    )
    told([cpu_s(lambda: merged(counts, counts)) * 1e3 for _ in range(n_turns)], "merge two counters", "ms")
    print(f"{'size as JSON':44} {len(msgspec.json.encode(counts)) / 1024:9.1f} KiB for {n_rows:,} rows")
    print(f"{found.n_differ} of {len(found.columns)} columns differ (10 were moved)")


def cpu_s(work: Callable[[], object]) -> float:
    """Give the CPU time that some work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def told(taken: list[float], what: str, unit: str) -> None:
    """Print the median of some turns and their spread."""
    print(f"{what:44} {statistics.median(taken):9.3f} {unit} ({min(taken):.3f} to {max(taken):.3f})")


if __name__ == "__main__":
    main()
