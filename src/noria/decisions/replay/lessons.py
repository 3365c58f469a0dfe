"""What labelled live rows teach: a model fitted anew, or a map of the answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from noria.decisions.entities import Scheme
from noria.decisions.replay.calibrating import calibrations
from noria.decisions.replay.case import State, answers_as_trained, targets_of
from noria.decisions.replay.outputs import joined, texts
from noria.decisions.replay.runner import Model
from noria.decisions.replay.trial import Parts
from noria.decisions.replay.world import Path
from noria.decisions.stages.decomposition import mix_weights

if TYPE_CHECKING:
    import polars as pl

_FEWEST = 20
_MOST_TAUGHT = 20_000


class Lessons:
    """Teaches by labelled rows."""

    def __init__(self, state: State) -> None:
        self._state = state

    def fitted(self, parts: Parts, scheme: Scheme, own: str | None) -> Path | None:
        """Fit the pipeline's model, or a candidate by name, or train the present one on; None with too few rows."""
        rows = self._rows(parts, scheme)
        if rows is None:
            return None
        features, target = rows
        world = self._state.world
        model: Model
        if scheme is Scheme.WARM:
            model = world.runner.train_on(world.model_for(self._state.path), features, target)
        elif own is None:
            model = world.runner.fit(world.module, features, target)
        else:
            model = world.runner.fit_own(own, features, _plain(target, classifies=world.classifies))
        return replace(self._state.path, model=model, model_at=self._state.now, calibration=None)

    def _rows(self, parts: Parts, scheme: Scheme) -> tuple[pl.DataFrame, pl.Series] | None:
        """Put together the rows that teach: the reference, and the labelled live rows by the live path's features."""
        import polars as pl

        world, state = self._state.world, self._state
        n_live = sum(len(rows) for _, rows in parts)
        if n_live < _FEWEST:
            return None
        live = pl.concat(
            [world.inputs(state.path, window)[rows] for window, rows in parts], how="vertical_relaxed"
        )
        target = pl.concat([window.target[rows] for window, rows in parts])
        if scheme in (Scheme.RECENT, Scheme.WARM):
            enough = n_live >= max(40, live.width)
            return (live, target) if enough and target.n_unique() > 1 else None
        old = world.features
        live = live.select(old.columns).cast(dict(old.schema), strict=False)
        times = max(1, round(world.features.height / n_live)) if scheme is Scheme.WEIGHTED else 1
        return (
            pl.concat([old, *[live] * times]).tail(_MOST_TAUGHT),
            pl.concat([world.target, *[target] * times]).tail(_MOST_TAUGHT),
        )

    def calibrated(self, parts: Parts) -> dict[str, Path]:
        """Map the answers anew, in each way that there is."""
        if sum(len(rows) for _, rows in parts) < _FEWEST:
            return {}
        state = self._state
        bare = replace(state.path, calibration=None)
        predicted = joined(state.world.answer(bare, window)[0].take(rows) for window, rows in parts)
        learnt = calibrations(targets_of(parts), predicted, state.world.actual)
        return {
            note: replace(bare, calibration=each, calibrated_at=state.now) for note, each in learnt.items()
        }

    def saved_in_mix(self, learnt: Path, judging: Parts) -> tuple[float, float, int] | None:
        """Give what it saves on held-out training rows weighted to the mix of the labels that judge.

        Where the labels' mix alone moved, those rows tell as much as live ones: the mean, its standard error, and their
        number. None where something else may have moved, or another model answers than that which they were held out
        of.
        """
        state, world = self._state, self._state.world
        if not answers_as_trained(state) or learnt.calibration is None or not judging:
            return None
        answers, actual = state.baseline.predicted, world.actual
        if len(answers) != len(actual):
            return None
        saved = world.metric.rows(actual, answers) - world.metric.rows(actual, learnt.calibration(answers))
        weights = mix_weights(actual, targets_of(judging))
        mean = float(np.average(saved, weights=weights))
        return mean, float(np.sqrt(np.sum((weights * (saved - mean)) ** 2)) / weights.sum()), len(actual)


def _plain(target: pl.Series, *, classifies: bool) -> pl.Series:
    import polars as pl

    if classifies:
        return pl.Series("target", texts(target.to_list()).tolist(), dtype=pl.String)
    return target.cast(pl.Float64)
