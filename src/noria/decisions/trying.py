"""Try the admissible remedies: have the pipeline run on the teaching part, and have all of them judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from noria.decisions.entities import (
    OWN,
    Cause,
    DecisionSection,
    Policy,
    Remedy,
    Scheme,
)
from noria.decisions.schemes import schemes_for

OVER_BUDGET = "not tried: the trials of this decision took all of `trial_budget_s` ({budget:g} s)"
"""Why something was not tried."""


class Bench(Protocol):
    """Has functions and pipelines run where users' code may run."""

    @property
    def spent_s(self) -> float:
        """Seconds of workers' time that these took so far."""
        ...

    def job(self, function: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Run a function of `noria.decisions.jobs`, and give its answer.

        Parameters
        ----------
        key
            Names the job among those of one decision, so that it is not done twice.
        """
        ...

    def pipeline(
        self, run: dict[str, Any], *, key: str, within_s: float | None = None
    ) -> tuple[str | None, str]:
        """Run a pipeline of the project; give its run, or why there is none.

        Parameters
        ----------
        within_s
            After so many seconds it is ended.
        """
        ...


class Trying:
    """Tries remedies round by round; what the pipeline gave once is judged again on ever more rows."""

    def __init__(self, bench: Bench, settings: DecisionSection) -> None:
        self._bench = bench
        self._settings = settings
        self._spent_s = self._begun_s = 0.0
        self._trial: dict[str, Any] | None = None
        self._made: dict[str, Any] | None = None

    @property
    def _left_s(self) -> float:
        spent_s = self._spent_s + self._bench.spent_s - self._begun_s
        return self._settings.trial_budget_s - spent_s

    @property
    def _over(self) -> str:
        return OVER_BUDGET.format(budget=self._settings.trial_budget_s)

    def run(
        self,
        number: int,
        arguments: dict[str, Any],
        allowed: frozenset[Remedy],
        causes: Mapping[Cause, float],
        *,
        compared: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Give what `jobs.try_remedies` gives; `lacks` alone when labels are missing.

        Parameters
        ----------
        compared
            Both revisions of the pipeline that the rows come from, as JSON; an earlier one is tried only where a fault
            of the pipeline is the likeliest cause.
        number
            Of the round, from 1.
        """
        self._begun_s = self._bench.spent_s
        try:
            return self._round(number, arguments, allowed, causes, compared)
        finally:
            # What is diagnosed between rounds is no trial.
            self._spent_s += self._bench.spent_s - self._begun_s

    def _round(
        self,
        number: int,
        arguments: dict[str, Any],
        allowed: frozenset[Remedy],
        causes: Mapping[Cause, float],
        compared: dict[str, Any] | None,
    ) -> dict[str, Any]:
        part = f"{number}:{arguments['until_label']}"
        wanted = {r for r in allowed if self._settings.policy_of(r) is not Policy.FORBID}
        trial: dict[str, Any] = {"runs": [], "why_not": "", "cut_position": None}
        if Remedy.RETRAIN in wanted:
            trial = self._trial or self._retrain(part, arguments, schemes_for(causes))
            if "lacks" in trial:
                return trial
        own = sorted(remedy.value for remedy in OWN if remedy in wanted)
        schemes = [scheme.value for scheme in schemes_for(causes, cheap=True)]
        given = {**arguments, "remedies": own, "schemes": schemes}
        made = self._refit(part, given) if own else {"made": {}, "cut_position": None}
        if made.get("lacks"):
            return made
        cuts = [cut for cut in (trial["cut_position"], made["cut_position"]) if cut is not None]
        # The labels that came while the pipeline ran judge as well: it did not learn from them.
        judged = {
            **arguments,
            **trial,
            "made": made["made"],
            "cut_position": max(cuts, default=None),
            "until_label": None,
            "allowed": sorted(remedy.value for remedy in allowed),
            "compared": compared if max(causes, key=causes.__getitem__) is Cause.PIPELINE_FAULT else None,
        }
        return self._bench.job("try_remedies", judged, key=f"try:{part}")

    def _refit(self, part: str, given: dict[str, Any]) -> dict[str, Any]:
        """Have versions made that need no pipeline; kept for later rounds as well."""
        if self._made is None or set(given["remedies"]) - set(self._made["made"]):
            if self._left_s <= 0:
                return {"made": dict.fromkeys(given["remedies"], self._over), "cut_position": None}
            found = self._bench.job("refit", given, key=f"refit:{part}")
            if found["lacks"]:
                return found
            self._made = found
        return self._made

    def _retrain(self, part: str, arguments: dict[str, Any], schemes: list[Scheme]) -> dict[str, Any]:
        """Run the origin pipeline on the teaching part, once for each scheme, and train the present version on.

        What they gave is kept for later rounds, which judge it on ever more rows that came after the cut.
        """
        runs: list[dict[str, Any]] = []
        cut: int | None = None
        why_not = ""
        for scheme in schemes:
            if self._left_s <= 0:
                runs.append({"scheme": scheme.value, "run_id": None, "why_not": self._over})
                continue
            key = f"{part}:{scheme.value}"
            given = {**arguments, "everything": False, "scheme": scheme.value}
            taught = self._bench.job("teach", given, key=f"teach:{key}")
            if taught["lacks"]:
                return taught
            cut = taught["cut_position"]
            if taught["why_not"]:
                runs, why_not = [], taught["why_not"]
                break
            run_id, wrong = self._bench.pipeline(taught["run"], key=f"retrain:{key}", within_s=self._left_s)
            if run_id is None and self._left_s <= 0:
                wrong = f"{wrong}; {self._over}"
            runs.append({"scheme": scheme.value, "run_id": run_id, "why_not": wrong})
        if why_not or len(schemes) > 1:
            runs.append(self._warm(part, arguments))
        trial = {"runs": runs, "why_not": why_not, "cut_position": cut}
        if any(run["run_id"] is not None or run.get("version") is not None for run in runs):
            self._trial = trial
        return trial

    def _warm(self, part: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Train the present version on, where old rows may mislead, or no pipeline can be run."""
        if self._left_s <= 0:
            return {"scheme": Scheme.WARM.value, "run_id": None, "why_not": self._over}
        made = self._bench.job("train_on", {**arguments, "everything": False}, key=f"train_on:{part}")
        return {"scheme": Scheme.WARM.value, "run_id": None, **made}
