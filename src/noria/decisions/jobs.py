"""What workers do for a decision: each takes and gives JSON, reads what it needs, and decides nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.errors import NoriaError
from noria.core.serialisation import convert, to_builtins
from noria.core.stats.intervals import newcombe_difference
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.decisions.case import Case, Rows, load_case
from noria.decisions.comparing import try_pin
from noria.decisions.diagnosis import Diagnosis, conclude
from noria.decisions.entities import Cause, DecisionSection, Remedy, Scheme
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.looking import findings
from noria.decisions.pipeline_entities import Compared, PipelinePin
from noria.decisions.refitting import refitted
from noria.decisions.repairing import try_repairs
from noria.decisions.teaching import kept_rows, target_name, taught_arrays
from noria.decisions.trials import FEWEST_JUDGED, judge, lacking, misfit, score_figure, split
from noria.pipelines.jobs_entry import OWN
from noria.registry.entities import ModelVersion, Origin
from noria.registry.service import Models
from noria.serving.endpoints import Endpoints
from noria.serving.repairs.entities import ColumnRepair

_BROKEN_REFIT_LEVEL = 0.001  # more rows seldom hurt; only a refit that broke is to be left

_SEEN_WITHOUT_LABELS = (Cause.INPUT_FAULT, Cause.INPUT_CHANGE, Cause.PIPELINE_FAULT)
_SURE = 0.8


def diagnose(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    compared: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Look at the stages in their order until a cause is certain.

    Parameters
    ----------
    compared
        A `Compared` as JSON, where the pipeline that the rows come from changed.

    Returns
    -------
    dict
        A `Diagnosis` as JSON, and `n_labelled`, `fingerprint` and `task` of what it was made from.
    """
    from threadpoolctl import threadpool_limits

    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    with threadpool_limits(limits=1):  # the rows are few: threads would wait for one another
        diagnosis = conclude(list(findings(case, chosen, LiveInputs(case), _compared(compared))))
    labelled = case.rows.labelled.since(onset_position)
    short = len(labelled) < chosen.min_labels and not _needs_no_labels(diagnosis)
    diagnosis = msgspec.structs.replace(diagnosis, lacks_labels=short)
    return {
        **to_builtins(diagnosis),
        "n_labelled": len(labelled),
        "task": case.version.task.value,
        "fingerprint": _fingerprint(case),
    }


def teach(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    everything: bool,
    scheme: str = Scheme.ALL,
) -> dict[str, Any]:
    """Add a dataset version of old training rows and newly labelled ones, for the origin pipeline to run on.

    Parameters
    ----------
    everything
        False: the labelled rows of the teaching part of a trial. True: all of them.
    scheme
        One of `Scheme`: which rows teach.

    Returns
    -------
    dict
        `lacks`: labels that a trial still needs; else `run`: what to run, or `why_not`; and `cut_position`, that of
        the first row that judges.
    """
    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    rows = split(case.rows.labelled, onset_position=onset_position, judged_share=chosen.judged_share)
    if not everything and (short := lacking(case, rows, chosen)):
        return {"lacks": short}
    answer = {"lacks": 0, "cut_position": rows.judging.positions[0] if len(rows.judging) else None}
    try:
        teaching = case.rows.labelled if everything else rows.teaching
        return {**answer, **_teach(case, teaching, endpoint, Scheme(scheme))}
    except NoriaError as error:
        return {**answer, "why_not": error.message}


