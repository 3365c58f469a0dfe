"""The jobs that make versions to be tried, or to go out: by the pipeline of the present version, or without one."""

from __future__ import annotations

from typing import Any

from noria.core.errors import NoriaError
from noria.core.stats.intervals import newcombe_difference
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.decisions.case import Case, Rows
from noria.decisions.entities import Remedy, Scheme
from noria.decisions.jobs.reading import read_case, registered_by, settings_of
from noria.decisions.refitting import refitted, warmed
from noria.decisions.teaching import kept_rows, target_name, taught_arrays
from noria.decisions.trials import lacking, misfit, split
from noria.pipelines.jobs_entry import OWN
from noria.registry.entities import Origin
from noria.registry.service import Models
from noria.serving.endpoints import Endpoints

_MOST_BEFORE = 50
_BROKEN_REFIT_LEVEL = 0.001  # more rows seldom hurt; only a refit that broke is to be left


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
    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, until_label, chosen)
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

    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, until_label, chosen)
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


def train_on(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: dict[str, Any],
    everything: bool,
) -> dict[str, Any]:
    """Register what labelled rows since the onset make of the present version by training it on.

    Parameters
    ----------
    everything
        False: the labelled rows of the teaching part of a trial. True: all of them.

    Returns
    -------
    dict
        `lacks` and `cut_position` as in `teach`; `version`, None where there is none, for which `why_not` is.
    """
    from threadpoolctl import threadpool_limits

    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, until_label, chosen)
    labelled = case.rows.labelled
    rows = split(labelled, onset_position=onset_position, judged_share=chosen.judged_share)
    if not everything and (short := lacking(case, rows, chosen)):
        return {"lacks": short}
    answer = {"lacks": 0, "cut_position": rows.judging.positions[0] if len(rows.judging) else None}
    teaching = (labelled if everything else rows.teaching).since(onset_position)
    try:
        with threadpool_limits(limits=1):
            found = warmed(case, teaching)
    except (NoriaError, ValueError) as error:
        # The latter is how libraries name rows that they cannot learn from.
        return {**answer, "version": None, "why_not": f"it was not trained on: {error}"}
    return {**answer, "version": found.version, "why_not": ""}


def check_refit(
    workspace: Workspace,
    project: str,
    endpoint: str,
    tried: int,
    run_id: str | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    """Tell which version is to go out: the refit, unless clients would notice another form or it is surely worse.

    Parameters
    ----------
    run_id, version
        The run that registered the refit, or its number.

    The refit learned from every labelled row, so the trial's rows cannot judge it. What can is the score on the rows
    that the pipeline itself held out, of the refit and of the version that was tried.
    """
    models = workspace.service(Models)
    place = workspace.service(Endpoints).get(project, endpoint)
    old = models.version(project, place.model, tried)
    new = (
        models.version(project, place.model, version)
        if version is not None
        else registered_by(workspace, project, place.model, run_id or "")
    )
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


def _teach(case: Case, rows: Rows, endpoint: str, scheme: Scheme) -> dict[str, Any]:
    origin = _origin(case)
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


def _origin(case: Case) -> Origin:
    """Give what the version was made by; of one made without a pipeline, what the newest before it with one was.

    A version whose answers were mapped anew, or that was trained on, would else never be retrained again.
    """
    origin = case.version.origin
    if origin.pipeline is not None:
        return origin
    page = case.workspace.service(Models).versions(
        case.endpoint.project, case.version.model, limit=_MOST_BEFORE, before=case.version.version
    )
    return next((each.origin for each in page.items if each.origin.pipeline is not None), origin)


def _why_not(origin: Origin) -> str:
    if origin.pipeline is None or (origin.snapshot is None and not origin.pipeline.startswith(OWN)):
        return (
            "neither the version nor one before it was registered by a pipeline, so it cannot be made again"
        )
    if origin.dataset is None:
        return "the pipeline that made the version read no dataset"
    if _dataset_parameter(origin) not in origin.params:
        return "the pipeline that made the version has no parameter that names its dataset"
    return ""


def _dataset_parameter(origin: Origin) -> str:
    """Find the parameter that names the dataset: by its value, else by the name `dataset`."""
    refs = {origin.dataset, (origin.dataset or "").partition("@")[0]}
    return next((name for name, value in origin.params.items() if value in refs), "dataset")
