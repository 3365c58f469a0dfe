"""Figures of a set of episodes, with 95 % intervals over episodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

RETRAINS = ("retrain", "new_model")
ALIKE = 0.9
"""A remedy is right when the oracle's own simulation gives it at least this share of what the best one saves."""

Result = dict[str, Any]


def named(result: Result) -> str:
    """Give the cause that was named: of the incident nearest to the onset, else none."""
    incident = _first(result)
    return "none" if incident is None else max(incident["causes"], key=incident["causes"].__getitem__)


def remedied(result: Result) -> str:
    """Give the remedy that was chosen for it."""
    incident = _first(result)
    return "wait" if incident is None else str(incident["remedy"])


def _first(result: Result) -> Any:
    incidents = result["answer"]["incidents"]
    if result["onset"] is None:
        return incidents[0] if incidents else None
    near = [i for i in incidents if i["detected_window"] >= result["onset"]]
    return near[0] if near else None


def cause_right(result: Result) -> bool:
    """Tell whether the injected cause, or one of two, was named."""
    return named(result) in result["causes"]


def remedy_right(result: Result) -> bool:
    """Tell whether the remedy is the oracle's, or saves nearly as much by the oracle's own simulation."""
    saved, ours = result["saved"], remedied(result)
    best = max(saved.values())
    if ours == "fix_pipeline" and "fix_pipeline" not in saved:
        ours = "repair_inputs" if "input_change" in result["causes"] else "wait"
    if best <= noise(result):
        return ours == "wait" or bool(saved.get(ours, -1.0) >= best)
    return bool(saved.get(ours, 0.0) >= ALIKE * best)


def noise(result: Result) -> float:
    """Give the loss over a horizon that is no more than chance: two standard errors of calm windows' sum."""
    calm = [
        v
        for w, v in result["losses"]["without"].items()
        if result["onset"] is None or int(w) < result["onset"]
    ]
    return 2 * float(np.nanstd(calm)) * math.sqrt(8)


def ours_saved(result: Result) -> float:
    """Give what the actions saved over the stream."""
    without, other = result["losses"]["without"], result["losses"]["with"]
    return float(np.nansum([without[w] - other[w] for w in without if w in other]))


def harmful(result: Result) -> bool:
    """Tell whether retraining lost more than chance against doing nothing."""
    retrained = any(i["remedy"] in RETRAINS for i in result["answer"]["incidents"])
    return retrained and ours_saved(result) < -noise(result)


def regret(results: list[Result], saved: list[float]) -> float:
    """Give (oracle - ours) / (oracle - nothing), each episode's losses scaled by its calm loss."""
    oracle = np.array([max(r["saved"].values()) / scale(r) for r in results])
    ours = np.minimum(np.array([s / scale(r) for r, s in zip(results, saved, strict=True)]), oracle)
    return float((oracle - ours).sum() / max(oracle.sum(), 1e-12))


def scale(result: Result) -> float:
    """Give the mean loss of a window without actions."""
    return max(float(np.nanmean(list(result["losses"]["without"].values()))), 1e-9)


def macro_f1(results: list[Result]) -> float:
    """Give the mean F1 over the injected causes."""
    truth = [named(r) if cause_right(r) else r["causes"][0] for r in results]
    said = [named(r) for r in results]
    found = []
    for cause in sorted(set(truth)):
        hits = sum(t == s == cause for t, s in zip(truth, said, strict=True))
        found.append(2 * hits / max(truth.count(cause) + said.count(cause), 1))
    return float(np.mean(found))


