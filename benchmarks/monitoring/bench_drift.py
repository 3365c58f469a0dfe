"""What a drift report of two tables costs, beside Evidently, NannyML and a bare loop over SciPy's tests.

100,000 x 50 against 100,000 x 50: 40 numeric columns and 10 of texts, every fifth drifted on purpose. Each turn of
each tool is a process of its own. Wall and CPU seconds are of the report alone, without imports and without reading
the tables into what the tool works on; memory is the most that the process ever held, with all of that. Noria makes
its whole report; Evidently's default is Wasserstein and Jensen-Shannon; the others do KS and chi-squared.

With `--large`, Noria alone: 3,000,000 x 200 against 3,000,000 x 200 in Parquet files, reading them being part of it.

    python benchmarks/monitoring/bench_drift.py [--turns 5] [--quick] [--large] [--folder DIR]

Peers that are not installed are left out: `make peers PEERS='evidently nannyml' ARGS=--collect-only`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / os.environ.get("PEERS_VENV", ".venv-peers")
PROGRAMS = Path(__file__).parent / "programs"
SEED = 20261122
LARGE_ROWS, LARGE_COLUMNS, ROWS_AT_ONCE = 3_000_000, 200, 250_000


@dataclass(frozen=True, slots=True)
class Tool:
    """A way to compare two tables: its environment (empty: ours), its program, and what that is told besides."""

    name: str
    peer: str
    program: str
    told: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The interpreter that has it."""
        return PEERS / self.peer / "bin" / "python" if self.peer else Path(sys.executable)


NORIA = Tool("Noria, whole report", "", "with_noria.py")
TOOLS = (
    NORIA,
    Tool("Noria, from Parquet files", "", "with_noria.py", ("files",)),
    Tool("SciPy loop, KS + chi-squared", "evidently", "with_scipy.py"),
    Tool("NannyML, KS + chi-squared", "nannyml", "with_nannyml.py"),
    Tool("Evidently, KS + chi-squared", "evidently", "with_evidently.py", ("ks",)),
    Tool("Evidently, default", "evidently", "with_evidently.py"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of each tool (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one turn")
    parser.add_argument("--large", action="store_true", help="3,000,000 x 200, Noria alone, once")
    parser.add_argument("--folder", type=Path, help="keep the tables here, and use those that are there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-drift-") as made:
        folder = chosen.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if chosen.large:
            _large(folder)
        else:
            _beside(folder, 1 if chosen.quick else chosen.turns)


def _beside(folder: Path, n_turns: int) -> None:
    paths = [folder / f"{side}.parquet" for side in ("reference", "current")]
    for path, drifted in zip(paths, (False, True), strict=True):
        table(np.random.default_rng([SEED, drifted]), drifted=drifted).write_parquet(path)
    taken: dict[str, list[dict[str, Any]]] = {}
    for _ in range(n_turns):
        for tool in TOOLS:
            if tool.python.exists():
                taken.setdefault(tool.name, []).append(run(tool, paths))
    print(
        f"{'100,000 x 50, medians of ' + str(n_turns):32} {'wall s':>8} {'CPU s':>8} {'MB':>6} {'CPU':>8}  drifted"
    )
    own = _median(taken[NORIA.name], "cpu_s")
    for name, turns in taken.items():
        ratio = _median(turns, "cpu_s") / own
        figures = (
            f"{_median(turns, 'wall_s'):8.3f} {_median(turns, 'cpu_s'):8.3f} {_median(turns, 'peak_mb'):6.0f}"
        )
        spread = " to ".join(f"{f(t['cpu_s'] for t in turns):.3f}" for f in (min, max))
        print(f"{name:32} {figures} {ratio:7.1f}x  {turns[0]['n_drifted']}   (CPU {spread} s)")


def _large(folder: Path) -> None:
    paths = [folder / f"large-{side}.parquet" for side in ("reference", "current")]
    for path, drifted in zip(paths, (False, True), strict=True):
        if not path.exists():
            write_large(path, drifted=drifted)
    size = sum(path.stat().st_size for path in paths) / 2**30
    found = run(Tool("Noria", "", "with_noria.py", ("files",)), paths)
    print(
        f"{LARGE_ROWS:,} x {LARGE_COLUMNS} against the same, {size:.1f} GiB of Parquet, {os.cpu_count()} processors:"
    )
    print(f"  wall {found['wall_s']:.1f} s, CPU {found['cpu_s']:.1f} s, memory {found['peak_mb']:.0f} MB,")
    print(f"  {found['n_drifted']} of {LARGE_COLUMNS} columns differ ({LARGE_COLUMNS // 5} were moved)")


def table(source: np.random.Generator, *, drifted: bool, n: int = 100_000) -> pl.DataFrame:
    """Make one side: normal, gamma and lognormal numbers, and texts of 4 to 13 kinds."""
    columns: dict[str, Any] = {}
    for i in range(40):
        moved = drifted and i % 5 == 0
        kinds = (
            lambda moved: source.normal(0.15 if moved else 0.0, 1.0, n),
            lambda moved: source.gamma(2.2 if moved else 2.0, 1.0, n),
            lambda moved: source.lognormal(0.1 if moved else 0.0, 0.5, n),
        )
        columns[f"n{i}"] = kinds[i % 3](moved)
    for i in range(10):
        weights = np.arange(1.0, 5 + i)
        weights = weights[::-1] if drifted and i % 5 == 0 else weights
        codes = source.choice(weights.size, n, p=weights / weights.sum())
        columns[f"c{i}"] = [f"v{code}" for code in codes.tolist()]
    return pl.DataFrame(columns)


def write_large(path: Path, *, drifted: bool) -> None:
    """Write one side of the large case, some rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = np.random.default_rng([SEED, 2, drifted])
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as unfinished:
        schema = pa.schema([(f"n{i}", pa.float64()) for i in range(LARGE_COLUMNS)])
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for batch in _batches(source, drifted=drifted):
                writer.write_table(pa.table(batch, schema=schema))
    Path(unfinished.name).rename(path)


def _batches(source: np.random.Generator, *, drifted: bool) -> Iterator[dict[str, Any]]:
    for _ in range(0, LARGE_ROWS, ROWS_AT_ONCE):
        # Three decimals, as sensors give them: the files stay a fifth as large.
        yield {
            f"n{i}": np.round(source.normal(0.05 if drifted and i % 5 == 0 else 0.0, 1.0, ROWS_AT_ONCE), 3)
            for i in range(LARGE_COLUMNS)
        }


def run(tool: Tool, paths: list[Path]) -> dict[str, Any]:
    """Let a tool compare two files in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [str(tool.python), str(PROGRAMS / tool.program), *map(str, paths), *tool.told]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=paths[0].parent,
        env={**environment, "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"},
    )
    if done.returncode:
        sys.exit(f"{tool.name} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _median(turns: list[dict[str, Any]], key: str) -> float:
    return float(statistics.median(turn[key] for turn in turns))


if __name__ == "__main__":
    main()
