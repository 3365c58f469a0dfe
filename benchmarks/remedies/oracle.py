"""The second truth of an episode: what each remedy saves over the horizon, all of them simulated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from episodes import HORIZON, LEARNT_WINDOWS
from losses import Answers
from numpy.typing import NDArray
from scipy import stats
from simulated import CANDIDATES, Rows, Simulated
from sklearn import linear_model

LEARNING = ("recalibrate", "retrain", "new_model")
ADMISSIBLE = {
    "input_fault": ("repair_inputs",),
    "input_change": ("fix_pipeline",),
    "pipeline_fault": ("fix_pipeline", "roll_back_model"),
    "model_regression": ("roll_back_model",),
    "covariate_drift": LEARNING,
    "label_drift": ("recalibrate", "retrain"),
    "concept_drift": LEARNING,
    "new_class": ("retrain", "new_model"),
    "natural": LEARNING,
}
"""Cause → remedies besides waiting. Nothing learns from inputs that are broken or whose meaning changed."""

COSTS = {
    "repair_inputs": 0.1,
    "fix_pipeline": 0.1,
    "roll_back_model": 0.05,
    "recalibrate": 0.05,
    "retrain": 0.2,
    "new_model": 0.5,
}
"""One-off cost of each remedy, in mean losses of a calm window."""

BROKEN = ("input_fault", "input_change")
VARIANTS = ("all", "recent", "weighted")
_LEVEL = 0.05

Series = dict[int, float]
By = dict[int, Answers]


def counted(nominal: int, delay: int | None, last: int) -> range:
    """Give the windows over which remedies are set against one another: all after the onset's, to the horizon's end."""
    return range(nominal + 1, min(last, nominal + LEARNT_WINDOWS - 1 + (delay or 0) + HORIZON) + 1)


def truth_of(simulated: Simulated, causes: list[str], nominal: int, delay: int | None) -> dict[str, Any]:
    """Simulate every admissible remedy, alone and those that mend different things together.

    Returns
    -------
    dict
        `saved`: remedy → loss saved over the horizon net of its cost, waiting 0; `sure`: those whose 95 % interval
        over windows excludes no gain; `best`: what the oracle saves; `best_remedies`: what it does; `series`: what it
        saves by window.
    """
    remedies = _Remedies(simulated, causes, nominal, delay)
    found = remedies.all()
    single = {names[0]: entry for names, entry in found.items() if len(names) == 1}
    sure = {names: entry for names, entry in found.items() if remedies.pays(names, entry)}
    names = max(sure, key=lambda n: remedies.net(n, sure[n]), default=())
    return {
        "saved": {"wait": 0.0, **{name: remedies.net((name,), entry) for name, entry in single.items()}},
        "sure": sorted(names[0] for names in sure if len(names) == 1),
        "best": remedies.net(names, sure[names]) if names else 0.0,
        "best_remedies": list(names) or ["wait"],
        "series": sure[names] if names else {},
    }


class _Remedies:
    """Simulates the remedies of an episode."""

    def __init__(self, simulated: Simulated, causes: list[str], nominal: int, delay: int | None) -> None:
        self._simulated = simulated
        self._causes, self._delay = causes, delay
        self._base = simulated.losses(simulated.answers())
        last = max(self._base)
        self._counted = counted(nominal, delay, last)
        self._taught = [w for w in simulated.windows if nominal <= w.number < nominal + LEARNT_WINDOWS]
        self._learnt = nominal + LEARNT_WINDOWS - 1 + (delay or 0)
        self._allowed = {remedy for cause in causes for remedy in ADMISSIBLE.get(cause, ())}

    def net(self, names: tuple[str, ...], series: Series) -> float:
        """Give what remedies save less what they cost."""
        return sum(series.values()) - sum(self._simulated.costs.get(name, 0.0) for name in names)

    def pays(self, names: tuple[str, ...], series: Series) -> bool:
        """Tell whether the saving surely exceeds the cost: its one-sample t interval over windows."""
        values = np.array(list(series.values()))
        if len(values) < 2:
            return False
        half = stats.t.ppf(1 - _LEVEL / 2, len(values) - 1) * values.std(ddof=1) * math.sqrt(len(values))
        return bool(self.net(names, series) - half > 0)

    def all(self) -> dict[tuple[str, ...], Series]:
        """Give the series of each remedy, and of those that belong together."""
        found: dict[tuple[str, ...], Series] = {}
        fixes = self._fixes()
        for name, paths in fixes:
            self._enter(found, (name,), paths)
        together = tuple(dict.fromkeys(name for name, _ in fixes))
        if len(fixes) > 1:
            self._enter(found, together, [self._together()])
        if self._delay is None or any(cause in BROKEN for cause in self._causes):
            return found
        for name, model in self._learnings("live"):
            self._enter(found, (name,), [self._from(self._learnt, model, code="live")])
        for name, model in self._learnings("training") if fixes else ():
            learnt = self._from(self._learnt, model, code="training")
            self._enter(found, (*together, name), [{**self._together(), **learnt}])
        return found

    def _enter(
        self, found: dict[tuple[str, ...], Series], names: tuple[str, ...], paths: Iterable[By]
    ) -> None:
        """Keep the best way of a remedy."""
        for answers in paths:
            losses = self._simulated.losses({w: a for w, a in answers.items() if w in self._counted})
            saved = {w: self._base[w] - losses.get(w, self._base[w]) for w in self._counted}
            series = {w: float(np.nan_to_num(value)) for w, value in saved.items()}
            if names not in found or sum(series.values()) > sum(found[names].values()):
                found[names] = series

    def _fixes(self) -> list[tuple[str, list[By]]]:
        """Give remedies that learn nothing, which act from the window after the onset's."""
        simulated, found = self._simulated, []
        if "input_fault" in self._causes:
            found.append(("repair_inputs", [simulated.answers(rows) for rows in simulated.mended()]))
        if "input_change" in self._causes:
            found.append(("fix_pipeline", [simulated.answers(rows) for rows in simulated.mended()]))
        if "pipeline_fault" in self._causes:
            found.append(("fix_pipeline", [simulated.answers(code="training")]))
        if "model_regression" in self._causes:
            found.append(("roll_back_model", [simulated.answers(model=simulated.model)]))
        return found

    def _together(self) -> By:
        """Answer with everything mended that can be."""
        simulated = self._simulated
        ways = [
            simulated.answers(rows, code="training", model=simulated.model) for rows in simulated.mended()
        ]
        return min(ways, key=lambda answers: float(np.nansum(list(simulated.losses(answers).values()))))

    def _learnings(self, code: str) -> Iterable[tuple[str, Any]]:
        """Give what the first windows teach, through the live code or that of training."""
        if "recalibrate" in self._allowed:
            yield from (("recalibrate", learn) for learn in self._calibrations(code))
        for name in (None, *CANDIDATES):
            remedy = "retrain" if name is None else "new_model"
            if remedy not in self._allowed:
                continue
            for variant in VARIANTS if name is None else VARIANTS[:2]:
                model = self._fitted(variant, name, code)
                if model is not None:
                    yield remedy, model

    def _fitted(self, variant: str, name: str | None, code: str) -> Any:
        """Fit, or give None where the rows do not allow it: one class, or fewer rows than the model needs."""
        try:
            return self._simulated.learn(self._taught, variant, name, code=code)
        except ValueError:
            return None

    def _from(self, learnt: int, model: Any, *, code: str) -> By:
        """Answer the windows after what taught was known."""
        later = [w for w in self._simulated.windows if w.number > learnt]
        if not later:
            return {}
        if hasattr(model, "predict"):
            return self._simulated.answers(later, code=code, model=model)
        return {n: model(answer) for n, answer in self._simulated.answers(later, code=code).items()}

    def _calibrations(self, code: str) -> list[Callable[[Answers], Answers]]:
        answers = self._simulated.answers(self._taught, code=code)
        actual = np.concatenate([w.actual for w in self._taught])
        parts = [answers[w.number] for w in self._taught]
        if not self._simulated.classifies:
            return [_line(actual, np.concatenate([part.values for part in parts]))]
        shares, classes = np.concatenate([part.shares for part in parts]), parts[0].classes
        assert classes is not None
        known = np.isin(actual, classes)
        if len(np.unique(actual[known])) < 2:
            return []
        return [
            _logistic(actual[known], shares[known], classes),
            _offsets(actual[known], shares[known], classes),
        ]


