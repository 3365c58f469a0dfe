"""The job that judges remedies on the newest labelled rows."""

from __future__ import annotations

from typing import Any

from noria.core.serialisation import to_builtins
from noria.core.workspace import Workspace
from noria.decisions.case import Case
from noria.decisions.comparing import try_pin
from noria.decisions.entities import DecisionSection, Remedy
from noria.decisions.jobs.reading import compared_of, read_case, registered_by, settings_of
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.pipeline_entities import Compared, PipelinePin
from noria.decisions.repairing import try_repairs
from noria.decisions.trials import FEWEST_JUDGED, judge, misfit, split
from noria.registry.entities import ModelVersion
from noria.registry.service import Models
from noria.serving.repairs.entities import ColumnRepair


def try_remedies(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    allowed: list[str],
    runs: list[dict[str, Any]],
    why_not: str,
    made: dict[str, int | str],
    cut_position: int | None,
    compared: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge remedies on the newest labelled rows.

    Parameters
    ----------
    allowed
        Admissible remedies.
    runs
        The pipeline's runs on the teaching part: `scheme`, and `run_id`, None when it failed, for which `why_not` is;
        a warm retraining has `version` instead of a run. The argument `why_not` says why there is no run at all.
    made
        What `refit` gave.
    cut_position
        Rows from this position on judge; without it, the newest share of those since the onset.
    compared
        As for `diagnose`, where the pipeline is to go back.

    Returns
    -------
    dict
        `candidates`, `targets` (remedy → version that it puts live), `ways` (remedy → how it is done), `repair` (how
        inputs would be put right), `pin` (which revision the pipeline would go back to), `n_judged`, and `lacks` as in
        `teach`; where labels are lacking, the repair alone.
    """
    from threadpoolctl import threadpool_limits

    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    labelled = case.rows.labelled
    newest = split(labelled, onset_position=onset_position, judged_share=chosen.judged_share).judging
    judging = newest if cut_position is None else labelled.since(cut_position)
    remedies = frozenset(Remedy(name) for name in allowed)
    if len(judging) < FEWEST_JUDGED:
        untried = _untried_repair(case, remedies, chosen)
        if not len(labelled.since(onset_position)):
            untried |= _untried_pin(case, remedies, compared_of(compared), chosen, untried)
        return {"lacks": FEWEST_JUDGED - len(judging), **untried}
    trained, missing = _trained(workspace, case, runs, why_not)
    teaching = labelled.since(onset_position).before(judging.positions[0])
    found = judge(case, judging, remedies, chosen, trained=trained, made=made, why_not=missing)
    repair: list[ColumnRepair] = []
    if Remedy.REPAIR_INPUTS in remedies:
        with threadpool_limits(limits=1):
            repaired = try_repairs(LiveInputs(case), case, teaching, judging, chosen)
        if repaired is not None:
            found, repair = found.with_candidate(repaired[0]), repaired[1]
    pin: PipelinePin | None = None
    if Remedy.FIX_PIPELINE in remedies and (both := compared_of(compared)) is not None:
        candidate, pin = try_pin(case, judging, both, chosen)
        found = found.with_candidate(candidate)
    return {
        "lacks": 0,
        "pin": None if pin is None else to_builtins(pin),
        "candidates": [to_builtins(candidate) for candidate in found.candidates],
        "targets": found.targets,
        "ways": found.ways,
        "repair": [to_builtins(column) for column in repair],
        "n_judged": len(judging),
    }


def _untried_repair(case: Case, remedies: frozenset[Remedy], settings: DecisionSection) -> dict[str, Any]:
    """Give the likeliest repair, which no label speaks for."""
    if Remedy.REPAIR_INPUTS not in remedies:
        return {}
    nothing = case.rows.take([])
    found = try_repairs(LiveInputs(case), case, nothing, nothing, settings)
    if found is None:
        return {}
    candidate, repair = found
    return {
        "candidates": [to_builtins(candidate)],
        "repair": [to_builtins(column) for column in repair],
    }


def _untried_pin(
    case: Case,
    remedies: frozenset[Remedy],
    both: Compared | None,
    settings: DecisionSection,
    known: dict[str, Any],
) -> dict[str, Any]:
    """Give the revision before, which steps speak for and no label, beside what is known of other remedies."""
    if Remedy.FIX_PIPELINE not in remedies or both is None:
        return {}
    candidate, pin = try_pin(case, case.rows.take([]), both, settings)
    if pin is None:
        return {}
    return {"candidates": [*known.get("candidates", []), to_builtins(candidate)], "pin": to_builtins(pin)}


def _trained(
    workspace: Workspace, case: Case, runs: list[dict[str, Any]], why_not: str
) -> tuple[dict[str, ModelVersion], str]:
    """Give the versions that the runs registered, by scheme, and what went wrong."""
    found: dict[str, ModelVersion] = {}
    wrong = [why_not] if why_not else []
    models, project, name = workspace.service(Models), case.endpoint.project, case.version.model
    for run in runs:
        if run["run_id"] is None and run.get("version") is None:
            wrong.append(run["why_not"])
            continue
        made = (
            registered_by(workspace, project, name, run["run_id"])
            if run["run_id"] is not None
            else models.version(project, name, run["version"])
        )
        if made is None:
            wrong.append(f"the run {run['run_id']} registered no version of `{case.version.model}`")
        elif differences := misfit(case.version, made):
            wrong.append(f"version {made.version} does not fit the endpoint's clients: {differences}")
        else:
            found[run["scheme"]] = made
    return found, "; ".join(dict.fromkeys(wrong))
