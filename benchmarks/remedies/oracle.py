"""The second truth of an episode: what each remedy would have saved, and what simple rules would have."""

from __future__ import annotations

import importlib.util
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from noria.decisions.replay.calibrating import calibration
from noria.decisions.replay.candidates import CANDIDATES, fit_candidate
from noria.decisions.replay.episode import Episode, read_episode
from noria.decisions.replay.metrics import Metric
from noria.decisions.replay.outputs import Predicted, joined, texts
from noria.decisions.replay.rows import Window, windows_of

HORIZON = 8
LEARNING_WINDOWS = 2
"""Windows of the incident that the oracle's learning remedies learn from before they act."""


class Simulated:
    """An episode in this process, all of it known.

    Parameters
    ----------
    clean
        Its stream as it would be without faulty inputs.
    """

    def __init__(self, folder: Path, clean: Path) -> None:
        warnings.simplefilter("ignore")
        self.episode: Episode = read_episode(folder)
        self.metric = Metric(self.episode.description.metric, classifies=self.episode.is_classification)
        self.windows = windows_of(self.episode)
        mended = self.episode.__class__(
            **{**{f: getattr(self.episode, f) for f in Episode.__slots__}, "stream": pl.read_parquet(clean)}
        )
        self.clean = {window.number: window for window in windows_of(mended)}
        self.pipeline = _module(folder / "pipeline.py")
        self.live = {file.window: _module(file.path) for file in self.episode.live if not file.fits}
        self.fits = {file.window: _module(file.path) for file in self.episode.live if file.fits}
        self.raw = self.episode.reference.select(self.episode.columns)
        self.target = self.episode.reference[self.episode.description.target]
        self.features = self.pipeline.features(self.raw)
        self.model = self.pipeline.fit(self.features, self.target)
        self.versions = {at: module.fit(self.features, self.target) for at, module in self.fits.items()}

    def losses(self, answers: dict[int, Predicted]) -> dict[int, float]:
        """Give the loss of each window."""
        return {
            w.number: self.metric.loss(w.actual, answers[w.number])
            for w in self.windows
            if w.number in answers
        }

    def answers(self, *, raw: str = "live", code: str = "live", model: Any = None) -> dict[int, Predicted]:
        """Answer all windows on one path."""
        found = {}
        for window in self.windows:
            rows = (self.clean[window.number] if raw == "clean" else window).raw
            features = self._code(window.number if code == "live" else -1)(rows)
            found[window.number] = self.predict(model or self._model(window.number), features)
        return found

    def predict(self, model: Any, features: pl.DataFrame) -> Predicted:
        """Predict rows."""
        asked = features
        try:
            values = model.predict(asked)
        except (TypeError, AttributeError):
            asked = features.to_numpy()  # type: ignore[assignment]
            values = model.predict(asked)
        if not self.episode.is_classification:
            return Predicted(values=np.asarray(values, dtype=np.float64))
        shares = np.asarray(model.predict_proba(asked))
        return Predicted.of_classes(
            texts(values),
            texts(model.classes_),
            {"kind": "predict_proba", "width": shares.shape[1], "data": shares.astype(np.float64).tobytes()},
        )

    def learn(self, upto: int, since: int, kind: str, name: str | None = None) -> Any:
        """Fit on the reference and live rows, or on live rows only."""
        chosen = [w for w in self.windows if since <= w.number <= upto]
        features = pl.concat([self._code(w.number)(w.raw) for w in chosen], how="vertical_relaxed")
        target = pl.concat([w.target for w in chosen])
        if kind == "all":
            features = pl.concat(
                [self.features, features.select(self.features.columns).cast(dict(self.features.schema))]
            )
            target = pl.concat([self.target, target])
        if name is None:
            return self.pipeline.fit(features, target)
        classes = (
            pl.Series(texts(target.to_list()).tolist())
            if self.episode.is_classification
            else target.cast(pl.Float64)
        )
        return fit_candidate(name, features, classes)

    def _code(self, number: int) -> Any:
        live = [at for at in sorted(self.live) if at <= number]
        return (self.live[live[-1]] if live else self.pipeline).features

    def _model(self, number: int) -> Any:
        live = [at for at in sorted(self.versions) if at <= number]
        return self.versions[live[-1]] if live else self.model


