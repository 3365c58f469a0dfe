"""The rankings study as one pipeline: 12 experiments, each drawn many times, with the study's defects or without.

noria run rankings_pipeline:study -p data=rankings@1
noria run rankings_pipeline:study -p data=rankings@1 -p unseeded_model=no -p encode_all_rows=no \
    -p fill_across_rows=no -p register=yes
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from rankings_data import FEATURES, Parts, parts_of
from rankings_measures import best_of, confusion_figure, confusion_of, mean_sum, measures_of, refusals
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import noria


class Experiment(NamedTuple):
    """What one experiment is made with."""

    data: str
    max_rank: int = 100
    world_rank: int = 50
    max_features: int = 12
    n_est: int = 100


def _experiments() -> dict[str, Experiment]:
    found = {data: Experiment(data) for data in FEATURES}
    for data in FEATURES:
        letter = data[0].upper()
        found[f"{letter}mr300"] = Experiment(data, max_rank=300, world_rank=150)
        found[f"{letter}f3"] = Experiment(data, max_features=3)
        found[f"{letter}nest64"] = Experiment(data, n_est=64)
    return found


EXPERIMENTS = _experiments()
SERVED = ("cwurData", "Snest64", "timesData")
"""What the study deployed; there 15 % of the training rows were set aside to test it."""

TEST_SHARE = 0.15
MODEL = "RFClass-{data}"


@noria.step
def prepare(data: str, experiment: Experiment, fill_across_rows: bool, encode_all_rows: bool) -> Parts:
    """Make the features and labels of one experiment."""
    with tempfile.TemporaryDirectory() as folder:
        noria.dataset(data).checkout(Path(folder))
        return parts_of(
            Path(folder),
            experiment.data,
            max_rank=experiment.max_rank,
            world_rank=experiment.world_rank,
            max_features=experiment.max_features,
            fill_across_rows=fill_across_rows,
            encode_all_rows=encode_all_rows,
        )


@noria.step
def seeded_draw(
    params: dict[str, Any], x: np.ndarray, y: np.ndarray, x_valid: np.ndarray, y_valid: np.ndarray
) -> dict[str, float]:
    """Fit and measure once; `random_state` among the params makes it the same each time."""
    return _draw(params, Parts(x, y, x_valid, y_valid))


@noria.step(cache=False)
def unseeded_draw(
    params: dict[str, Any], x: np.ndarray, y: np.ndarray, x_valid: np.ndarray, y_valid: np.ndarray
) -> dict[str, float]:
    """Fit and measure once, as the study did: nobody can get the same figures again."""
    return _draw(params, Parts(x, y, x_valid, y_valid))


def _draw(params: dict[str, Any], parts: Parts) -> dict[str, float]:
    x, y, state = parts.x, parts.y, params.get("random_state")
    share = params.get("test_share", 0.0)
    if share:
        x, x_test, y, y_test = train_test_split(x, y, test_size=share, random_state=state)
    model = RandomForestClassifier(params["n_est"], random_state=state).fit(x, y)
    found: dict[str, float] = measures_of(model, parts.x_valid, parts.y_valid)
    if share:
        found |= {f"test_{key}": value for key, value in measures_of(model, x_test, y_test).items()}
    group = "RF served" if share else f"RF {params['train_data']}"
    with noria.run(
        f"{params['experiment']} {params['draw']}", experiment=group, params=params, capture=False
    ) as run:
        run.log(found)
        counts = confusion_of(model, parts.x_valid, parts.y_valid)
        run.text("confusion.svg", confusion_figure(counts))
    return found


@noria.step
def why_refused(y: np.ndarray, y_valid: np.ndarray) -> list[str]:
    """Say why an experiment's figures tell nothing."""
    reasons: list[str] = refusals(y, y_valid)
    return reasons


@noria.step
def fit(x: np.ndarray, y: np.ndarray, n_est: int, seed: int) -> RandomForestClassifier:
    """Fit the forest that is registered."""
    return RandomForestClassifier(n_est, random_state=seed).fit(x, y)


