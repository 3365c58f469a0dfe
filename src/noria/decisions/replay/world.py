"""The recorded world as far as it has come: training, deployments, and the paths that rows may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.episode import PIPELINE, Episode, EpisodeInvalid, LiveFile
from noria.decisions.replay.metrics import Metric
from noria.decisions.replay.outputs import Floats, Predicted
from noria.decisions.replay.rows import Window, actual_of
from noria.decisions.replay.runner import CodeRaised, Model, Runner

if TYPE_CHECKING:
    import polars as pl

Repair = Callable[["pl.DataFrame"], "pl.DataFrame"]
Calibration = Callable[[Predicted], Predicted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What was put live at a window: other code, or another model; `error` when that raised."""

    window: int
    name: str
    module: int | None = None
    model: Model | None = None
    fit_module: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What is done to rows besides what was deployed.

    Attributes
    ----------
    module, module_at
        Code that takes the place of what was deployed up to a window.
    model, model_at
        Model that does.
    calibration, calibrated_at
        What is done to its answers, and since which window.
    """

    module: int | None = None
    module_at: int = -1
    model: Model | None = None
    model_at: int = -1
    repairs: tuple[Repair, ...] = ()
    calibration: Calibration | None = None
    calibrated_at: int = -1

    def repaired(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Apply the repairs of raw rows."""
        for repair in self.repairs:
            raw = repair(raw)
        return raw


@dataclass(slots=True, kw_only=True)
class World:
    """An episode while it is replayed."""

    episode: Episode
    runner: Runner
    metric: Metric
    module: int = 0
    features: Any = None
    model: Any = None
    actual: Any = None
    constant: Any = None
    deployments: list[Deployment] = field(default_factory=list)
    _answers: dict[Any, tuple[Predicted, str]] = field(default_factory=dict)
    _features: dict[Any, Any] = field(default_factory=dict)

    @property
    def classifies(self) -> bool:
        """Tell whether targets are classes."""
        return self.episode.is_classification

    @property
    def raw(self) -> pl.DataFrame:
        """Raw training rows."""
        return self.episode.reference.select(self.episode.columns)

    @property
    def target(self) -> pl.Series:
        """Targets of the training rows."""
        return self.episode.reference[self.episode.description.target]

    def train(self) -> None:
        """Train on the reference through the pipeline."""
        self.actual, _ = actual_of(self.target, classifies=self.classifies)
        try:
            self.module = self.runner.load(self.episode.folder / PIPELINE, needs=("features", "fit"))
            self.features = self.runner.features(self.module, self.raw)
            self.model = self.runner.fit(self.module, self.features, self.target)
            self.predict(self.model, self.features.head(5))
        except CodeRaised as error:
            raise EpisodeInvalid(f"`{PIPELINE}` does not train on the reference: {error.message}") from error
        self.constant = _constant(self.actual, self.model, classifies=self.classifies)

    def deploy(self, files: list[LiveFile]) -> list[Deployment]:
        """Put files live."""
        found = [self._deployed(file) for file in files]
        self.deployments += found
        return found

    def _deployed(self, file: LiveFile) -> Deployment:
        name = f"live/{file.path.name}"
        try:
            if not file.fits:
                module = self.runner.load(file.path, needs=("features",))
                return Deployment(window=file.window, name=name, module=module)
            module = self.runner.load(file.path, needs=("fit",))
            model = self.runner.fit(module, self.features, self.target)
            return Deployment(window=file.window, name=name, model=model, fit_module=module)
        except CodeRaised as error:
            return Deployment(window=file.window, name=name, error=error.message)

    def module_for(self, path: Path) -> int:
        """Give the code that computes features now."""
        live = [d for d in self.deployments if d.module is not None]
        if path.module is not None and (not live or live[-1].window <= path.module_at):
            return path.module
        return live[-1].module if live and live[-1].module is not None else self.module

    def model_for(self, path: Path) -> Model:
        """Give the model that answers now."""
        live = [d for d in self.deployments if d.model is not None]
        if path.model is not None and (not live or live[-1].window <= path.model_at):
            return path.model
        if live and live[-1].model is not None:
            return live[-1].model
        model: Model = self.model
        return model

    def inputs(self, path: Path, window: Window) -> pl.DataFrame:
        """Compute the features that a path gives a window now; asked again, they are not computed again."""
        key = (window.number, self.module_for(path), path.repairs)
        if key not in self._features:
            self._features[key] = self.runner.features(self.module_for(path), path.repaired(window.raw))
        found: pl.DataFrame = self._features[key]
        return found

    def answer(self, path: Path, window: Window) -> tuple[Predicted, str]:
        """Answer a window as it would be answered now.

        When code fails, all rows get the constant that the training targets give, and why is told.
        """
        model = self.model_for(path)
        key = (window.number, self.module_for(path), model.number, path.repairs, path.calibration)
        if key not in self._answers:
            self._answers[key] = self._answered(path, window)
        return self._answers[key]

    def _answered(self, path: Path, window: Window) -> tuple[Predicted, str]:
        try:
            predicted = self.predict(self.model_for(path), self.inputs(path, window))
        except CodeRaised as error:
            return self.failed(len(window)), error.message
        return (path.calibration(predicted) if path.calibration else predicted), ""

    def predict(self, model: Model, features: pl.DataFrame) -> Predicted:
        """Predict rows."""
        predicted = self.runner.predict(model, features, classifies=self.classifies)
        if not self.classifies and not np.isfinite(predicted.values).all():
            filled = np.where(np.isfinite(predicted.values), predicted.values, self.constant.values[0])
            return Predicted(values=filled)
        return predicted

    def failed(self, n_rows: int) -> Predicted:
        """Give the constant answer for rows that could not be answered."""
        found: Predicted = self.constant.take(np.zeros(n_rows, dtype=np.intp))
        return found

    def losses(self, window: Window, predicted: Predicted, rows: NDArray[np.intp]) -> Floats:
        """Give the loss of some rows of a window."""
        return self.metric.rows(window.actual[rows], predicted.take(rows))


def _constant(actual: NDArray[Any], model: Model, *, classifies: bool) -> Predicted:
    if not classifies:
        return Predicted(values=np.array([float(np.median(actual))]))
    names, counts = np.unique(actual, return_counts=True)
    classes = model.classes if model.classes is not None else names
    shares = np.array([[float((actual == name).mean()) for name in classes]])
    return Predicted(
        values=np.array([names[counts.argmax()]]), shares=shares / max(shares.sum(), 1e-12), classes=classes
    )
