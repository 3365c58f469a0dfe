"""What the trials of a decision may take."""

from __future__ import annotations

from typing import Any

from noria.decisions.entities import Cause, DecisionSection, Policy, Remedy
from noria.decisions.trying import Trying

CHANGED = {Cause.CONCEPT_DRIFT: 0.9, Cause.UNKNOWN: 0.1}
ARGUMENTS = {"until_label": 7, "version": 1}
LEARNING = frozenset({Remedy.RETRAIN, Remedy.RECALIBRATE})


class Clockwork:
    """Answers as jobs do, each of which took so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.spent_s = 0.0
        self.seconds = seconds
        self.asked: list[str] = []
        self.limits: list[float | None] = []
        self.judged: dict[str, Any] = {}

    def job(self, function: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        del key
        self.spent_s += self.seconds
        self.asked.append(function)
        if function == "try_remedies":
            self.judged = arguments
            return {"lacks": 0, "candidates": []}
        if function == "refit":
            return {"lacks": 0, "cut_position": 5, "made": dict.fromkeys(arguments["remedies"], 2)}
        return {"lacks": 0, "cut_position": 5, "why_not": "", "run": {}, "version": 3}

    def pipeline(
        self, run: dict[str, Any], *, key: str, within_s: float | None = None
    ) -> tuple[str | None, str]:
        del run, key
        self.limits.append(within_s)
        self.spent_s += self.seconds
        return "run-1", ""


def test_what_would_begin_after_the_budget_is_not_tried() -> None:
    """What was made till then is judged; the rest says why it was not made."""
    bench = Clockwork(40.0)
    Trying(bench, DecisionSection(trial_budget_s=100.0)).run(1, ARGUMENTS, LEARNING, CHANGED)

    assert bench.asked == ["teach", "teach", "try_remedies"]
    assert bench.limits == [60.0, -20.0]
    said = {run["scheme"]: run.get("why_not", "") for run in bench.judged["runs"]}
    assert said["all"] == ""
    assert {scheme for scheme, why in said.items() if "`trial_budget_s` (100 s)" in why} == {
        "weighted",
        "warm",
    }
    assert "`trial_budget_s`" in bench.judged["made"]["recalibrate"]


def test_a_budget_holds_over_all_rounds() -> None:
    """Rounds on newer labels have what the first one left; what is done between them counts as no trial."""
    bench = Clockwork(40.0)
    trying = Trying(bench, DecisionSection(trial_budget_s=150.0, policy={Remedy.RETRAIN: Policy.FORBID}))
    trying.run(1, ARGUMENTS, LEARNING, CHANGED)
    assert bench.asked == ["refit", "try_remedies"]

    bench.spent_s += 1_000.0
    more = LEARNING | {Remedy.NEW_MODEL}
    trying.run(2, {**ARGUMENTS, "until_label": 9}, more, CHANGED)
    assert bench.asked == ["refit", "try_remedies"] * 2

    trying = Trying(bench, DecisionSection(trial_budget_s=60.0, policy={Remedy.RETRAIN: Policy.FORBID}))
    trying.run(1, ARGUMENTS, LEARNING, CHANGED)
    trying.run(2, {**ARGUMENTS, "until_label": 9}, more, CHANGED)
    assert bench.asked[-3:] == ["refit", "try_remedies", "try_remedies"]
    assert "`trial_budget_s`" in bench.judged["made"]["new_model"]
