"""What counting a stream costs per value, and how long a report takes that is made from the counters alone.

40 columns of numbers and 10 of texts, in batches of 1,000 rows, 100,000 rows in all. CPU seconds of this process.
Then what a worker does with rows of an endpoint, as they are read from the server: put them into columns, count them in
their window, and judge the window from its stored counters, without segments and with those of one column.

    python benchmarks/monitoring/bench_streaming.py [--turns 7] [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np
from bench_drift import SEED, table
from numpy.typing import NDArray

from noria.core.stats.counters import TableCounter, merged
from noria.core.stats.profiles import TableProfile, profile_table
from noria.monitoring.entities import MonitorSection, Window
from noria.monitoring.reference import Reference
from noria.monitoring.reports.counted import compare_counts_with
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts
from noria.monitoring.windows.folding import Folded, Folding
from noria.monitoring.windows.judging import Judged, Part, judge
from noria.monitoring.windows.layout import lay_out
from noria.monitoring.windows.packing import unpack_counts
from noria.registry.entities import Origin, ServableVersion, Signature, Task, TensorSpec
from noria.serving.captured_blocks import blocks_of_rows
from noria.serving.predictions import CapturedRow, Prediction

BATCH = 1_000
WINDOW = 5_000
AT = datetime(2030, 1, 7, tzinfo=UTC)


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
    for segments in ((), ("c0",)):
        watched(before, after, segments, n_turns)


def watched(
    before: dict[str, NDArray[Any]], after: dict[str, NDArray[Any]], segments: tuple[str, ...], n_turns: int
) -> None:
    """Measure the rows of a window of an endpoint."""
    specs = [
        TensorSpec(name=name, datatype="FP64" if values.dtype.kind in "iuf" else "BYTES", shape=[-1])
        for name, values in before.items()
    ]
    sample = {name: values[:5_000] for name, values in before.items()}
    version = ServableVersion(
        id="v1",
        project="default",
        model="m",
        version=1,
        digest="d",
        format="none",
        task=Task.REGRESSION,
        signature=Signature(inputs=specs, outputs=[]),
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="",
        created_at=AT,
        updated_at=AT,
    )
    reference = Reference(version=version, columns=sample, baseline=None)
    layout = lay_out(reference, "m", segment_columns=segments)
    columns = {name: values[:WINDOW].tolist() for name, values in after.items()}
    rows = [
        CapturedRow(
            position=i + 1,
            prediction=Prediction(
                id=str(i), version=1, at=AT, inputs={name: column[i] for name, column in columns.items()}
            ),
            label=None,
        )
        for i in range(WINDOW)
    ]
    settings = MonitorSection(window_rows=WINDOW + 1)

    def fold() -> Folded:
        folding = Folding(settings, None, next_index=1, now=AT, layouts=lambda _: layout, stored=Nothing())
        for start in range(0, WINDOW, BATCH):
            folding.take(blocks_of_rows(rows[start : start + BATCH]))
        return folding.result()

    folded = fold()
    with_segments = f", {len(folded.counts)} counters" if segments else ""
    taken = [cpu_s(fold) / (WINDOW * len(columns)) * 1e6 for _ in range(n_turns)]
    told(taken, f"rows into windows{with_segments}", "us per value")
    (window,) = folded.cutting.open

    def judged() -> Judged:
        parts = [
            Part(1, each.segment, unpack_counts(each.body).counts, layout.profiles[each.segment])
            for each in folded.counts
        ]
        return judge(window, parts, MonitorSection(), lambda _: [])

    told([cpu_s(judged) * 1e3 for _ in range(n_turns)], f"judge a stored window{with_segments}", "ms")
    size = sum(len(each.body) for each in folded.counts) / 1024
    print(f"{'stored, compressed':44} {size:9.1f} KiB for {WINDOW:,} rows{with_segments}")


class Nothing:
    """A server that has no window yet."""

    def window(self, index: int) -> Window | None:  # noqa: ARG002 - as of a server
        """Give none."""
        return None

    def counts(self, index: int) -> list[WindowCounts]:  # noqa: ARG002 - as of a server
        """Give none."""
        return []

    def history(self, version: int) -> list[HistoryPoint]:  # noqa: ARG002 - as of a server
        """Give none."""
        return []


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
