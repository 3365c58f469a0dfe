"""How fast rows of a file are predicted by `noria predict`, beside the same model in a process of its own.

python benchmarks/rollouts/bench_batch.py [--quick]

A forest of 100 trees, 1,000,000 rows of 30 numbers in a Parquet file. In process: rows that lie in memory already go
through the model, by the engine that the version is served by, in two threads, and by its own library in two threads;
nothing is read or written. `noria predict --workers 2` is the whole command: it starts, opens the workspace, fetches
and checks the model, reads, predicts, writes, and puts the run on record. Turns alternate. Memory is the sum of what
all processes of the command hold at one time. Then 10,000 daily runs are put on record and listed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import sqlalchemy as sa

from noria.core.config import load_settings
from noria.core.ids import new_id
from noria.core.workspace import InProcess, Workspace, open_workspace
from noria.registry.client import fetch_version, register
from noria.registry.rules import servable
from noria.registry.runtimes.port import load_model
from noria.registry.service import Models
from noria.registry.signatures import check_inputs
from noria.serving.batch.client import predict
from noria.serving.batch.service import Batches
from noria.serving.batch.tables import batch_runs

NORIA = Path(sys.executable).parent / "noria"
N_COLUMNS, N_TREES, N_WORKERS, CHUNK = 30, 100, 2, 50_000
N_RUNS, PAGE = 10_000, 50

_LOOK_EVERY_S = 0.4
"""How often memory is looked at: a look goes through all processes of the machine, beside those that are measured."""


def main() -> None:
    """Print what each way takes, and what that makes of each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="50,000 rows, one turn, 500 runs")
    parser.add_argument("--turns", type=int, default=3, help="of each way (default: 3)")
    parser.add_argument("--in-process", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.in_process:
        in_process(Path(chosen.in_process[0]), chosen.in_process[1], Path(chosen.in_process[2]))
        return
    n_rows, turns, n_runs = (50_000, 1, 500) if chosen.quick else (1_000_000, chosen.turns, N_RUNS)
    with tempfile.TemporaryDirectory(prefix="bench-batch-") as made:
        folder = Path(made)
        workspace = folder / "workspace"
        with open_folder(workspace) as opened:
            train(opened)
        rows = np.random.default_rng(1).normal(size=(n_rows, N_COLUMNS))
        pl.DataFrame(rows, schema=[f"f{n}" for n in range(N_COLUMNS)]).write_parquet(folder / "in.parquet")
        compare(workspace, folder, n_rows, turns)
        with open_folder(workspace) as opened:
            listing(opened, folder, n_runs)


def compare(workspace: Path, folder: Path, n_rows: int, turns: int) -> None:
    """Predict by each way in turns."""
    taken: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    peak_mb = 0.0
    for _ in range(turns):
        for engine in ("engine", "library"):
            command = [
                sys.executable,
                __file__,
                "--in-process",
                str(workspace),
                engine,
                str(folder / "in.parquet"),
            ]
            told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            taken.setdefault(told["name"], []).append(told["wall_s"])
            cpu.setdefault(told["name"], []).append(told["cpu_s"])
        wall_s, cpu_s, found_mb = command_once(workspace, folder)
        taken.setdefault("noria predict", []).append(wall_s)
        cpu.setdefault("noria predict", []).append(cpu_s)
        peak_mb = max(peak_mb, found_mb)
    for name, walls in taken.items():
        print(
            f"{name:28} {n_rows / statistics.median(walls):10,.0f} rows/s, {statistics.median(walls):6.2f} s,"
            f" CPU {statistics.median(cpu[name]):6.2f} s"
        )
    ours = taken.pop("noria predict")
    for name, walls in taken.items():
        shares = [theirs / mine for theirs, mine in zip(walls, ours, strict=True)]
        print(
            f"speed of `noria predict --workers {N_WORKERS}` as a share of {name}: {statistics.median(shares):.0%}"
        )
    print(f"memory of all its processes at the most: {peak_mb:,.0f} MB")


def command_once(workspace: Path, folder: Path) -> tuple[float, float, float]:
    """Run the command; give seconds, CPU seconds and the most memory."""
    out = folder / "out.parquet"
    command = [str(NORIA), "predict", "forest", "--input", str(folder / "in.parquet"), "--output", str(out)]
    command += ["--workers", str(N_WORKERS), "--json", "--workspace", str(workspace)]
    before, began = os.times(), time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0.0
    while running.poll() is None:
        peak = max(peak, memory_mb(running.pid))
        time.sleep(_LOOK_EVERY_S)
    wall_s, after = time.perf_counter() - began, os.times()
    told = json.loads(running.communicate()[0])
    n_rows = pl.scan_parquet(out).select(pl.len()).collect().item()
    if running.returncode or told["status"] != "succeeded" or told["n_rows"] != n_rows:
        raise SystemExit(f"the command failed: {told}")
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s, cpu_s, peak


def memory_mb(pid: int) -> float:
    """Give what a process and its children hold."""
    try:
        parent = psutil.Process(pid)
        return sum(each.memory_info().rss for each in [parent, *parent.children(recursive=True)]) / 1e6
    except psutil.Error:
        return 0.0


def in_process(workspace: Path, engine: str, path: Path) -> None:
    """Predict rows that lie in memory, in two threads, and print what it took."""
    with open_folder(workspace) as opened:
        version = servable(opened.service(Models).resolve("default", "forest"))
        model = load_model(fetch_version(opened, version), version, fast=engine == "engine")
        rows = pl.read_parquet(path).to_numpy()
        parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        model.predict(check_inputs(version.signature, {"x": rows[:100]}))
        before, began = time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(N_WORKERS) as pool:
            found = list(
                pool.map(lambda part: model.predict(check_inputs(version.signature, {"x": part})), parts)
            )
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - before
        assert sum(len(each["predictions"]) for each in found) == len(rows)
    told = {"name": f"{model.engine} in process", "wall_s": wall_s, "cpu_s": cpu_s}
    sys.stdout.write(json.dumps(told))


def train(workspace: Workspace) -> None:
    """Register the forest."""
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(0)
    x = generator.normal(size=(10_000, N_COLUMNS))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + generator.normal(size=10_000) > 0).astype(int)
    forest = RandomForestClassifier(N_TREES, random_state=0).fit(x, y)
    register(forest, "forest", x=x, y=y, workspace=workspace)


