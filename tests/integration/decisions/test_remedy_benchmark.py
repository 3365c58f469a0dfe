"""The remedy benchmark's program runs at its smallest size, and again from what it kept."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from support.processes import Processes

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "remedies" / "bench_remedies.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_remedy_benchmark_makes_replays_and_judges_episodes(processes: Processes, tmp_path: Path) -> None:
    """Two tiny episodes: a line for each, the table, and the answers beside the truths in the file."""
    kept, file = tmp_path / "kept", tmp_path / "results.json"
    program = processes.start(
        [sys.executable, BENCHMARK, "--smoke", "--workers", "1", "--cache", kept, "--json", file],
        name="bench",
    )

    assert program.wait(580) == 0
    told = program.output()
    for figure in (
        "cause macro-F1",
        "remedy accuracy",
        "regret",
        "harmful retrains",
        "regret: retrain always",
    ):
        assert re.search(rf"^{re.escape(figure)} .*\d", told, re.MULTILINE), figure
    results = json.loads(file.read_text())
    assert [result["causes"] for result in results] == [["none"], ["input_fault"]]
    assert len(list(kept.iterdir())) == 2
    for result in results:
        assert "error" not in result["answer"]
        # What the engine says of the course without actions is what the benchmark measures by itself.
        assert result["disagreement"] < 1e-6
