"""CPU time that starting Noria costs: what a person waits for at every command."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NORIA = str(Path(sys.executable).parent / "noria")
CASES: list[tuple[str, list[str], float | None]] = [
    ("python -c pass", [sys.executable, "-c", "pass"], None),
    ("import noria", [sys.executable, "-c", "import noria"], 0.10),
    ("noria --version", [NORIA, "--version"], 0.15),
    ("noria --help", [NORIA, "--help"], 0.15),
]
"""What is run, and the CPU seconds that the project promises at most."""


def main() -> None:
    """Print one line per case: median, fastest and slowest CPU seconds (user and system) of a new process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="measure once: shows only that the benchmark runs"
    )
    repeats = 1 if parser.parse_args().smoke else 20
    print(f"{'CPU seconds':20} {'median':>8} {'min':>8} {'max':>8} {'promised':>9}   ({repeats} starts each)")
    for name, command, promised_s in CASES:
        cpu_seconds(command)  # the first start writes the byte code
        taken = [cpu_seconds(command) for _ in range(repeats)]
        print(
            f"{name:20} {statistics.median(taken):8.3f} {min(taken):8.3f} {max(taken):8.3f} "
            f"{promised_s or '':>9}"
        )


def cpu_seconds(command: Sequence[str]) -> float:
    """Run a command to its end and give the CPU time it took."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
