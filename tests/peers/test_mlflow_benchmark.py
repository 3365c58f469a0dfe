from __future__ import annotations

import re
import sys
from pathlib import Path

from support.processes import Processes

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "tracking" / "bench_mlflow.py"


def test_the_benchmark_beside_mlflow_runs_at_its_smallest_size(processes: Processes) -> None:
    """It ends well with `--smoke` and prints figures."""
    program = processes.start([sys.executable, BENCHMARK, "--smoke"], name="bench")

    assert program.wait(300) == 0
    assert re.search(r"single metric .*\d", program.output())
