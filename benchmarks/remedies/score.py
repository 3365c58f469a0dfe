"""Figures of a set of replayed episodes; docs/remedy-benchmark.md states each in words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

RETRAINS = ("retrain", "new_model")
NOTHING = ("wait", "ask")
ALIKE = 0.9
"""A remedy that saves at least this share of what the oracle's saves is as right as the oracle's."""

N_BINS = 10
_LEVEL = 0.05

Result = dict[str, Any]
Figure = Callable[[list[Result]], float]


# What an answer says.


def first_incident(result: Result) -> Any:
    """Give the incident that answers for the injected one: the first noticed since the onset, or at all without one."""
    onset = result["onset"]
    found = [i for i in result["answer"]["incidents"] if onset is None or i["detected_window"] >= onset]
    return min(found, key=lambda i: i["detected_window"]) if found else None


def named(result: Result) -> str:
    """Give the cause that it names; none when nothing was noticed."""
    incident = first_incident(result)
    return "none" if incident is None else max(incident["causes"], key=incident["causes"].__getitem__)


def remedied(result: Result) -> str:
    """Give the remedy that it takes; `ask` when it abstains."""
    incident = first_incident(result)
    if incident is None:
        return "wait"
    return "ask" if incident["abstained"] else str(incident["remedy"])


def actions(result: Result) -> list[str]:
    """List every remedy that was carried out in the episode."""
    return [
        i["remedy"]
        for i in result["answer"]["incidents"]
        if not i["abstained"] and i["remedy"] not in NOTHING
    ]


# Right or wrong.


def has_cause(result: Result) -> bool:
    """Tell whether the episode's cause is known: real drift left untouched has none that anybody injected."""
    return bool(result["causes"] != ["natural"])


def cause_right(result: Result) -> bool:
    """Tell whether the named cause was injected; with two causes either is right, for one is named first."""
    return named(result) in result["causes"]


def true_cause(result: Result) -> str:
    """Give the cause that the named one is set against: itself if it was injected, else the first injected."""
    return named(result) if cause_right(result) else str(result["causes"][0])


def right_remedies(result: Result) -> set[str]:
    """List the remedies that are right.

    Those of the oracle, and any that surely saves at least `ALIKE` of what the oracle saves. When the oracle waits,
    waiting.
    """
    alike = {name for name in result["sure"] if result["saved"][name] >= ALIKE * result["best"] > 0}
    return {*result["best_remedies"], *alike}


def remedy_right(result: Result) -> bool:
    """Tell whether the remedy is right; without an incident it is only if nothing at all was done."""
    if result["onset"] is None and has_cause(result):
        return not actions(result) and remedied(result) == "wait"
    return remedied(result) in right_remedies(result)


def remedy_same(result: Result) -> bool:
    """Tell whether the remedy is the oracle's, however little another one saves less."""
    return remedy_right(result) and (
        remedied(result) in result["best_remedies"] or result["best_remedies"] == ["wait"]
    )


def abstained(result: Result) -> bool:
    """Tell whether any incident was left to a person or to more labels."""
    return any(i["abstained"] or i["remedy"] == "ask" for i in result["answer"]["incidents"])


def subject_right(result: Result) -> bool:
    """Tell whether the first thing that the incident's subject names is what it happened to."""
    incident = first_incident(result)
    if incident is None or not incident["subject"]:
        return False
    words = re.split(r"[\s,;`'\"()]+", str(incident["subject"]))
    kinds = ("", "column", "columns", "step", "feature", "version", "segment", "class")
    named_things = [word for word in words if word not in kinds]
    return bool(named_things) and named_things[0] in result["subjects"]


# Losses.


def saved_in(result: Result) -> dict[int, float]:
    """Give the loss that the actions saved in each window, from the first to the horizon's end."""
    without, other = result["without"], result["with"]
    both = {int(w): value - other.get(w, value) for w, value in without.items() if int(w) <= result["last"]}
    return {w: 0.0 if math.isnan(saved) else saved for w, saved in both.items()}


def ours_saved(result: Result) -> float:
    """Give what the actions saved, net of what they cost."""
    cost = sum(result["costs"].get(name, 0.0) for name in actions(result))
    return float(sum(saved_in(result).values()) - cost)


def scale(result: Result) -> float:
    """Give the mean loss of a window when nothing is done, by which losses of different metrics are divided."""
    values = [value for w, value in result["without"].items() if int(w) <= result["last"]]
    return max(float(np.nanmean(values)), 1e-12)


def regret(results: list[Result], saved: Callable[[Result], float]) -> float:
    """Give (oracle - ours) / (oracle - nothing) over episodes; to save more than the oracle counts as the same."""
    missed = float(sum((r["best"] - min(saved(r), r["best"])) / scale(r) for r in results))
    possible = float(sum(r["best"] / scale(r) for r in results))
    return missed / possible if possible > 0 else float("nan")


def retrained(result: Result) -> bool:
    """Tell whether anything was trained anew."""
    return any(name in RETRAINS for name in actions(result))