@noria.pipeline
def study(
    data: str,
    draws: int = 39,
    seed: int = 0,
    unseeded_model: bool = True,
    encode_all_rows: bool = True,
    fill_across_rows: bool = True,
    test_parts: bool = False,
    register: bool = False,
    only: list[str] = list(EXPERIMENTS),  # noqa: B006 - parameters of pipelines are never changed
) -> dict[str, Any]:
    """Draw every experiment `draws` times.

    With `test_parts`, those that the study served are drawn once more with rows set aside to test them; with
    `register`, the best of each data set is registered.
    """
    defects = {
        "unseeded_model": unseeded_model,
        "encode_all_rows": encode_all_rows,
        "fill_across_rows": fill_across_rows,
    }
    parts = {name: prepare(data, EXPERIMENTS[name], fill_across_rows, encode_all_rows) for name in only}
    sweep = Sweep(defects, seed, draws)
    found = {name: sweep.of(name, parts[name]) for name in only}
    served = {
        name: sweep.of(name, parts[name], test_share=TEST_SHARE)
        for name in only
        if test_parts and name in SERVED
    }
    scores = {name: [dict(one) for one in drawn] for name, drawn in found.items()}
    models = _register(data, parts, scores, seed) if register else {}
    return {
        "scores": scores,
        "served": {name: [dict(one) for one in drawn] for name, drawn in served.items()},
        "models": models,
    }


class Sweep:
    """Draws experiments again and again."""

    def __init__(self, defects: dict[str, bool], seed: int, draws: int) -> None:
        self._defects = defects
        self._seeds = range(seed, seed + draws)

    def of(self, name: str, parts: Parts, **more: Any) -> list[Any]:
        """Give the measures of each draw."""
        return [self._one(name, parts, number, more) for number in self._seeds]

    def _one(self, name: str, parts: Parts, number: int, more: dict[str, Any]) -> Any:
        setting = EXPERIMENTS[name]._asdict()
        setting["train_data"] = setting.pop("data")
        params = {"experiment": name, **setting, **self._defects, **more, "draw": number}
        if self._defects["unseeded_model"]:
            return unseeded_draw(params, *parts)
        return seeded_draw({**params, "random_state": number}, *parts)


def _register(
    data: str, parts: dict[str, Parts], scores: dict[str, list[dict[str, float]]], seed: int
) -> dict[str, dict[str, Any]]:
    """Register the best of each data set, unless its figures tell nothing, and write down why it was chosen."""
    refused = {name: list(why_refused(part.y, part.y_valid)) for name, part in parts.items()}
    registered = {}
    for data_set in FEATURES:
        candidates = {name: scores[name] for name in parts if EXPERIMENTS[name].data == data_set}
        if any(not refused[name] for name in candidates):
            best = best_of(candidates, refused)
            ref = _register_one(data, best, parts[best], scores[best], seed)
            reason = _record(ref, candidates, refused, best)
            told = {"ref": ref, "experiment": best, "reason": reason}
            registered[data_set] = {**told, "setting": EXPERIMENTS[best]._asdict()}
    return registered


def _register_one(data: str, name: str, parts: Parts, draws: Sequence[dict[str, float]], seed: int) -> str:
    chosen = EXPERIMENTS[name]
    names = FEATURES[chosen.data][: chosen.max_features]
    version = noria.register(
        fit(parts.x, parts.y, chosen.n_est, seed),
        MODEL.format(data=chosen.data),
        x=columns(names, np.asarray(parts.x)),
        y=np.asarray(parts.y),
        holdout=(columns(names, np.asarray(parts.x_valid)), np.asarray(parts.y_valid)),
        metrics={key: float(np.mean([draw[key] for draw in draws])) for key in draws[0]},
        dataset=data,
        alias="candidate",
        message=f"{name}: best of its data set by the mean sum of measures over {len(draws)} draws",
    )
    return version.ref


def _record(
    ref: str, candidates: dict[str, list[dict[str, float]]], refused: dict[str, list[str]], best: str
) -> str:
    told = [
        f"{name} refused: {' and '.join(why)}" for name, why in refused.items() if why and name in candidates
    ]
    reason = "; ".join([f"{best} has the largest mean sum of measures", *told])
    figures = {name: {"mean sum of measures": mean_sum(draws)} for name, draws in candidates.items()}
    noria.choose(ref, candidates=figures, choice=best, reason=reason)
    return reason


def columns(names: Sequence[str], x: np.ndarray) -> dict[str, np.ndarray]:
    """Name the columns of a matrix."""
    return {name: x[:, index] for index, name in enumerate(names)}


@noria.step
def predict_rows(model: str, rows: Path) -> list[int]:
    """Predict the rows of a CSV file that has a column for each feature."""
    table = pl.read_csv(rows.read_bytes())
    found = noria.model(model).predict({name: table[name].to_numpy() for name in table.columns})
    return [int(label) for label in found]


@noria.pipeline
def predict_file(model: str, rows: Path, to: str) -> int:
    """Predict a file of rows into another file, and give their number."""
    found = list(predict_rows(model, rows))
    pl.DataFrame({"prediction": found}).write_csv(to)
    return len(found)