def refit(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    remedies: list[str],
    schemes: list[str],
) -> dict[str, Any]:
    """Register what remedies without a pipeline make of the teaching part.

    Parameters
    ----------
    remedies
        Of `OWN`.
    schemes
        What may teach a new model.

    Returns
    -------
    dict
        `lacks` and `cut_position` as in `teach`; `made`: remedy → number of its version, or why there is none.
    """
    from threadpoolctl import threadpool_limits

    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    rows = split(case.rows.labelled, onset_position=onset_position, judged_share=chosen.judged_share)
    if short := lacking(case, rows, chosen):
        return {"lacks": short}
    made: dict[str, int | str] = {}
    for remedy in remedies:
        try:
            with threadpool_limits(limits=1):
                found = refitted(
                    case,
                    Remedy(remedy),
                    rows.teaching.since(onset_position),
                    schemes=[Scheme(scheme) for scheme in schemes],
                )
            made[remedy] = misfit(case.version, found) or found.version
        except (NoriaError, ValueError) as error:
            # The latter is how scikit-learn names rows that it cannot learn from.
            made[remedy] = str(error)
    return {"lacks": 0, "cut_position": rows.judging.positions[0], "made": made}


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
        the argument `why_not` says why there is none at all.
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

    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    labelled = case.rows.labelled
    newest = split(labelled, onset_position=onset_position, judged_share=chosen.judged_share).judging
    judging = newest if cut_position is None else labelled.since(cut_position)
    remedies = frozenset(Remedy(name) for name in allowed)
    if len(judging) < FEWEST_JUDGED:
        untried = _untried_repair(case, remedies, chosen)
        if not len(labelled.since(onset_position)):
            untried |= _untried_pin(case, remedies, _compared(compared), chosen, untried)
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
    if Remedy.FIX_PIPELINE in remedies and (both := _compared(compared)) is not None:
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


def check_refit(workspace: Workspace, project: str, endpoint: str, tried: int, run_id: str) -> dict[str, Any]:
    """Tell which version is to go out: the refit, unless clients would notice another form or it is surely worse.

    The refit learned from every labelled row, so the trial's rows cannot judge it. What can is the score on the rows
    that the pipeline itself held out, of the refit and of the version that was tried.
    """
    models = workspace.service(Models)
    place = workspace.service(Endpoints).get(project, endpoint)
    old = models.version(project, place.model, tried)
    new = _registered_by(workspace, project, place.model, run_id)
    if new is None:
        return {"version": tried, "sentence": f"The refit registered no version; version {tried} goes out"}
    if differences := misfit(old, new):
        text = f"The refit {new.version} does not fit the endpoint's clients: {differences}; version {tried} goes out"
        return {"version": tried, "sentence": text}
    if old.holdout is None or new.holdout is None:
        return {"version": new.version, "sentence": f"Version {new.version} was fitted on all labelled rows"}
    a, b = new.holdout, old.holdout
    found = newcombe_difference(
        round(a.score * a.n), a.n, round(b.score * b.n), b.n, alpha=_BROKEN_REFIT_LEVEL
    )
    if found.upper < 0:
        text = (
            f"The refit scores {a.score:.3f} on its held-out rows, surely less than {b.score:.3f}; "
            f"version {tried} goes out"
        )
        return {"version": tried, "sentence": text}
    text = (
        f"Version {new.version} was fitted on all labelled rows: {a.score:.3f} on {a.n} rows held out from it"
    )
    return {"version": new.version, "sentence": text}


