"""Remedies tried on the labelled rows since the onset: earlier ones teach, later ones judge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.entities import LEAST_PROBABILITY, Cause, Remedy
from noria.decisions.replay.calibrating import calibration
from noria.decisions.replay.candidates import CANDIDATES
from noria.decisions.replay.case import Case, State, losses_under, targets_of
from noria.decisions.replay.diagnosing import older_path
from noria.decisions.replay.outputs import Floats, joined
from noria.decisions.replay.repairs import Mending, mendings
from noria.decisions.replay.rows import Columns, Window
from noria.decisions.replay.runner import CodeRaised, Model
from noria.decisions.replay.watch import quantile
from noria.decisions.replay.world import Path

if TYPE_CHECKING:
    import polars as pl

Parts = list[tuple[Window, NDArray[np.intp]]]

FEWEST_JUDGED = 20
_MOST_TAUGHT = 20_000
_LEVEL = 0.0119
"""Of one look; over up to eight of them 0.05 (Pocock, 1977, Biometrika 64, for equally spaced looks)."""
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
            harm=(check.harm, check.se, check.n),
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
            harm=(check.harm, check.se, check.n),
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
        learnt = self._calibrated(self._teaching)
        if learnt is None:
            return None
        final = self._calibrated(self._parts) or learnt
        return self._judged(Remedy.RECALIBRATE, learnt, self._judging, "the answers mapped anew", final=final)

    def _calibrated(self, parts: Parts) -> Path | None:
        if sum(len(rows) for _, rows in parts) < 20:
            return None
        bare = replace(self._state.path, calibration=None)
        predicted = joined(self._state.world.answer(bare, window)[0].take(rows) for window, rows in parts)
        learnt = calibration(targets_of(parts), predicted)
        return None if learnt is None else replace(bare, calibration=learnt)

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
        best, variant, name = max(tried, key=lambda t: t[0].value if t[0].value is not None else -math.inf)
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
        harm: tuple[float, float, int] | None = None,
        final: Path | None = None,
        more: float = 0.0,
    ) -> Trial:
        episode = self._state.world.episode
        cost = episode.cost_of(remedy) + more
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
            note = f"{note}; judged on {len(before)} rows"
            # Training rows do not tell what a remedy does to inputs that are broken.
            alike = harm is not None and (
                not self._case.signs(self._state) or abs(gain - harm[0]) <= half + 1.96 * harm[1]
            )
            if harm is not None and alike and harm[1] > 0 and half > 0:
                gain, half = _pooled((gain, half), (harm[0], 1.96 * harm[1]))
                note = f"{note} and {harm[2]} training rows"
        elif harm is not None and harm[2]:
            gain, half, base = harm[0], 1.96 * harm[1], self._state.baseline.mean + harm[0]
            note = f"{note}; judged on {harm[2]} training rows"
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


def _pooled(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Weigh two estimates of one gain by the inverse of their variances."""
    weights = one[1] ** -2, other[1] ** -2
    total = sum(weights)
    return (one[0] * weights[0] + other[0] * weights[1]) / total, total**-0.5


def _half(differences: Floats) -> float:
    n = len(differences)
    return quantile(_LEVEL / 2, n) * float(differences.std(ddof=1)) / math.sqrt(n)


def _plain(target: pl.Series, *, classifies: bool) -> pl.Series:
    import polars as pl

    from noria.decisions.replay.outputs import texts

    if classifies:
        return pl.Series("target", texts(target.to_list()).tolist(), dtype=pl.String)
    return target.cast(pl.Float64)
