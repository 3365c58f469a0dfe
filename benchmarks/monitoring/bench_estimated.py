"""How near estimates of quality without labels come to what labels say afterwards, on real rows.

Classifiers on Elec2, a household's load and scikit-learn's digits; regressors on bike sharing and on electricity of
Victoria. Each turn splits the rows of a set at random: 40 % train, 10 % (at most 5,000, as at registration) are held
out, windows are drawn of the others.

quiet: windows as they come. shifted: rows with a large value of one input are up to twenty times as likely to be drawn,
in each window of another input: real rows with their own labels, so that labels depend on inputs as before. concept:
the labels of a quarter of the rows are those of others: what no estimate without labels can see.

Printed: mean true figure, mean error of the estimate, and how often its 95 % interval held the true figure. Beside it
NannyML's estimates of the very same rows, learnt on the same held-out ones, where `.venv-peers/nannyml` is there:
its interval is taken as 1.96 of its sampling errors to each side (by itself it draws three).

    python benchmarks/monitoring/bench_estimated.py [--turns 4] [--smoke] [--alone] [--data DIR]

`make .venv-peers/nannyml/.ready` installs the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bench_alarms import DATA, Data, Floats, read
from bench_drift import PEERS, PROGRAMS
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from noria.core.stats.calibration import fit_calibrator, resampled_calibrators
from noria.core.stats.confidence import METRICS, classification_metrics, estimate_classification
from noria.core.stats.intervals import clopper_pearson
from noria.core.stats.loss_estimation import estimate_loss, fit_loss_model

SEED = 20261124
WINDOW = 500
HELD_OUT = 5_000
N_WINDOWS = 20
SETS = ("elec2", "household_france", "digits", "bike_sharing", "electricity_victoria")

Rows = NDArray[np.int64]
PEER = PEERS / "nannyml" / "bin" / "python"
NORMAL_95 = 1.959964


@dataclass(slots=True)
class Tally:
    """Estimates of one figure against the truth."""

    true: list[float] = field(default_factory=list)
    estimated: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(self, true: float, value: float, low: float, high: float) -> None:
        """Count one window."""
        self.true.append(true)
        self.estimated.append(value)
        self.held.append(low <= true <= high)


Tallies = dict[tuple[str, str, str, str], Tally]
"""By tool, set, kind of window and metric."""


Truths = list[dict[str, dict[str, float]]]
"""Of each window: the true figures by metric, by kind; a quiet one has a second set of labels, of concept drift."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=4, help="splits of each set (default: 4)")
    parser.add_argument("--smoke", action="store_true", help="one split")
    parser.add_argument("--alone", action="store_true", help="without NannyML")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="some of the sets")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the data sets")
    chosen = parser.parse_args()
    began = time.process_time()
    tallies: Tallies = defaultdict(Tally)
    digits = load_digits()
    sets = [*read(chosen.data), Data("digits", digits.data, digits.target, is_classes=True)]
    sets = [each for each in sets if each.name in chosen.sets]
    with threadpool_limits(limits=1):
        for index, data in enumerate(sets):
            for turn in range(1 if chosen.smoke else chosen.turns):
                rng = np.random.default_rng([SEED, index, turn])
                truths, arrays = (classify if data.is_classes else regress)(data, rng, tallies)
                if PEER.exists() and not chosen.alone:
                    beside(data.name, truths, arrays, tallies)
    for (tool, name, kind, metric), tally in sorted(tallies.items()):
        share = clopper_pearson(sum(tally.held), len(tally.held))
        error = np.abs(np.subtract(tally.estimated, tally.true)).mean()
        print(
            f"{tool:8} {name:20} {kind:8} {metric:9} true {np.mean(tally.true):10.4f}  estimated "
            f"{np.mean(tally.estimated):10.4f}  mean error {error:8.4f}  in the interval {share.estimate:.3f} "
            f"({share.lower:.3f} to {share.upper:.3f})"
        )
    for kind in ("quiet", "shifted", "concept"):
        for tool in sorted({key[0] for key in tallies}):
            print(_summary(tool, kind, [tally for key, tally in tallies.items() if key[::2] == (tool, kind)]))
    print(f"{time.process_time() - began:.0f} s of CPU")


def _summary(tool: str, kind: str, tallies: list[Tally]) -> str:
    held = [one for tally in tallies for one in tally.held]
    # Errors of numbers are in units of the target: each figure counts as a share of its true mean.
    errors = [
        np.mean(np.abs(np.subtract(tally.estimated, tally.true))) / np.mean(tally.true) for tally in tallies
    ]
    return (
        f"{kind}: {tool} {np.mean(held):.3f} of {len(held)} intervals held the true figure; "
        f"mean error {np.mean(errors):.2%} of the figure, mean over sets and metrics"
    )


