"""What both revisions of a scheduled pipeline made of the same inputs, as evidence and as a remedy. Worker only."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl

from noria.catalog.entities import Candidate
from noria.core.errors import Invalid, NoriaError
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.decisions.aside import first_difference
from noria.decisions.case import Case, Rows
from noria.decisions.entities import DecisionSection, Remedy
from noria.decisions.figures import scores_of
from noria.decisions.pipeline_entities import Compared, PipelinePin, RanAside
from noria.decisions.stages.finding import Finding, lacks
from noria.decisions.stages.replay import STAGE
from noria.decisions.trials import FEWEST_JUDGED, Trial
from noria.pipelines.run_diff import all_steps
from noria.registry.signatures import check_inputs
from noria.serving.batch.columns import arrays_of, bind

Step = tuple[str, list[str]]

_LIMIT_BYTES = 1 << 30
_PLACE = "\0place"


def rerun_finding(compared: Compared, recorded: list[Step]) -> Finding:
    """Tell whether the later revision makes something else of the same inputs, and in which step first. Pure.

    Parameters
    ----------
    recorded
        The steps of the run whose inputs both had, as `recorded_steps` gives them.
    """
    change = compared.change
    if compared.old is None or compared.new is None:
        why = f"{change.words} could not be run on the same inputs: {compared.why_not}"
        return lacks(STAGE, why[:1].upper() + why[1:], schedule=change.schedule)
    figures = {
        "schedule": change.schedule,
        "revision": change.after,
        "revision_before": change.before,
        "run": change.run_after,
        "run_before": change.run_before,
        "differs_in": ", ".join(change.what),
        "n_steps": len(compared.new.steps),
    }
    step, unsteady = _differing(compared, recorded)
    if step is not None and step == unsteady:
        why = f"The step {step} gives something else each time it runs, which tells nothing about the code"
        return lacks(STAGE, why, **figures)
    if step is None and (change.is_of_environment or compared.old.rows == compared.new.rows):
        says = f"{_revisions(compared)} give the same on the same inputs: the code is innocent"
        return Finding(stage=STAGE, verdict="same", sentence=says, figures=figures)
    subject = f"step {step}" if step is not None else f"dataset {change.made}"
    says = f"{_revisions(compared)} differ in {figures['differs_in']}, and make something else of the same inputs, "
    says += f"first in the {subject}"
    return Finding(stage=STAGE, verdict="features_differ", sentence=says, figures=figures, subject=subject)


def _revisions(compared: Compared) -> str:
    change = compared.change
    if change.is_of_environment:
        return f"Runs of the schedule {change.schedule} in the environments of then and now"
    return f"Revisions {change.before} and {change.after} of the schedule {change.schedule}"


def _differing(compared: Compared, recorded: list[Step]) -> tuple[str | None, str | None]:
    """Give the first step that differs, and the first one that differs without a reason: its own record or repetition.

    The environment of then is gone. What ran in it is on record, and both runs of now are repetitions of one another.
    """
    old, new = compared.old, compared.new
    assert old is not None  # noqa: S101 - the caller looked
    assert new is not None  # noqa: S101 - the caller looked
    from_record = first_difference(recorded, new.steps)
    between = first_difference(old.steps, new.steps)
    if compared.change.is_of_environment:
        return from_record, between
    return (between if old.rows != new.rows else None), from_record


def try_pin(
    case: Case, judging: Rows, compared: Compared, settings: DecisionSection
) -> tuple[Candidate, PipelinePin | None]:
    """Score labelled rows as they would have been answered, had the revision before made them.

    Rows are found by the columns that name them, else by their number where both revisions made as many.
    """
    change, name = compared.change, Remedy.FIX_PIPELINE.value
    if change.is_of_environment:
        return Candidate(name=name, note="only the environment differs, which no revision brings back"), None
    pin = PipelinePin(
        schedule=change.schedule, revision=change.before, instead_of=change.after, since=change.since
    )
    note = f"{pin.words}, instead of revision {change.after}"
    try:
        taken, scores = _scored(case, judging, compared)
    except NoriaError as error:
        return Candidate(name=name, note=f"{note}; it could not be tried: {error.message}"), pin
    if len(taken) < FEWEST_JUDGED:
        lack = f"{len(taken)} labelled rows that it would have made are too few to judge it"
        return Candidate(name=name, note=f"{note}; {lack}"), pin
    trial = Trial(case.scores(judging.take(taken)), settings)
    return trial.candidate(Remedy.FIX_PIPELINE, scores, note), pin


def recorded_steps(workspace: Workspace, compared: Compared) -> list[Step]:
    """Give the steps of the run whose inputs both revisions had, as they were recorded in production."""
    steps = all_steps(workspace, compared.change.reruns[-1].run_id)
    return [
        (
            step.step if step.occurrence == 0 else f"{step.step} {step.occurrence + 1}",
            [stored.digest for stored in step.outputs],
        )
        for step in steps
    ]


def _scored(case: Case, judging: Rows, compared: Compared) -> tuple[list[int], Any]:
    """Give which rows could be made again, and their scores."""
    taken: list[int] = []
    scores: list[Any] = []
    for place, rerun in enumerate(compared.change.reruns):
        ran = compared.old_of(place)
        indices = [i for i, each in enumerate(judging.ids) if each.rpartition("-")[0] == rerun.batch_run]
        if ran is None or ran.rows is None or not indices:
            continue
        found, frame = _made_again(case, judging, indices, ran, rerun.made)
        if found:
            taken += found
            scores.append(_scores(case, judging.take(found), frame, rerun.copied))
    order = np.argsort(taken, kind="stable")
    joined = np.concatenate(scores)[order] if scores else np.empty(0)
    return [taken[i] for i in order], joined


def _made_again(
    case: Case, judging: Rows, indices: list[int], ran: RanAside, made: str
) -> tuple[list[int], pl.DataFrame]:
    """Give which of these rows stand in what was made aside, and them as they stand there."""
    data = case.workspace.objects().get(ran.rows or "", limit_bytes=_LIMIT_BYTES)
    frame = pl.read_parquet(io.BytesIO(data))
    keys = [judging.keys[i] for i in indices]
    if not keys[0]:
        if dataset(made, workspace=case.workspace).current.n_rows != frame.height:
            raise Invalid("both revisions make another number of rows, and no column names them (`--key`)")
        return indices, frame[[int(judging.ids[i].rpartition("-")[2]) for i in indices]]
    names = list(keys[0])
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise Invalid(f"it makes no column `{missing[0]}`, by which rows are found")
    wanted = pl.DataFrame(keys).cast({name: frame.schema[name] for name in names}, strict=False)
    wanted = wanted.with_columns(pl.Series(_PLACE, indices))
    found = wanted.join(frame.unique(names, keep="none"), on=names, how="inner").sort(_PLACE)
    return found[_PLACE].to_list(), found.drop(_PLACE)


def _scores(case: Case, rows: Rows, frame: pl.DataFrame, copied: list[str]) -> Any:
    signature = case.version.signature
    arrays = arrays_of(frame, bind(signature, frame.schema, copied), signature)
    predicted = case.load(case.version).predict(check_inputs(signature, arrays))["predictions"].tolist()
    return scores_of(case.version.task.value, predicted, rows.labels, case.error_bound)