def interval(results: list[Result], figure: Any, *, n_draws: int = 400) -> tuple[float, float, float]:
    """Give a figure and its bootstrap interval over episodes."""
    rng = np.random.default_rng(0)
    draws = [
        figure([results[i] for i in rng.integers(0, len(results), len(results))]) for _ in range(n_draws)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return figure(results), float(low), float(high)


def share(rule: Any) -> Any:
    """Make a figure of a rule: the share of episodes for which it holds."""
    return lambda results: float(np.mean([rule(r) for r in results])) if results else float("nan")


def line_of(result: Result) -> str:
    """Lay one episode out: cause said/true, remedy said/best, loss saved of what the best remedy would, seconds."""
    if "skipped" in result:
        return f"{result['name']:<52} not made: {result['skipped']}"
    if result["answer"].get("error"):
        return f"{result['name']:<52} FAILED: {result['answer']['error']}"
    saved = result["saved"]
    best = max(saved, key=saved.__getitem__)
    marks = ("ok " if cause_right(result) else "BAD", "ok " if remedy_right(result) else "BAD")
    cause = f"{marks[0]} {named(result)}/{'+'.join(result['causes'])}"
    remedy = f"{marks[1]} {remedied(result)}/{best}"
    gains = f"{ours_saved(result) / scale(result):+.2f}/{saved[best] / scale(result):+.2f}"
    return f"{result['name']:<52} {cause:<40} {remedy:<32} {gains:>13} {result['seconds']:6.1f} s"


def table(results: list[Result]) -> str:
    """Lay the figures out."""
    loud, quiet = [r for r in results if r["onset"] is not None], [r for r in results if r["onset"] is None]
    lines = [f"{len(results)} episodes: {len(loud)} with an incident, {len(quiet)} without"]

    def line(name: str, chosen: list[Result], figure: Any) -> None:
        if chosen:
            value, low, high = interval(chosen, figure)
            lines.append(f"{name:<34}{value:8.3f}   {low:6.3f} to {high:6.3f}   n = {len(chosen)}")

    line("cause macro-F1", results, macro_f1)
    line("remedy accuracy", results, share(remedy_right))
    line("regret", loud, lambda rs: regret(rs, [ours_saved(r) for r in rs]))
    line("pipeline faults named", [r for r in loud if r["causes"][0] == "pipeline_fault"], share(cause_right))
    line("false alarms in quiet episodes", quiet, share(lambda r: bool(r["answer"]["incidents"])))
    line(
        "false actions in quiet episodes",
        quiet,
        share(lambda r: any(i["remedy"] not in ("wait", "ask") for i in r["answer"]["incidents"])),
    )
    line("abstained", loud, share(lambda r: any(i["abstained"] for i in r["answer"]["incidents"])))
    line("noticed", loud, share(lambda r: _first(r) is not None))
    seen = [r for r in loud if _first(r) is not None]
    line(
        "windows to notice",
        seen,
        lambda rs: float(np.mean([_first(r)["detected_window"] - r["onset"] for r in rs])),
    )
    faulty = [r for r in seen if r["subject"]]
    line("column named first", faulty, share(lambda r: str(r["subject"]) in str(_first(r)["subject"])))
    n_harmful = sum(map(harmful, results))
    from noria.core.stats.intervals import clopper_pearson

    upper = clopper_pearson(n_harmful, len(results), alpha=0.05).upper
    lines.append(
        f"harmful retrains                  {n_harmful:8d}   of {len(results)}, 95 % upper bound {upper:.4f}"
    )
    for name in results[0]["baselines"]:
        line(f"regret: {name}", loud, lambda rs, name=name: regret(rs, [r["baselines"][name] for r in rs]))
    line("regret: nothing", loud, lambda rs: regret(rs, [0.0 for _ in rs]))
    line("seconds an episode", results, lambda rs: float(np.mean([r["seconds"] for r in rs])))
    lines.append("")
    for cause in sorted({r["causes"][0] for r in results}):
        mine = [r for r in results if r["causes"][0] == cause]
        said: dict[str, int] = {}
        for r in mine:
            said[named(r)] = said.get(named(r), 0) + 1
        right = sum(map(remedy_right, mine))
        lines.append(
            f"{cause:<18} remedy {right}/{len(mine)}   "
            + ", ".join(f"{k} {v}" for k, v in sorted(said.items(), key=lambda e: -e[1]))
        )
    return "\n".join(lines)
