"""What workers do for a decision: each takes and gives JSON, reads what it needs, and decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np

from noria.core.errors import Invalid, NoriaError
from noria.core.serialisation import convert, to_builtins
from noria.core.stats.intervals import newcombe_difference
from noria.core.stats.novelty import Novelty, novelty
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.decisions.case import Arrays, Case, Rows, load_case
from noria.decisions.diagnosis import STAGES, Diagnosis, conclude, is_certain
from noria.decisions.entities import Cause, DecisionSection, Remedy
from noria.decisions.live import replay_golden
from noria.decisions.stages.contract import contract
from noria.decisions.stages.events import Change, events
from noria.decisions.stages.finding import Finding, lacks
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.reality import reality
from noria.decisions.stages.shift import shift
from noria.decisions.stages.versions import versions
from noria.decisions.trials import (
    FEWEST_JUDGED,
    judge,
    lacking,
    older_versions,
    score_figure,
    split,
    target_name,
    taught_arrays,
)
from noria.pipelines.jobs_entry import OWN
from noria.registry.entities import ModelVersion, Origin
from noria.registry.service import Models
from noria.serving.endpoints import Endpoints

PERMISSIONS = ["endpoints.read", "endpoints.replay", "captures.read", "monitors.read"]
"""What these jobs need beyond what every job may do."""

_SEED = 7  # any: a diagnosis repeated on the same rows gives the same figures
_BROKEN_REFIT_LEVEL = 0.001  # more rows seldom hurt; only a refit that broke is to be left
_MOST_NOVEL = 2_000
_FEWEST_NOVEL = 20
_SLACK = timedelta(seconds=60)

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
) -> dict[str, Any]:
    """Look at the stages in their order until a cause is certain.

    Returns
    -------
    dict
        A `Diagnosis` as JSON, and `n_labelled`, `fingerprint` and `task` of what it was made from.
    """
    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    diagnosis = conclude(list(_findings(case, chosen)))
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
) -> dict[str, Any]:
    """Add a dataset version of the old training rows and newly labelled ones, for the origin pipeline to run on.

    Parameters
    ----------
    everything
        False: the labelled rows of the teaching part of a trial. True: all of them.

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
        return {**answer, **_teach(case, case.rows.labelled if everything else rows.teaching, endpoint)}
    except NoriaError as error:
        return {**answer, "why_not": error.message}


def try_remedies(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    allowed: list[str],
    run_id: str | None,
    why_not: str,
    cut_position: int | None,
) -> dict[str, Any]:
    """Judge remedies on the newest labelled rows.

    Parameters
    ----------
    allowed
        Admissible remedies.
    run_id
        The pipeline's run on the teaching part; None when there was none, and `why_not` says why.
    cut_position
        Rows from this position on judge; without it, the newest share of those since the onset.

    Returns
    -------
    dict
        `candidates`, `targets` (remedy → version that it puts live), `n_judged`, and `lacks` as in `teach`.
    """
    chosen = _settings(settings)
    case = _case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    labelled = case.rows.labelled
    newest = split(labelled, onset_position=onset_position, judged_share=chosen.judged_share).judging
    judging = newest if cut_position is None else labelled.since(cut_position)
    if len(judging) < FEWEST_JUDGED:
        return {"lacks": FEWEST_JUDGED - len(judging)}
    retrained = _made_by(workspace, case, run_id)
    missing = why_not or (
        "" if retrained else f"the run {run_id} registered no version of `{case.version.model}`"
    )
    remedies = frozenset(Remedy(name) for name in allowed)
    candidates, targets = judge(case, judging, remedies, chosen, retrained=retrained, why_not=missing)
    return {
        "lacks": 0,
        "candidates": [to_builtins(candidate) for candidate in candidates],
        "targets": targets,
        "n_judged": len(judging),
    }


def check_refit(workspace: Workspace, project: str, endpoint: str, tried: int, run_id: str) -> dict[str, Any]:
    """Tell which version is to go out: the refit, unless its own held-out rows show that it is surely worse.

    The refit learned from every labelled row, so the trial's rows cannot judge it. What can is the score on the rows
    that the pipeline itself held out, of the refit and of the version that was tried.
    """
    models = workspace.service(Models)
    place = workspace.service(Endpoints).get(project, endpoint)
    old = models.version(project, place.model, tried)
    new = _registered_by(workspace, project, place.model, run_id)
    if new is None:
        return {"version": tried, "sentence": f"The refit registered no version; version {tried} goes out"}
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


def _findings(case: Case, settings: DecisionSection) -> Iterator[Finding]:
    look = _Stages(case, settings)
    found: list[Finding] = []
    for stage in STAGES:
        found.append(look.at(stage))
        yield found[-1]
        if is_certain(found):
            return


