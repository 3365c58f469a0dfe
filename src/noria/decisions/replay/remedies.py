"""Remedies tried on the labelled rows since the onset: earlier ones teach, later ones judge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.entities import LEAST_PROBABILITY, Cause, Remedy
from noria.decisions.replay.calibrating import calibrations
from noria.decisions.replay.candidates import CANDIDATES
from noria.decisions.replay.case import Case, State, answers_as_trained, losses_under, targets_of
from noria.decisions.replay.deployed import older_path, pooled
from noria.decisions.replay.outputs import Floats, joined
from noria.decisions.replay.repairs import Mending, mendings
from noria.decisions.replay.rows import Columns, Window
from noria.decisions.replay.runner import CodeRaised, Model
from noria.decisions.replay.watch import quantile
from noria.decisions.replay.world import Path
from noria.decisions.stages.decomposition import mix_weights

if TYPE_CHECKING:
    import polars as pl

Parts = list[tuple[Window, NDArray[np.intp]]]

FEWEST_JUDGED = 20
_MOST_TAUGHT = 20_000
_LEVEL = 0.0119
"""Of one look; over up to eight of them 0.05 (Pocock, 1977, Biometrika 64, for equally spaced looks)."""
_PROBABLE = 0.5
_VARIANTS = ("all", "weighted")
_MISLED = ("all", "recent", "weighted")
"""Rows that teach where old ones may say what is no longer so; elsewhere a few new ones alone forget the rest."""

_OF_CODE = (Remedy.FIX_PIPELINE, Remedy.ROLL_BACK_MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a remedy did on rows that it did not learn from.

    Attributes
    ----------
    value, low, high
        Loss that it saves over the horizon, its cost taken off, with the 95 % interval; None when it could not be
        judged.
    path
        What it makes of the path, fitted on every labelled row.
    estimated
        Whether it puts estimates in the place of inputs, from which nothing may learn.
    repairs
        Whether it changes raw rows.
    cost
        What it costs once.
    left
        Mean loss of the rows that judged it, where it was judged by labelled ones.
    """

    remedy: Remedy
    path: Path | None
    note: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    estimated: bool = False
    repairs: bool = False
    cost: float = 0.0
    left: float | None = None