def harmful(result: Result) -> bool:
    """Tell whether it was trained anew and the loss is surely higher than if nothing had been done.

    Windows from the first that was answered otherwise to the horizon's end, 95 % t interval of their mean difference.
    """
    if not retrained(result):
        return False
    series = saved_in(result)
    changed = [w for w, saved in sorted(series.items()) if saved != 0.0]
    values = np.array([saved for w, saved in sorted(series.items()) if changed and w >= changed[0]])
    if len(values) < 2:
        return bool(len(values) and values[0] < 0)
    half = stats.t.ppf(1 - _LEVEL / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return bool(values.mean() + half < 0)


def needless(result: Result) -> bool:
    """Tell whether it was trained anew where, by the oracle's simulation, no training surely pays."""
    return retrained(result) and not any(
        name in RETRAINS for name in (*result["sure"], *result["best_remedies"])
    )


def recovered_after(result: Result) -> int | None:
    """Give the windows from the onset until what is left to be saved is saved as well as by the oracle (`ALIKE`)."""
    ours = saved_in(result)
    best = {int(w): saved for w, saved in result["series"].items()}
    for start in sorted(best):
        rest = [w for w in best if w >= start]
        possible = sum(best[w] for w in rest)
        if possible > 0 and sum(ours[w] for w in rest) >= ALIKE * possible:
            return start - int(result["onset"])
    return None


def calm_windows(result: Result) -> int:
    """Count windows in which nothing has happened yet."""
    return int(result["onset"]) if result["onset"] is not None else result["last"] + 1


def false_alarms(result: Result) -> int:
    """Count incidents noticed before anything happened."""
    return len(
        [
            i
            for i in result["answer"]["incidents"]
            if result["onset"] is None or i["detected_window"] < result["onset"]
        ]
    )


# Figures over episodes.


def macro_f1(truth: list[str], said: list[str]) -> float:
    """Give the unweighted mean over the causes that are true somewhere of 2 TP / (2 TP + FP + FN)."""
    found = []
    for cause in sorted(set(truth)):
        hits = sum(t == s == cause for t, s in zip(truth, said, strict=True))
        found.append(2 * hits / (truth.count(cause) + said.count(cause)))
    return float(np.mean(found)) if found else float("nan")


def cause_macro_f1(results: list[Result]) -> float:
    """Give the macro-F1 of the named causes."""
    return macro_f1([true_cause(r) for r in results], [named(r) for r in results])


def strict_macro_f1(results: list[Result]) -> float:
    """Give the macro-F1 with every injected cause to be named by some incident, and every one named to be injected."""
    truth = [set(r["causes"]) for r in results]
    said = [all_named(r) for r in results]
    found = []
    for cause in sorted(set().union(*truth)):
        hits = sum(cause in t and cause in s for t, s in zip(truth, said, strict=True))
        found.append(2 * hits / (sum(cause in t for t in truth) + sum(cause in s for s in said)))
    return float(np.mean(found)) if found else float("nan")


def all_named(result: Result) -> set[str]:
    """List the causes that the incidents of an episode name."""
    incidents = result["answer"]["incidents"]
    return {max(i["causes"], key=i["causes"].__getitem__) for i in incidents} or {"none"}


def calibrated(results: list[Result]) -> list[tuple[dict[str, float], str]]:
    """Give probabilities and truth of the incidents that have one cause, or none."""
    rows = []
    for result in results:
        incident = first_incident(result)
        if incident is not None and has_cause(result) and len(result["causes"]) == 1:
            rows.append((incident["causes"], result["causes"][0]))
    return rows


def brier(results: list[Result]) -> float:
    """Give the mean over incidents of the squared distance of the probabilities from the truth (0 to 2)."""
    rows = calibrated(results)
    if not rows:
        return float("nan")
    return float(
        np.mean([sum((p.get(cause, 0.0) - (cause == true)) ** 2 for cause in {*p, true}) for p, true in rows])
    )


def calibration_error(results: list[Result]) -> float:
    """Give the expected calibration error of the named cause's probability, over ten bins of equal width."""
    rows = calibrated(results)
    if not rows:
        return float("nan")
    sure = np.array([max(p.values()) for p, _ in rows])
    hits = np.array([max(p, key=p.__getitem__) == true for p, true in rows], dtype=float)
    bins = np.minimum((sure * N_BINS).astype(int), N_BINS - 1)
    return float(
        sum((bins == b).mean() * abs(hits[bins == b].mean() - sure[bins == b].mean()) for b in set(bins))
    )


def interval(results: list[Result], figure: Figure, *, n_draws: int = 1000) -> tuple[float, float, float]:
    """Give a figure with its 95 % percentile-bootstrap interval over episodes."""
    rng = np.random.default_rng(0)
    drawn = [
        figure([results[i] for i in rng.integers(0, len(results), len(results))]) for _ in range(n_draws)
    ]
    known = [value for value in drawn if not math.isnan(value)]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (math.nan, math.nan)
    return figure(results), float(low), float(high)


def share(rule: Callable[[Result], bool]) -> Figure:
    """Make a figure of a rule: the share of episodes for which it holds."""
    return lambda results: float(np.mean([rule(r) for r in results])) if results else math.nan


def upper_bound(n_found: int, n: int) -> float:
    """Give the upper end of the two-sided 95 % interval of Clopper and Pearson (1934)."""
    return 1.0 if n_found >= n else float(stats.beta.ppf(1 - _LEVEL / 2, n_found + 1, n - n_found))