def beside(name: str, truths: Truths, arrays: dict[str, NDArray[Any]], tallies: Tallies) -> None:
    """Have NannyML estimate the same windows."""
    environment = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1"}
    with tempfile.TemporaryDirectory(prefix="bench-estimated-") as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, **arrays)  # type: ignore[arg-type]
        command = [str(PEER), str(PROGRAMS / "estimate_with_nannyml.py"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"NannyML failed:\n{done.stderr[-3000:]}")
    for metric, estimates in json.loads(done.stdout.splitlines()[-1]).items():
        for window, (value, error) in zip(truths, estimates, strict=True):
            for kind, true in window.items():
                width = NORMAL_95 * error
                tallies["NannyML", name, kind, metric].add(true[metric], value, value - width, value + width)


def parts(n: int, rng: np.random.Generator) -> tuple[Rows, Rows, Rows]:
    """Split rows: to train on, held out, and answered."""
    train, held, rest = np.split(rng.permutation(n), [int(0.4 * n), int(0.5 * n)])
    return train, held[:HELD_OUT], rest


def windows(data: Data, rest: Rows, rng: np.random.Generator) -> list[tuple[str, Rows]]:
    """Draw windows, quiet and shifted."""
    size = min(WINDOW, len(rest) // 2)
    made = [("quiet", rng.choice(rest, size, replace=False)) for _ in range(N_WINDOWS)]
    varied = [i for i in range(data.x.shape[1]) if np.nanstd(data.x[rest, i]) > 0]
    for _ in range(N_WINDOWS):
        column = np.nan_to_num(data.x[rest, rng.choice(varied)])
        rank = np.argsort(np.argsort(column)) / len(rest)
        weight = 20.0**rank
        made.append(("shifted", rng.choice(rest, size, replace=False, p=weight / weight.sum())))
    return made


def classify(data: Data, rng: np.random.Generator, tallies: Tallies) -> tuple[Truths, dict[str, Any]]:
    """Estimate accuracy, F1 and ROC AUC of a classifier; gives the truth, and what a peer is told."""
    codes = np.unique(data.y, return_inverse=True)[1]
    train, held, rest = parts(len(codes), rng)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(data.x[train], codes[train])
    known = model.predict_proba(data.x[held])
    calibrator = fit_calibrator(known, codes[held])
    resampled = resampled_calibrators(known, codes[held], method=calibrator.method, n=200, rng=rng)
    truths: Truths = []
    answers: list[Floats] = []
    for kind, rows in windows(data, rest, rng):
        scores = model.predict_proba(data.x[rows])
        predicted = scores.argmax(axis=1)
        found = estimate_classification(calibrator, resampled, scores, predicted, rng=rng)
        labels = {kind: codes[rows]}
        if kind == "quiet":
            labels["concept"] = mixed(codes[rows], rng)
        truths.append(
            {each: classification_metrics(truth, predicted, scores) for each, truth in labels.items()}
        )
        answers.append(scores)
        for each, measured in truths[-1].items():
            for metric in METRICS:
                figure = found[metric]
                if figure.value is not None and figure.low is not None and figure.high is not None:
                    tally = tallies["Noria", data.name, each, metric]
                    tally.add(measured[metric], figure.value, figure.low, figure.high)
    live = np.concatenate(answers)
    return truths, {
        "size": len(answers[0]),
        "held_scores": known,
        "held_predicted": known.argmax(axis=1),
        "held_labels": codes[held],
        "live_scores": live,
        "live_predicted": live.argmax(axis=1),
    }


def regress(data: Data, rng: np.random.Generator, tallies: Tallies) -> tuple[Truths, dict[str, Any]]:
    """Estimate the mean absolute error of a regression; gives the truth, and what a peer is told."""
    target: Floats = data.y.astype(float)
    train, held, rest = parts(len(target), rng)
    model = HistGradientBoostingRegressor(max_iter=60, random_state=0).fit(data.x[train], target[train])
    known = columns(data.x[held])
    loss = fit_loss_model(known, model.predict(data.x[held]), target[held], rng=rng)
    truths: Truths = []
    answers: list[Floats] = []
    chosen: list[Rows] = []
    for kind, rows in windows(data, rest, rng):
        predicted = model.predict(data.x[rows])
        found = estimate_loss(loss, columns(data.x[rows]), predicted, rng=rng)
        labels = {kind: target[rows]}
        if kind == "quiet":
            labels["concept"] = mixed(target[rows], rng)
        truths.append(
            {each: {"mae": float(np.abs(truth - predicted).mean())} for each, truth in labels.items()}
        )
        answers.append(predicted)
        chosen.append(rows)
        for each, measured in truths[-1].items():
            tallies["Noria", data.name, each, "mae"].add(measured["mae"], found.value, found.low, found.high)
    return truths, {
        "size": len(answers[0]),
        "held_x": data.x[held],
        "held_predicted": model.predict(data.x[held]),
        "held_labels": target[held],
        "live_x": data.x[np.concatenate(chosen)],
        "live_predicted": np.concatenate(answers),
    }


def mixed(labels: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Give a quarter of the rows the labels of others among them."""
    chosen = rng.choice(len(labels), len(labels) // 4, replace=False)
    changed = labels.copy()
    changed[chosen] = labels[rng.permutation(chosen)]
    return changed


def columns(x: Floats) -> dict[str, Floats]:
    """Name the columns."""
    return {f"x{i}": x[:, i] for i in range(x.shape[1])}


if __name__ == "__main__":
    main()