class _Stages:
    """Feeds each stage the values that it needs."""

    def __init__(self, case: Case, settings: DecisionSection) -> None:
        self._case = case
        self._settings = settings
        self._since = case.since
        self._labelled = self._since.labelled
        self._scores = case.scores(self._labelled) if len(self._labelled) else np.empty(0)
        self._rng = np.random.default_rng(_SEED)

    def at(self, stage: str) -> Finding:
        found: Finding = getattr(self, f"_{stage}")()
        return found

    def _reality(self) -> Finding:
        held = self._case.version.holdout
        return reality(
            self._scores.tolist(),
            reference=held.score if held else None,
            reference_n=held.n if held else 0,
            tolerable=self._settings.tolerable_drop,
        )

    def _events(self) -> Finding:
        rows = self._case.rows.labelled
        scores = self._case.scores(rows).tolist() if len(rows) else []
        return events(scores, rows.times, _changes(self._case), slack=_SLACK, rng=self._rng)

    def _replay(self) -> Finding:
        return replay_golden(self._case)

    def _contract(self) -> Finding:
        rows = self._since
        current = self._case.columns(rows) if len(rows) else {}
        return contract(
            self._case.reference_columns(), current, n_rows=self._case.n_rows, n_errors=self._case.n_errors
        )

    def _versions(self) -> Finding:
        older = {}
        for version in older_versions(self._case) if len(self._labelled) else []:
            try:
                older[version.version] = self._case.scores_with(version, self._labelled).tolist()
            except NoriaError:
                continue  # it takes other inputs, or its files are gone: no version to go back to
        return versions(self._scores.tolist(), older)

    def _new_class(self) -> Finding:
        return new_class(
            self._labelled.labels,
            self._scores.tolist(),
            self._case.version.classes if self._case.is_classification else None,
            novel=self._novelty(self._since),
        )

    def _shift(self) -> Finding:
        reference, current = self._matrices(self._since)
        if reference is None or current is None:
            return lacks("shift", "There is no sample of training rows with numbers to compare with")
        held = self._case.version.holdout
        sample = self._case.reference
        return shift(
            reference,
            current,
            reference_labels=sample.target if sample and self._case.is_classification else None,
            labels=self._labelled.labels,
            scores=self._scores.tolist(),
            labelled_novelty=self._novelty(self._labelled),
            baseline=held.score if held else None,
            baseline_n=held.n if held else 0,
            rng=self._rng,
        )

    def _novelty(self, rows: Rows) -> Novelty | None:
        reference, current = self._matrices(rows)
        if reference is None or current is None or len(reference) < 2 * _FEWEST_NOVEL or not len(current):
            return None
        known, calibration = reference[::2], reference[1::2]
        try:
            return novelty(known, calibration, current[-_MOST_NOVEL:] if rows is self._since else current)
        except Invalid:
            return None  # no complete row on one side

    def _matrices(self, rows: Rows) -> tuple[Any, Any]:
        """Give the numeric columns of training sample and rows as matrices of equal columns."""
        reference = self._case.reference_columns()
        if reference is None or not len(rows):
            return None, None
        current = self._case.columns(rows)
        names = [
            name for name, column in reference.items() if column.dtype.kind in "biuf" and name in current
        ]
        if not names:
            return None, None

        def matrix(columns: Arrays) -> Any:
            return np.column_stack([np.asarray(columns[name], dtype=float) for name in names])

        return matrix(reference), matrix(current)


def _changes(case: Case) -> list[Change]:
    history = case.workspace.service(Endpoints).history(case.endpoint.project, case.endpoint.name).items
    return [
        Change(at=r.created_at, text=f"version {r.to_version} was deployed", version=r.to_version)
        for r in history
        if r.from_version is not None
    ]


def _needs_no_labels(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause in _SEEN_WITHOUT_LABELS and diagnosis.probability >= _SURE


def _teach(case: Case, rows: Rows, endpoint: str) -> dict[str, Any]:
    origin = case.version.origin
    why_not = _why_not(origin)
    if why_not:
        return {"why_not": why_not}
    assert origin.dataset is not None  # noqa: S101 - just checked
    handle = dataset(origin.dataset, workspace=case.workspace)
    old = handle.arrays()
    names = [spec.name for spec in case.version.signature.inputs]
    target = target_name(old, names)
    arrays = taught_arrays(old, case.arrays(rows), rows.labels, target=target)
    message = f"{origin.dataset} and {len(rows)} labelled rows of the endpoint {endpoint}"
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


def _made_by(workspace: Workspace, case: Case, run_id: str | None) -> ModelVersion | None:
    if run_id is None:
        return None
    return _registered_by(workspace, case.endpoint.project, case.version.model, run_id)


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
