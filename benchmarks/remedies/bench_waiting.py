"""How long one waits for a decision: a diagnosis with trials of a small model, and a replay of recorded history.

python benchmarks/remedies/bench_waiting.py [--quick]

Whole commands, from start to exit. `noria decide shop --dry-run` looks at 5,000 captured rows of 20 columns, of which
the newest 1,500 follow another rule, and tries every remedy that its causes allow: the pipeline run on other rows,
answers mapped anew, and other kinds of models. `noria decide replay` replays 40 windows of 500 rows of the same kind,
in which the rule changes as well.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from noria.core.config import load_settings
from noria.core.ids import new_id
from noria.core.workspace import open_workspace
from noria.registry.client import model
from noria.serving.captures import Captures
from noria.serving.client import deploy
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction

NORIA = Path(sys.executable).parent / "noria"
N_COLUMNS = 20
N_TRAINED, N_CAPTURED, N_CHANGED = 4_000, 5_000, 1_500
N_WINDOWS, WINDOW_ROWS = 40, 500
AT_ONCE = 500

PIPELINE = """
import noria
from sklearn.linear_model import LogisticRegression


@noria.pipeline
def train(dataset: str) -> str:
    rows = noria.dataset(dataset).arrays()
    held = len(rows["y"]) // 4
    fitted = LogisticRegression(max_iter=500).fit(rows["x"][held:], rows["y"][held:])
    return noria.register(
        fitted, "shop", x={"x": rows["x"]}, y=rows["y"], holdout=({"x": rows["x"][:held]}, rows["y"][:held])
    ).ref
"""
FEATURES = """
from sklearn.linear_model import LogisticRegression

def features(raw):
    return raw

def fit(features, target):
    return LogisticRegression(max_iter=500).fit(features.to_numpy(), target.to_numpy())
"""


def main() -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", "--smoke", action="store_true", help="once each, of a tenth of the rows")
    parser.add_argument("--turns", type=int, default=3, help="of each (default: 3)")
    chosen = parser.parse_args()
    turns, share = (1, 0.1) if chosen.quick else (chosen.turns, 1.0)
    with tempfile.TemporaryDirectory(prefix="bench-waiting-") as made:
        folder = Path(made)
        shop, since = a_shop(folder / "shop", share)
        replayed = an_episode(folder / "episode", share)
        told = folder / "answer.json"
        commands = {
            "a diagnosis with trials": (["shop", "--dry-run", "--json", "--since", str(since)], 60),
            f"a replay of {N_WINDOWS} windows": (["replay", str(replayed), "--yes", "--json", str(told)], 90),
        }
        for name, (arguments, wanted) in commands.items():
            taken = [run([str(NORIA), "decide", *arguments], shop) for _ in range(turns)]
            wall, cpu = (statistics.median(times) for times in list(zip(*taken, strict=True))[:2])
            print(
                f"{name:28} {wall:6.1f} s, CPU {cpu:6.1f} s  wanted under {wanted} s  {said(taken[0][2], told)}"
            )


def said(out: str, told: Path) -> str:
    """Give what was decided, so that a command which did nothing is seen."""
    found = json.loads(out) if out.lstrip().startswith("{") else json.loads(told.read_text(encoding="utf-8"))
    first = found["incidents"][0] if "incidents" in found else found
    cause = max(first["causes"], key=first["causes"].__getitem__)
    tried = [each for each in first["candidates"] if each.get("gain") is not None]
    return f"({cause}: {first['remedy']}, of {len(tried)} tried)"


def rows(n: int, seed: int, *, sign: float = 1.0) -> tuple[Any, Any]:
    """Draw rows; the target follows three columns, of which one may turn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_COLUMNS))
    score = 2 * sign * x[:, 0] + x[:, 1] - x[:, 2]
    return x, (rng.random(n) < 1 / (1 + np.exp(-2 * score))).astype(int)


def a_shop(folder: Path, share: float) -> tuple[Path, int]:
    """Make a project whose endpoint answered; give it, and the first position of the rows of another rule."""
    folder.mkdir()
    (folder / "noria.toml").write_text("")
    (folder / "shop_pipeline.py").write_text(PIPELINE)
    settings = load_settings(workspace=str(folder / ".noria"), environ={})
    with open_workspace(settings) as workspace:
        x, y = rows(int(share * N_TRAINED), 0)
        from noria.data.client import dataset

        dataset("shop-train", workspace=workspace).add({"x": x, "y": y})
        subprocess.run(
            [str(NORIA), "run", "shop_pipeline:train", "-p", "dataset=shop-train@1"],
            cwd=folder,
            env={**os.environ, "NORIA_WORKSPACE": str(settings.workspace)},
            check=True,
            capture_output=True,
        )
        deploy("shop@1", workspace=workspace)
        changed = int(share * N_CHANGED)
        first = int(share * N_CAPTURED) - changed
        x, y = (
            np.concatenate(part) for part in zip(rows(first, 1), rows(changed, 2, sign=-1.0), strict=True)
        )
        capture(workspace, x, y)
    return folder, first + 1


def capture(workspace: Any, x: Any, y: Any) -> None:
    """Keep rows as a model server does, and label them."""
    captures = workspace.service(Captures)
    answers = model("shop@1", workspace=workspace).predict({"x": x}).tolist()
    began = datetime.now(UTC) - timedelta(hours=1)
    made = [
        Prediction(
            id=new_id(),
            version=1,
            at=began + timedelta(milliseconds=100 * at),
            inputs={"x": row.tolist()},
            outputs={"predictions": answer},
        )
        for at, (row, answer) in enumerate(zip(x, answers, strict=True))
    ]
    for start in range(0, len(made), AT_ONCE):
        part = made[start : start + AT_ONCE]
        captures.append("default", "shop", CaptureBatch(predictions=part))
        labels = [
            NewLabel(prediction_id=each.id, value=int(label))
            for each, label in zip(part, y[start : start + AT_ONCE], strict=True)
        ]
        captures.label("default", "shop", LabelBatch(labels=labels))


def an_episode(folder: Path, share: float) -> Path:
    """Write an episode in the middle of which the rule changes."""
    size = int(share * WINDOW_ROWS)
    names = [f"x{at}" for at in range(N_COLUMNS)]
    folder.mkdir()
    for name, parts in {
        "reference": [rows(int(share * N_TRAINED), 0)],
        "stream": [rows(N_WINDOWS // 2 * size, 1), rows(N_WINDOWS // 2 * size, 2, sign=-1.0)],
    }.items():
        x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        frame = pl.DataFrame(x, schema=names).with_columns(y=pl.Series(y))
        if name == "stream":
            window = pl.Series(np.arange(len(y)) // size)
            frame = frame.with_columns(window=window, label_window=window)
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "pipeline.py").write_text(FEATURES)
    (folder / "episode.toml").write_text(
        'task = "classification"\ntarget = "y"\nmetric = "accuracy"\n[costs]\nhorizon = 5\nretrain = 0.02\n'
    )
    return folder


def run(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Give the seconds of a command by the wall clock and of CPU, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    environment = {**os.environ, "NORIA_WORKSPACE": str(folder / ".noria")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, done.stdout


if __name__ == "__main__":
    main()