def saved_by(simulated: Simulated, onset: int) -> dict[str, float]:
    """Give what each remedy saves over the horizon after it could act, waiting being 0."""
    base = simulated.losses(simulated.answers())
    learnt = onset + LEARNING_WINDOWS - 1
    found = {"wait": 0.0}

    def enter(remedy: str, answers: dict[int, Predicted], after: int) -> None:
        losses = simulated.losses(answers)
        rows = [base[w] - losses[w] for w in base if after < w <= after + HORIZON and w in losses]
        total = float(np.nansum(rows))
        found[remedy] = max(found.get(remedy, -math.inf), total)

    enter("repair_inputs", simulated.answers(raw="clean"), onset)
    if simulated.live:
        enter("fix_pipeline", simulated.answers(code="training"), onset)
    if simulated.fits:
        enter("roll_back_model", simulated.answers(model=simulated.model), onset)
    _recalibrated(simulated, onset, learnt, enter)
    for kind in ("all", "recent"):
        for name in (None, *CANDIDATES):
            try:
                model = simulated.learn(learnt, onset, kind, name)
                answers = simulated.answers(model=model)
            except (ValueError, TypeError):
                continue
            enter("retrain" if name is None else "new_model", answers, learnt)
    return found


def _recalibrated(simulated: Simulated, onset: int, learnt: int, enter: Any) -> None:
    plain = simulated.answers()
    taught = [w for w in simulated.windows if onset <= w.number <= learnt]
    learn = calibration(np.concatenate([w.actual for w in taught]), joined(plain[w.number] for w in taught))
    if learn is not None:
        enter("recalibrate", {number: learn(answer) for number, answer in plain.items()}, learnt)


def baselines(simulated: Simulated, delay: int | None) -> dict[str, float]:
    """Give what simple rules save over the whole stream, each acting by retraining on everything labelled."""
    rules = {
        "retrain always": _always,
        "retrain on PSI > 0.2": _psi,
        "retrain on corrected KS": _ks,
        "retrain on drop, gated": _drop,
    }
    base = simulated.losses(simulated.answers())
    found = {}
    for name, rule in rules.items():
        model, losses, last = None, {}, -10
        for window in simulated.windows:
            features = simulated._code(window.number)(window.raw)
            answer = simulated.predict(model or simulated._model(window.number), features)
            losses[window.number] = simulated.metric.loss(window.actual, answer)
            known = window.number - (delay if delay is not None else 10**6)
            if window.number - last >= 4 and known >= 2 and rule(simulated, window, losses, known):
                try:
                    model, last = simulated.learn(known, 0, "all"), window.number
                except ValueError:
                    continue
        found[name] = float(np.nansum([base[w] - losses[w] for w in base]))
    return found


def _always(*_: Any) -> bool:
    return True


def _psi(simulated: Simulated, window: Window, *_: Any) -> bool:
    from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares
    from noria.core.stats.tests import psi

    for name in simulated.raw.columns:
        if not simulated.raw[name].dtype.is_float():
            continue
        before, after = (f[name].drop_nulls().to_numpy() for f in (simulated.raw, window.raw))
        edges = quantile_edges(before)
        if (
            len(after)
            and psi(smoothed_shares(bin_counts(before, edges)), smoothed_shares(bin_counts(after, edges)))
            > 0.2
        ):
            return True
    return False


def _ks(simulated: Simulated, window: Window, *_: Any) -> bool:
    from noria.core.stats.multiplicity import bonferroni
    from noria.core.stats.tests import ks_two_sample

    values = []
    for name in simulated.raw.columns:
        before, after = simulated.raw[name].drop_nulls(), window.raw[name].drop_nulls()
        if simulated.raw[name].dtype.is_float() and len(after) > 5:
            values.append(
                float(ks_two_sample(before.to_numpy()[:, None], after.to_numpy()[:, None]).p_value[0])
            )
    return bool(values and bonferroni(values).min() < 0.01)


def _drop(simulated: Simulated, _window: Window, losses: dict[int, float], known: int) -> bool:
    """Retrain when the newest labelled windows lose more, and a challenger taught on earlier ones does better."""
    first, newest = [losses[n] for n in sorted(losses)[:4]], losses.get(known, math.nan)
    if not newest > np.mean(first) + 2 * np.std(first):
        return False
    challenger = simulated.learn(known - 1, 0, "all")
    judged = next(w for w in simulated.windows if w.number == known)
    answer = simulated.predict(challenger, simulated._code(known)(judged.raw))
    return simulated.metric.loss(judged.actual, answer) < newest


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"episode_{abs(hash(str(path)))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