def listing(workspace: Workspace, folder: Path, n_runs: int) -> None:
    """Put daily runs of years on record, and list the newest, and a page in the middle."""
    pl.DataFrame(np.zeros((3, N_COLUMNS)), schema=[f"f{n}" for n in range(N_COLUMNS)]).write_parquet(
        folder / "few.parquet"
    )
    predict("forest", str(folder / "few.parquet"), "scores", batch="scores", slot="blue", workspace=workspace)
    ids = copies(workspace, n_runs)
    batches = workspace.service(Batches)
    asked: dict[str, dict[str, Any]] = {
        "newest": {},
        "of the batch": {"batch": "scores"},
        "of the model": {"model": "forest"},
        "in the middle": {"before": ids[n_runs // 2]},
    }
    for name, chosen in asked.items():
        taken = []
        for _ in range(30):
            began = time.perf_counter()
            found = batches.runs("default", limit=PAGE, **chosen)
            taken.append(time.perf_counter() - began)
            assert len(found.items) == PAGE
        print(f"{PAGE} of {n_runs:,} runs, {name:14} {1000 * statistics.median(taken):6.1f} ms")


def copies(workspace: Workspace, n_runs: int) -> list[str]:
    """Put copies of the newest run on record."""
    assert isinstance(workspace.backend, InProcess)
    with workspace.backend.context.database.write() as connection:
        query = sa.select(batch_runs).order_by(batch_runs.c.pk.desc()).limit(1)
        row = dict(connection.execute(query).mappings().one())
        row.pop("pk")
        ids = [new_id() for _ in range(n_runs)]
        connection.execute(sa.insert(batch_runs), [{**row, "id": each, "once": each} for each in ids])
    return ids


def open_folder(folder: Path) -> Workspace:
    """Open a workspace."""
    return open_workspace(load_settings(workspace=str(folder), environ={}))


if __name__ == "__main__":
    main()
