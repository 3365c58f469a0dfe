"""An episode in this process, all of it known: what each path through code and models would have answered."""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from losses import Answers, loss
from numpy.typing import NDArray
from sklearn import ensemble, impute, linear_model, pipeline, preprocessing

CANDIDATES = ("boosting", "forest", "linear")
LOST = "lost "
_HIDDEN = ("window", "label_window")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A window: raw rows without target, and targets."""

    number: int
    raw: pl.DataFrame
    target: pl.Series

    @property
    def actual(self) -> NDArray[Any]:
        """Targets as an array."""
        return self.target.to_numpy()


class Simulated:
    """An episode.

    Parameters
    ----------
    folder
        Holds the folder `episode` and `clean.parquet`, its stream without faulty inputs.
    """

    def __init__(self, folder: Path) -> None:
        place = folder / "episode"
        described = tomllib.loads((place / "episode.toml").read_text())
        self.classifies = described["task"] == "classification"
        self.metric: str = described["metric"]
        self.costs: dict[str, float] = {k: v for k, v in described["costs"].items() if k != "horizon"}
        target = described["target"]
        reference = pl.read_parquet(place / "reference.parquet")
        self.raw, self.target = reference.drop(target), reference[target]
        self.windows = _windows(pl.read_parquet(place / "stream.parquet"), target)
        clean = pl.read_parquet(folder / "clean.parquet")
        self._clean = clean.drop([name for name in clean.columns if name.startswith(LOST)])
        self._lost = {name.removeprefix(LOST): clean[name] for name in clean.columns if name.startswith(LOST)}
        self._target = target
        self.trained = _module(place / "pipeline.py")
        files = sorted((place / "live").iterdir())
        self.code = {int(f.name[:3]): _module(f) for f in files if not f.name.endswith(".fit.py")}
        self.features = self.trained.features(self.raw)
        self.model = self.trained.fit(self.features, self.target)
        self.versions = {
            int(f.name[:3]): _module(f).fit(self.features, self.target)
            for f in files
            if f.name.endswith(".fit.py")
        }

    def losses(self, answers: dict[int, Answers]) -> dict[int, float]:
        """Give the loss of each window."""
        return {
            w.number: loss(self.metric, w.actual, answers[w.number])
            for w in self.windows
            if w.number in answers
        }

    def answers(
        self, windows: list[Rows] | None = None, *, code: str = "live", model: Any = None
    ) -> dict[int, Answers]:
        """Answer windows by the code that is live, or that of training, and the model that is live, or another."""
        return {
            w.number: self.predict(self.model_at(w.number) if model is None else model, self.inputs(w, code))
            for w in windows or self.windows
        }

    def inputs(self, window: Rows, code: str = "live") -> pl.DataFrame:
        """Compute features."""
        live = [at for at in sorted(self.code) if at <= window.number and code == "live"]
        found: pl.DataFrame = (self.code[live[-1]] if live else self.trained).features(window.raw)
        return found

    def model_at(self, number: int) -> Any:
        """Give the model that is live at a window."""
        live = [at for at in sorted(self.versions) if at <= number]
        return self.versions[live[-1]] if live else self.model

    def predict(self, model: Any, features: pl.DataFrame) -> Answers:
        """Predict rows."""
        asked = features.to_numpy() if not hasattr(model, "feature_names_in_") else features
        values = np.asarray(model.predict(asked))
        if not self.classifies:
            return Answers(values=values.astype(np.float64))
        return Answers(
            values=values, shares=np.asarray(model.predict_proba(asked)), classes=np.asarray(model.classes_)
        )

    def as_it_was(self) -> list[Rows]:
        """Give the stream as it was before anything happened to its inputs."""
        return _windows(self._clean, self._target)

    def mended(self) -> list[list[Rows]]:
        """Give the stream as repairs leave it: the old values, and where they are lost an estimate or the median."""
        if not self._lost:
            return [self.as_it_was()]
        found = []
        for fill in (self._estimate, self._median):
            frame = self._clean
            for name, gone in self._lost.items():
                values = np.where(gone.to_numpy(), fill(name), frame[name].to_numpy())
                frame = frame.with_columns(pl.Series(name, values))
            found.append(_windows(frame, self._target))
        return found

    def _median(self, name: str) -> NDArray[np.float64]:
        return np.full(self._clean.height, float(np.nanmedian(self.raw[name].to_numpy())))

    def _estimate(self, name: str) -> NDArray[np.float64]:
        """Estimate a column of the others, as they were in training."""
        others = [c for c in self.raw.columns if c not in self._lost]
        known = self.raw[name].to_numpy()
        there = np.isfinite(known)
        model = ensemble.HistGradientBoostingRegressor(max_iter=80, random_state=0)
        model.fit(_numbers(self.raw, others, self.raw)[there], known[there])
        return np.asarray(model.predict(_numbers(self._clean, others, self.raw)))

    def learn(self, windows: list[Rows], variant: str, name: str | None = None, *, code: str = "live") -> Any:
        """Fit the pipeline's model, or a candidate, on live rows: alone, after the reference, or weighing as much."""
        live = pl.concat([self.inputs(w, code) for w in windows], how="vertical_relaxed")
        live = live.select(self.features.columns).cast(dict(self.features.schema))
        target = pl.concat([w.target for w in windows])
        if variant == "recent":
            features = live
        else:
            times = max(1, round(self.features.height / live.height)) if variant == "weighted" else 1
            features = pl.concat([self.features, *[live] * times])
            target = pl.concat([self.target, *[target] * times])
        if name is None:
            return self.trained.fit(features, target)
        return _estimator(name, classifies=self.classifies).fit(features.to_numpy(), target.to_numpy())


def _windows(stream: pl.DataFrame, target: str) -> list[Rows]:
    return [
        Rows(number=int(part["window"][0]), raw=part.drop(target, *_HIDDEN), target=part[target])
        for part in stream.partition_by("window", maintain_order=True)
    ]


def _numbers(frame: pl.DataFrame, names: list[str], like: pl.DataFrame) -> NDArray[np.float64]:
    columns = []
    for name in names:
        if like[name].dtype.is_numeric():
            columns.append(frame[name].cast(pl.Float64).to_numpy())
        else:
            codes = {value: float(i) for i, value in enumerate(like[name].drop_nulls().unique().sort())}
            columns.append(np.array([codes.get(value, -1.0) for value in frame[name]]))
    return np.column_stack(columns)


def _estimator(name: str, *, classifies: bool) -> Any:
    if name == "boosting":
        kind = (
            ensemble.HistGradientBoostingClassifier if classifies else ensemble.HistGradientBoostingRegressor
        )
        return kind(max_iter=80, random_state=0)
    if name == "forest":
        forest = ensemble.ExtraTreesClassifier if classifies else ensemble.ExtraTreesRegressor
        model: Any = forest(60, min_samples_leaf=2, random_state=0)
    else:
        model = linear_model.LogisticRegression(max_iter=500) if classifies else linear_model.Ridge()
    return pipeline.make_pipeline(
        impute.SimpleImputer(keep_empty_features=True), preprocessing.StandardScaler(), model
    )


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"episode_{abs(hash(str(path)))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