def measure_outcome(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    target_version: int,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Compare what clients got since the onset from the old version with what they get from the new one."""
    chosen = _settings(settings)
    figures: dict[str, Any] = {"result": "promoted", "version": target_version}
    for name, number in (("before", version), ("after", target_version)):
        case = _case(workspace, project, endpoint, number, onset_position, None, chosen)
        labelled = case.rows.labelled.since(onset_position)
        figures[f"n_{name}"] = len(labelled)
        if len(labelled):
            figure = score_figure(case.scores(labelled), alpha=1 - chosen.confidence)
            figures[f"score_{name}"] = figure.value
            figures[f"score_{name}_low"], figures[f"score_{name}_high"] = figure.low, figure.high
    return figures


def measure_repair(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    settings: dict[str, Any],
    repaired_position: int,
    result: str = "repaired",
) -> dict[str, Any]:
    """Compare what clients got since the onset with what they get since inputs are put right, or made right again.

    Returns
    -------
    dict
        `result`, and scores before and after with their intervals; `worse` tells whether it surely does harm.
    """
    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, None, chosen)
    labelled = case.rows.labelled.since(onset_position)
    parts = {"before": labelled.before(repaired_position + 1), "after": labelled.since(repaired_position + 1)}
    figures: dict[str, Any] = {"result": result}
    for name, rows in parts.items():
        figures[f"n_{name}"] = len(rows)
        if len(rows):
            figure = score_figure(case.scores(rows), alpha=1 - chosen.confidence)
            figures[f"score_{name}"] = figure.value
            figures[f"score_{name}_low"], figures[f"score_{name}_high"] = figure.low, figure.high
    before, after = figures.get("score_before_low"), figures.get("score_after_high")
    return {**figures, "worse": before is not None and after is not None and after < before}


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


def _needs_no_labels(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause in _SEEN_WITHOUT_LABELS and diagnosis.probability >= _SURE


def _teach(case: Case, rows: Rows, endpoint: str, scheme: Scheme) -> dict[str, Any]:
    origin = case.version.origin
    why_not = _why_not(origin)
    if why_not:
        return {"why_not": why_not}
    assert origin.dataset is not None  # noqa: S101 - just checked
    handle = dataset(origin.dataset, workspace=case.workspace)
    old = handle.arrays()
    names = [spec.name for spec in case.version.signature.inputs]
    target = target_name(old, names)
    if scheme is not Scheme.ALL:
        rows = rows.since(case.onset_position)
        old = kept_rows(old, scheme, len(rows), n_rows=len(old[target]))
    arrays = taught_arrays(old, case.arrays(rows), rows.labels, target=target)
    message = f"{len(old[target])} rows of {origin.dataset} and {len(rows)} labelled rows of the endpoint {endpoint}"
    added = dataset(handle.name, workspace=case.workspace).add(arrays, message=message)
    parameter = _dataset_parameter(origin)
    return {
        "why_not": "",
        "run": {
            "pipeline": origin.pipeline,
            "snapshot": origin.snapshot,
            "params": {**origin.params, parameter: added.ref},
        },
        "dataset": added.ref,
        "n_teaching": len(rows),
    }


def _why_not(origin: Origin) -> str:
    if origin.pipeline is None or (origin.snapshot is None and not origin.pipeline.startswith(OWN)):
        return "the version was not registered by a pipeline, so it cannot be made again"
    if origin.dataset is None:
        return "the pipeline that made the version read no dataset"
    if _dataset_parameter(origin) not in origin.params:
        return "the pipeline that made the version has no parameter that names its dataset"
    return ""


def _dataset_parameter(origin: Origin) -> str:
    """Find the parameter that names the dataset: by its value, else by the name `dataset`."""
    refs = {origin.dataset, (origin.dataset or "").partition("@")[0]}
    return next((name for name, value in origin.params.items() if value in refs), "dataset")


def _trained(
    workspace: Workspace, case: Case, runs: list[dict[str, Any]], why_not: str
) -> tuple[dict[str, ModelVersion], str]:
    """Give the versions that the runs registered, by scheme, and what went wrong."""
    found: dict[str, ModelVersion] = {}
    wrong = [why_not] if why_not else []
    for run in runs:
        if run["run_id"] is None:
            wrong.append(run["why_not"])
            continue
        made = _registered_by(workspace, case.endpoint.project, case.version.model, run["run_id"])
        if made is None:
            wrong.append(f"the run {run['run_id']} registered no version of `{case.version.model}`")
        elif differences := misfit(case.version, made):
            wrong.append(f"version {made.version} does not fit the endpoint's clients: {differences}")
        else:
            found[run["scheme"]] = made
    return found, "; ".join(dict.fromkeys(wrong))


def _registered_by(workspace: Workspace, project: str, model: str, run_id: str) -> ModelVersion | None:
    page = workspace.service(Models).versions(project, model, limit=100)
    return next((version for version in page.items if version.origin.run_id == run_id), None)


def _case(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: DecisionSection,
) -> Case:
    return load_case(
        workspace,
        project,
        endpoint,
        version,
        onset_position=onset_position,
        max_rows=settings.max_rows,
        until_label=until_label,
    )


def _compared(given: dict[str, Any] | None) -> Compared | None:
    return None if given is None else convert(given, Compared, what="both revisions")


def _settings(given: dict[str, Any]) -> DecisionSection:
    return convert(given, DecisionSection, what="decision settings")


def _fingerprint(case: Case) -> dict[str, Any]:
    columns = case.reference_columns() or {}
    kinds = [column.dtype.kind in "biuf" for column in columns.values()]
    return {
        "n_columns": len(columns),
        "n_numeric": sum(kinds),
        "n_reference": len(case.reference.target) if case.reference else 0,
        "n_classes": len(case.version.classes or ()),
    }