class Trials:
    """Tries remedies for a case.

    Parameters
    ----------
    causes
        By whose probabilities old rows may mislead.
    """

    def __init__(self, state: State, case: Case, causes: Mapping[Cause, float]) -> None:
        self._state, self._case = state, case
        misled = causes.get(Cause.CONCEPT_DRIFT, 0.0) >= LEAST_PROBABILITY
        self._variants = _MISLED if misled else _VARIANTS
        self._mixed = causes.get(Cause.LABEL_DRIFT, 0.0) >= _PROBABLE
        self._parts = case.labelled(state)
        self._teaching, self._judging = _split(self._parts)
        self.n_labelled = sum(len(rows) for _, rows in self._parts)
        self.n_judged = sum(len(rows) for _, rows in self._judging)

    def run(self, allowed: frozenset[Remedy]) -> list[Trial]:
        """Try what is allowed."""
        tried = {
            Remedy.FIX_PIPELINE: self._fix,
            Remedy.ROLL_BACK_MODEL: self._roll_back,
            Remedy.REPAIR_INPUTS: self._repair,
            Remedy.RECALIBRATE: self._recalibrate,
            Remedy.RETRAIN: self._retrain,
            Remedy.NEW_MODEL: self._search,
        }
        found: list[Trial] = []
        for remedy, attempt in tried.items():
            if remedy in allowed and not self._state.world.episode.forbids(remedy):
                trial = attempt()
                if trial is not None:
                    found.append(trial)
        return self._with_both(found)

    def _with_both(self, tried: list[Trial]) -> list[Trial]:
        """Where inputs are broken and code or a version is too, try to mend both: one alone may make it worse."""
        repair = next((trial for trial in tried if trial.repairs and trial.path is not None), None)
        found = list(tried)
        for place, trial in enumerate(tried):
            if repair is None or trial.path is None or trial.repairs or trial.remedy not in _OF_CODE:
                continue
            assert repair.path is not None  # noqa: S101 - just looked at
            path = replace(trial.path, repairs=repair.path.repairs)
            both = self._judged(
                trial.remedy, path, self._parts, f"{trial.note}, and {repair.note}", more=repair.cost
            )
            if both.value is not None and both.value > (trial.value if trial.value is not None else 0.0):
                found[place] = replace(both, estimated=repair.estimated, repairs=True)
        return found

    # What learns nothing is judged on all labelled rows since the onset.

    def _fix(self) -> Trial | None:
        checks = [c for c in self._case.checks(self._state) if c.deployment.fit_module is None]
        if not any(check.is_harmful for check in checks) and self._case.signs(self._state):
            return self._adapt()
        if not checks:
            return None
        world = self._state.world
        older = [
            d for d in world.deployments if d.module is not None and d.window < checks[-1].deployment.window
        ]
        clean = {c.deployment.module for c in self._state.checks if not c.is_harmful}
        module = next((d.module for d in reversed(older) if d.module in clean), world.module)
        path = replace(self._state.path, module=module, module_at=self._state.now)
        check = checks[-1]
        return self._judged(
            Remedy.FIX_PIPELINE,
            path,
            self._parts,
            "the code before the deployment",
            known=(check.harm, check.se, check.n),
            trusted=not self._case.signs(self._state),
        )

    def _roll_back(self) -> Trial | None:
        checks = [c for c in self._case.checks(self._state) if c.deployment.model is not None]
        if not checks:
            return None
        check = checks[-1]
        path = older_path(self._state)
        return self._judged(
            Remedy.ROLL_BACK_MODEL,
            path,
            self._parts,
            f"the model before `{check.deployment.name}`",
            known=(check.harm, check.se, check.n),
            trusted=not self._case.signs(self._state),
        )

    def _adapt(self) -> Trial | None:
        """Have the pipeline take a column in its new form: the same map, as a step of the features."""
        return self._mended(Remedy.FIX_PIPELINE)

    def _repair(self) -> Trial | None:
        return self._mended(Remedy.REPAIR_INPUTS)

    def _mended(self, remedy: Remedy) -> Trial | None:
        found = self._mendings()
        if not found:
            return None
        tried = []
        for chosen in found:
            path = replace(self._state.path, repairs=(*self._state.path.repairs, *(m.apply for m in chosen)))
            words = "; ".join(m.words for m in chosen)
            trial = self._judged(remedy, path, self._parts, words)
            tried.append(replace(trial, estimated=not all(m.exact for m in chosen), repairs=True))
        first, rest = tried[0], tried[1:]
        better = [t for t in rest if t.low is not None and first.value is not None and t.low > first.value]
        return max(better, key=lambda trial: trial.low or 0.0, default=first)

    def _mendings(self) -> list[list[Mending]]:
        """Give sets of repairs: the likeliest of each column, and estimation of all."""
        state = self._state
        signs = {sign.column: sign for sign in reversed(self._case.signs(state))}
        columns = state.scenes[state.now].columns
        known = state.inputs.reference
        listed = [
            mendings(sign, state.world.raw, known, columns[name], self._still(name))
            for name, sign in signs.items()
            if name in columns
        ]
        listed = [found for found in listed if found]
        if not listed:
            return []
        sets = [[found[0] for found in listed]]
        if any(len(found) > 1 for found in listed):
            sets.append([found[-1] for found in listed])
        return sets

    def _still(self, name: str) -> Any:
        inputs = self._state.inputs

        def still(columns: Columns) -> bool:
            return inputs.shows(columns, name)

        return still

    # What learns is judged on rows after those that taught.

    def _recalibrate(self) -> Trial | None:
        final = self._calibrated(self._parts)
        tried = [
            self._judged(
                Remedy.RECALIBRATE,
                learnt,
                self._judging,
                note,
                known=self._in_mix(learnt),
                final=final.get(note, learnt),
            )
            for note, learnt in self._calibrated(self._teaching).items()
        ]
        return max(tried, key=_worth, default=None)

    def _calibrated(self, parts: Parts) -> dict[str, Path]:
        if sum(len(rows) for _, rows in parts) < 20:
            return {}
        state = self._state
        bare = replace(state.path, calibration=None)
        predicted = joined(state.world.answer(bare, window)[0].take(rows) for window, rows in parts)
        learnt = calibrations(targets_of(parts), predicted, state.world.actual)
        return {
            note: replace(bare, calibration=each, calibrated_at=state.now) for note, each in learnt.items()
        }

    def _in_mix(self, learnt: Path) -> tuple[float, float, int] | None:
        """Give what it saves on held-out training rows weighted to the mix of the labels that judge.

        Where the labels' mix alone moved, those rows tell as much as live ones: the mean, its standard error, and their
        number. None where something else may have moved, or another model answers than that which they were held out
        of.
        """
        state, world = self._state, self._state.world
        if (
            not self._mixed
            or not answers_as_trained(state)
            or learnt.calibration is None
            or not self.n_judged
        ):
            return None
        answers, actual = state.baseline.predicted, world.actual
        if len(answers) != len(actual):
            return None
        saved = world.metric.rows(actual, answers) - world.metric.rows(actual, learnt.calibration(answers))
        weights = mix_weights(actual, targets_of(self._judging))
        mean = float(np.average(saved, weights=weights))
        return mean, float(np.sqrt(np.sum((weights * (saved - mean)) ** 2)) / weights.sum()), len(actual)

    def _retrain(self) -> Trial | None:
        tried: list[tuple[Trial, str, str | None]] = []
        for variant in self._variants:
            try:
                path = self._fitted(self._teaching, variant, None)
                trial = (
                    None
                    if path is None
                    else self._judged(Remedy.RETRAIN, path, self._judging, f"fitted on {variant} rows")
                )
            except CodeRaised as error:
                trial = Trial(remedy=Remedy.RETRAIN, path=None, note=error.message)
            if trial is not None:
                tried.append((trial, variant, None))
        return self._refitted(tried)

    def _search(self) -> Trial | None:
        tried: list[tuple[Trial, str, str | None]] = []
        for name in CANDIDATES:
            for variant in self._variants[:2]:
                try:
                    path = self._fitted(self._teaching, variant, name)
                    if path is not None:
                        trial = self._judged(
                            Remedy.NEW_MODEL, path, self._judging, f"{name}, fitted on {variant} rows"
                        )
                        tried.append((trial, variant, name))
                except CodeRaised:
                    continue
        return self._refitted(tried)

    def _refitted(self, tried: list[tuple[Trial, str, str | None]]) -> Trial | None:
        """Take the best of a kind, and fit it on every labelled row."""
        if not tried:
            return None
        best, variant, name = max(tried, key=lambda t: _worth(t[0]))
        if best.value is None or (best.low is not None and best.low <= 0):
            return best
        try:
            return replace(best, path=self._fitted(self._parts, variant, name) or best.path)
        except CodeRaised:
            return best

    def _fitted(self, parts: Parts, variant: str, own: str | None) -> Path | None:
        rows = self._lesson(parts, variant)
        if rows is None:
            return None
        features, target = rows
        world = self._state.world
        model: Model = (
            world.runner.fit(world.module, features, target)
            if own is None
            else world.runner.fit_own(own, features, _plain(target, classifies=world.classifies))
        )
        return replace(self._state.path, model=model, model_at=self._state.now, calibration=None)

    def _lesson(self, parts: Parts, variant: str) -> tuple[pl.DataFrame, pl.Series] | None:
        """Put together the rows that teach: the reference, and the labelled live rows by the live path's features."""
        import polars as pl

        world, state = self._state.world, self._state
        n_live = sum(len(rows) for _, rows in parts)
        if n_live < 20:
            return None
        live = pl.concat(
            [world.inputs(state.path, window)[rows] for window, rows in parts], how="vertical_relaxed"
        )
        target = pl.concat([window.target[rows] for window, rows in parts])
        if variant == "recent":
            enough = n_live >= max(40, live.width)
            return (live, target) if enough and target.n_unique() > 1 else None
        old = world.features
        live = live.select(old.columns).cast(dict(old.schema), strict=False)
        times = max(1, round(world.features.height / n_live)) if variant == "weighted" else 1
        return (
            pl.concat([old, *[live] * times]).tail(_MOST_TAUGHT),
            pl.concat([world.target, *[target] * times]).tail(_MOST_TAUGHT),
        )

    def _judged(
        self,
        remedy: Remedy,
        path: Path,
        parts: Parts,
        note: str,
        *,
        known: tuple[float, float, int] | None = None,
        trusted: bool = False,
        final: Path | None = None,
        more: float = 0.0,
    ) -> Trial:
        """Judge a path on labelled rows.

        Parameters
        ----------
        known
            What training rows tell of its gain: mean, standard error, number of rows.
        trusted
            Whether they tell it whatever live rows say, as of code; of inputs that are broken, or of a world that
            moved, they tell only what agrees with live rows.
        final
            What it makes of the path when it has learnt from every labelled row.
        more
            What else it costs.
        """
        episode = self._state.world.episode
        cost = episode.cost_of(remedy) + more
        left = None
        if sum(len(rows) for _, rows in parts) >= FEWEST_JUDGED:
            before, after = (
                losses_under(self._state, self._state.path, parts),
                losses_under(self._state, path, parts),
            )
            gain, half, base = (
                float((before - after).mean()),
                _half(before - after),
                float(before.mean()),
            )
            left = float(after.mean())
            note = f"{note}; judged on {len(before)} rows"
            other = 0.0 if known is None else quantile(_LEVEL / 2, known[2]) * known[1]
            alike = known is not None and (trusted or abs(gain - known[0]) <= half + other)
            if known is not None and alike and other > 0 and half > 0:
                gain, half = pooled((gain, half), (known[0], other))
                note = f"{note} and {known[2]} training rows"
        elif known is not None and known[2]:
            gain, half = known[0], quantile(_LEVEL / 2, known[2]) * known[1]
            base = self._state.baseline.mean + known[0]
            note = f"{note}; judged on {known[2]} training rows"
        else:
            note = f"{note}; no labelled rows to judge it on"
            return Trial(remedy=remedy, path=final or path, note=note, cost=cost)
        low, middle, high = (
            -self._state.world.metric.in_loss(-each, base) for each in (gain - half, gain, gain + half)
        )
        return Trial(
            remedy=remedy,
            path=final or path,
            note=note,
            cost=cost,
            left=left,
            value=middle * episode.horizon - cost,
            low=low * episode.horizon - cost,
            high=high * episode.horizon - cost,
        )


def _split(parts: Parts) -> tuple[Parts, Parts]:
    """Cut labelled rows in time: the first half teaches."""
    total = sum(len(rows) for _, rows in parts)
    teaching: Parts = []
    judging: Parts = []
    left = total // 2
    for window, rows in parts:
        if left > 0:
            teaching.append((window, rows[:left]))
        if left < len(rows):
            judging.append((window, rows[max(left, 0) :]))
        left -= len(rows)
    return teaching, judging


def _worth(trial: Trial) -> float:
    return -math.inf if trial.value is None else trial.value


def _half(differences: Floats) -> float:
    n = len(differences)
    return quantile(_LEVEL / 2, n) * float(differences.std(ddof=1)) / math.sqrt(n)


def _plain(target: pl.Series, *, classifies: bool) -> pl.Series:
    import polars as pl

    from noria.decisions.replay.outputs import texts

    if classifies:
        return pl.Series("target", texts(target.to_list()).tolist(), dtype=pl.String)
    return target.cast(pl.Float64)