def _line(actual: NDArray[Any], values: NDArray[Any]) -> Callable[[Answers], Answers]:
    fitted = linear_model.LinearRegression().fit(values[:, None], actual)
    return lambda answers: Answers(values=fitted.predict(answers.values[:, None]))


def _logs(shares: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(shares, 1e-6, 1.0)))


def _logistic(
    actual: NDArray[Any], shares: NDArray[Any], classes: NDArray[Any]
) -> Callable[[Answers], Answers]:
    """Learn a multinomial logistic regression on the log probabilities."""
    fitted = linear_model.LogisticRegression(max_iter=500).fit(_logs(shares), actual)

    def apply(answers: Answers) -> Answers:
        found = np.zeros((len(answers.values), len(classes)))
        assert answers.shares is not None
        found[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(_logs(answers.shares))
        return Answers(values=classes[found.argmax(axis=1)], shares=found, classes=classes)

    return apply


def _offsets(
    actual: NDArray[Any], shares: NDArray[Any], classes: NDArray[Any]
) -> Callable[[Answers], Answers]:
    """Weigh each class by how often it is now over how often it is answered, to a fixed point."""
    mix = np.array([(actual == c).mean() for c in classes])
    weights = np.ones(len(classes))
    for _ in range(100):
        now = shares * weights
        now /= now.sum(axis=1, keepdims=True)
        weights *= np.maximum(mix, 1e-4) / np.maximum(now.mean(axis=0), 1e-4)

    def apply(answers: Answers) -> Answers:
        assert answers.shares is not None
        found = answers.shares * weights
        found /= found.sum(axis=1, keepdims=True)
        return Answers(values=classes[found.argmax(axis=1)], shares=found, classes=classes)

    return apply


def unspoilt(simulated: Simulated, causes: list[str], nominal: int) -> float:
    """Give how surely the incident costs something: the t value of what it adds to the loss of windows since the onset.

    For what happens to inputs, code or models windows are set against themselves without it; for a world that
    changed against calm windows.
    """
    base = simulated.losses(simulated.answers())
    after = np.array([base[w] for w in base if w >= nominal])
    if any(cause in ("concept_drift", "new_class") for cause in causes):
        before = np.array([base[w] for w in base if w < nominal])
        return float(stats.ttest_ind(after, before, equal_var=False, nan_policy="omit").statistic)
    rows: list[Rows] = simulated.as_it_was()
    calm = simulated.losses(simulated.answers(rows, code="training", model=simulated.model))
    added = after - np.array([calm[w] for w in calm if w >= nominal])
    if not np.any(added):
        return 0.0
    return float(stats.ttest_1samp(added, 0.0, nan_policy="omit").statistic)
