"""The benchmark's lines and its table."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import score
from score import Figure, Result, share

FIXING = ("input_fault", "input_change", "pipeline_fault", "model_regression")


def line_of(result: Result) -> str:
    """Lay one episode out: cause said/true, remedy said/right, loss saved of what the oracle saves, CPU seconds."""
    if "skipped" in result:
        return f"{result['name']:<50} not made: {result['skipped']}"
    if result["answer"].get("error"):
        return f"{result['name']:<50} FAILED: {result['answer']['error']}"
    marks = (score.cause_right(result), score.remedy_right(result))
    cause = (
        f"{_mark(marks[0], known=score.has_cause(result))} {score.named(result)}/{'+'.join(result['causes'])}"
    )
    best = "+".join(result["best_remedies"])
    others = sorted(score.right_remedies(result) - set(result["best_remedies"]))
    remedy = f"{_mark(marks[1])} {score.remedied(result)}/{best}{'|' if others else ''}{'|'.join(others)}"
    gains = (
        f"{score.ours_saved(result) / score.scale(result):+.2f}/{result['best'] / score.scale(result):+.2f}"
    )
    flags = " HARMFUL" if score.harmful(result) else " needless" if score.needless(result) else ""
    alarms = score.false_alarms(result)
    early = f" {alarms} early" if alarms else ""
    return f"{result['name']:<50} {cause:<42} {remedy:<38} {gains:>13} {result['cpu_seconds']:6.1f} s{flags}{early}"


def _mark(right: bool, *, known: bool = True) -> str:
    return ("ok " if right else "BAD") if known else "-  "


def table(results: list[Result]) -> str:
    """Lay the figures out, each with its 95 % interval over episodes and n."""
    loud = [r for r in results if r["onset"] is not None]
    quiet = [r for r in results if r["causes"] == ["none"]]
    natural = [r for r in results if not score.has_cause(r)]
    two = [r for r in loud if len(r["causes"]) > 1]
    kinds = f"{len(loud)} with an incident ({len(two)} with two causes), {len(quiet)} without"
    lines = [f"{len(results)} episodes: {kinds}, {len(natural)} of drift left untouched"]
    failed = [r for r in results if r["answer"].get("error")]
    if failed:
        lines.append(f"{len(failed)} replays FAILED and count as nothing said and done")
    add = functools.partial(_add, lines)
    _of_causes(add, loud, quiet, two)
    _of_remedies(add, results, loud)
    _of_course(add, loud, quiet, natural)
    lines += _harm(results)
    for name in results[0]["rules"]:
        add(f"regret: {name}", results, functools.partial(_regret_of, name))
    add("regret: nothing", results, lambda rs: score.regret(rs, lambda _: 0.0))
    add("seconds of a replay", results, lambda rs: float(np.mean([r["seconds"] for r in rs])))
    add("CPU seconds of a replay", results, lambda rs: float(np.mean([r["cpu_seconds"] for r in rs])))
    return "\n".join([*lines, "", *_by_cause(results)])


def _regret_of(rule: str, results: list[Result]) -> float:
    return score.regret(results, lambda result: result["rules"][rule][0])


Add = Callable[[str, list[Result], Figure], None]


def _add(lines: list[str], name: str, chosen: list[Result], figure: Figure) -> None:
    if not chosen:
        return
    value, low, high = score.interval(chosen, figure)
    if not math.isnan(value):
        lines.append(f"{name:<38}{value:8.3f}   {low:6.3f} to {high:6.3f}   n = {len(chosen)}")


def _of_causes(add: Add, loud: list[Result], quiet: list[Result], two: list[Result]) -> None:
    known = [*loud, *quiet]
    add("cause macro-F1", known, score.cause_macro_f1)
    add("cause macro-F1, all of them named", known, score.strict_macro_f1)
    add("cause named", known, share(score.cause_right))
    add("pipeline faults named", _with(loud, ["pipeline_fault"]), share(score.cause_right))
    add("two causes: both named", two, share(lambda r: set(r["causes"]) <= score.all_named(r)))
    said = [r for r in known if score.calibrated([r])]
    add("Brier score of causes", said, score.brier)
    add("calibration error of causes", said, score.calibration_error)
    pointed = [r for r in loud if r["causes"][0] in FIXING and score.cause_right(r)]
    add("subject named first, cause right", pointed, share(score.subject_right))
    add("subject named first", [r for r in loud if r["causes"][0] in FIXING], share(score.subject_right))


def _of_remedies(add: Add, results: list[Result], loud: list[Result]) -> None:
    add("remedy accuracy", results, share(score.remedy_right))
    add("remedy accuracy, with an incident", loud, share(score.remedy_right))
    add("remedy accuracy, the oracle's only", results, share(score.remedy_same))
    add("abstained", results, share(score.abstained))
    add("regret", results, lambda rs: score.regret(rs, score.ours_saved))


def _of_course(add: Add, loud: list[Result], quiet: list[Result], natural: list[Result]) -> None:
    add("false alarms, quiet episodes", quiet, share(lambda r: score.false_alarms(r) > 0))
    add("false actions, quiet episodes", quiet, share(lambda r: bool(score.actions(r))))
    add(
        "false alarms in 100 calm windows",
        [*loud, *quiet],
        lambda rs: 100 * sum(map(score.false_alarms, rs)) / max(sum(map(score.calm_windows, rs)), 1),
    )
    add("actions on drift left untouched", natural, share(lambda r: bool(score.actions(r))))
    add("noticed", loud, share(lambda r: score.first_incident(r) is not None))
    seen = [r for r in loud if score.first_incident(r) is not None]
    add("windows to notice", seen, lambda rs: float(np.mean([_noticed_after(r) for r in rs])))
    worth = [r for r in loud if r["best"] > 0]
    add("recovered, where the oracle saves", worth, share(lambda r: score.recovered_after(r) is not None))
    back = [r for r in worth if score.recovered_after(r) is not None]
    add("windows to recover", back, lambda rs: float(np.mean([score.recovered_after(r) or 0 for r in rs])))


def _noticed_after(result: Result) -> int:
    return int(score.first_incident(result)["detected_window"]) - int(result["onset"])


def _harm(results: list[Result]) -> list[str]:
    n_retrained, lines = sum(map(score.retrained, results)), []
    for name, rule in (("harmful retrains", score.harmful), ("needless retrains", score.needless)):
        n = sum(map(rule, results))
        lines.append(
            f"{name:<38}{n:8d}   of {len(results)} episodes ({n_retrained} retrained), "
            f"95 % upper bound {score.upper_bound(n, len(results)):.4f}"
        )
    return lines


def _with(results: list[Result], causes: list[str]) -> list[Result]:
    return [r for r in results if r["causes"] == causes]


def _by_cause(results: list[Result]) -> list[str]:
    lines = []
    for causes in sorted({tuple(r["causes"]) if len(r["causes"]) == 1 else ("two causes",) for r in results}):
        mine = [
            r for r in results if (tuple(r["causes"]) if len(r["causes"]) == 1 else ("two causes",)) == causes
        ]
        right = sum(map(score.remedy_right, mine))
        lines.append(
            f"{causes[0]:<18} remedy {right}/{len(mine)}   regret {score.regret(mine, score.ours_saved):6.3f}   "
            f"named {_counts([score.named(r) for r in mine])}   did {_counts([score.remedied(r) for r in mine])}"
        )
    return lines


def _counts(names: list[str]) -> str:
    found: dict[str, Any] = {name: names.count(name) for name in names}
    return ", ".join(f"{name} {n}" for name, n in sorted(found.items(), key=lambda entry: -entry[1]))
