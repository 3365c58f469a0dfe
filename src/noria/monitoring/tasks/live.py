"""What a version is for, as its tag says it, and what captured rows tell of that."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid, near
from noria.core.stats.columns import flatten_columns
from noria.core.workspace import Workspace
from noria.monitoring.reference import VersionSource
from noria.monitoring.tasks.alerting import HorizonVerdict, judged_horizons
from noria.monitoring.tasks.entities import (
    TASK_TAG,
    Forecasting,
    ForecastReport,
    ModelTask,
    UnsupervisedReport,
)
from noria.monitoring.tasks.forecasting import ForecastRow, beside_naive, forecast_report
from noria.monitoring.tasks.unsupervised import unsupervised_report
from noria.registry.client import fetch_version
from noria.registry.entities import ModelVersion, ServableVersion, Signature, TagChanges
from noria.registry.golden import load_answers, load_golden, load_reference_sample
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.signatures import stack_rows
from noria.registry.versions import ModelVersions
from noria.serving.predictions import CapturedRow


def set_task(workspace: Workspace, model: str, version: int, task: ModelTask) -> ModelVersion:
    """Say what a version is for; reports look at it as that from then on.

    Raises
    ------
    NotFound
        If there is no such version.
    NotServable
        If it lacks its signature.
    Invalid
        If it has no input of a name, or quantiles are no rising levels; the message names a near one.
    """
    found = servable(workspace.service(Models).version(workspace.project, model, version))
    if isinstance(task, Forecasting):
        _check(task, found.signature)
    change = TagChanges(tags={TASK_TAG: msgspec.json.encode(task).decode()})
    return workspace.service(ModelVersions).tag(workspace.project, model, found.version, change)


def task_of(version: ModelVersion) -> ModelTask | None:
    """Read what a version is for; None when nothing was said.

    Raises
    ------
    Invalid
        If the tag was changed by hand to what cannot be read.
    """
    text = version.tags.get(TASK_TAG)
    if text is None:
        return None
    try:
        found: ModelTask = msgspec.json.decode(text, type=ModelTask)
    except msgspec.DecodeError as error:
        raise Invalid(
            f"The tag `{TASK_TAG}` of {version.ref} cannot be read: {error}",
            hint=f"`noria models task {version.ref}` with its options sets it anew",
        ) from error
    return found


def task_report(
    workspace: Workspace, version: ServableVersion, rows: Sequence[CapturedRow]
) -> tuple[ForecastReport | UnsupervisedReport | None, list[str]]:
    """Look at captured rows of a version as at what it is for.

    Returns
    -------
    The report, None where nothing was said or it cannot be made, and what could not be looked at.
    """
    try:
        task = task_of(version)
        if task is None:
            return None, []
        answered = [row for row in rows if row.prediction.error is None]
        files = _files(VersionSource(workspace, version))
        if isinstance(task, Forecasting):
            found = forecast_report(task, [_forecast(row) for row in answered], _training(files))
            return found, [] if found.overall else ["None of the forecasts has a value yet"]
        return unsupervised_report(
            files.columns,
            files.answers,
            flatten_columns(stack_rows(version.signature, [row.prediction.inputs for row in answered])),
            [row.prediction.outputs.get("predictions") for row in answered],
            [row.prediction.at for row in answered],
        )
    except Invalid as error:
        hint = f". {error.hint}" if error.hint else ""
        return None, [f"{error.message}{hint}"]


def forecasts(version: ModelVersion) -> bool:
    """Tell whether a version was said to forecast; not where that cannot be read."""
    try:
        return isinstance(task_of(version), Forecasting)
    except Invalid:
        return False


def forecast_verdicts(
    version: ServableVersion, rows: Sequence[CapturedRow], *, margin: float
) -> tuple[Forecasting | None, list[HorizonVerdict]]:
    """Hold the labelled forecasts of a version against repeating the last season, by horizon.

    Returns
    -------
    The task, None where the version was not said to forecast or that cannot be read, and a verdict of each horizon
    with enough rows.
    """
    try:
        task = task_of(version)
        if not isinstance(task, Forecasting):
            return None, []
        mine = [r for r in rows if r.prediction.version == version.version and r.prediction.error is None]
        paired = beside_naive(task, [_forecast(row) for row in mine])
    except Invalid:  # the report of the version says what cannot be read
        return None, []
    return task, judged_horizons(paired, margin=margin)


def _check(task: Forecasting, signature: Signature) -> None:
    known = [spec.name for spec in signature.inputs]
    for name in (task.time, task.horizon, task.series):
        if name is not None and name not in known:
            close = near(name, known)
            listed = ", ".join(f"`{each}`" for each in known[:10])
            raise Invalid(
                f"The model has no input `{name}`",
                hint=f"Did you mean `{close}`?" if close else f"It takes {listed}",
            )
    levels = task.quantiles
    if any(not 0 < level < 1 for level in levels) or levels != sorted(set(levels)):
        raise Invalid(
            f"The quantiles {levels} are not rising levels between 0 and 1", hint="For instance 0.1,0.5,0.9"
        )


def _forecast(row: CapturedRow) -> ForecastRow:
    label = row.label if row.label is not None and row.label.is_trusted else None
    value = label.value if label is not None else None
    return ForecastRow(
        inputs=row.prediction.inputs,
        outputs=row.prediction.outputs,
        actual=float(value) if isinstance(value, (int, float)) else None,
    )


class _Files(msgspec.Struct, frozen=True):
    """Samples of a version: raw training rows and their target, as columns, and what it answered to known rows."""

    inputs: dict[str, Any] | None
    target: Any
    columns: dict[str, Any] | None
    answers: Any


@functools.lru_cache(maxsize=8)
def _files(source: VersionSource) -> _Files:
    folder = fetch_version(source.workspace, source.version)
    sample = load_reference_sample(folder)
    if sample is None:
        return _Files(None, None, None, _answers(folder))
    columns = flatten_columns({name: np.asarray(array) for name, array in sample.inputs.items()})
    return _Files(sample.inputs, sample.target, columns, _answers(folder))


def _answers(folder: Path) -> NDArray[Any] | None:
    """Give answers to held-out rows, of which there are more, or else to the golden batch."""
    kept, golden = load_answers(folder), load_golden(folder)
    for outputs in (kept, golden.outputs if golden else None):
        found = np.asarray(outputs["predictions"]) if outputs and "predictions" in outputs else None
        if found is not None and found.ndim == 1 and found.size:
            return found
    return None


def _training(files: _Files) -> list[ForecastRow]:
    if files.inputs is None or np.asarray(files.target).dtype.kind not in "biuf":
        return []
    names = list(files.inputs)
    columns = zip(*(np.asarray(files.inputs[name]).tolist() for name in names), strict=True)
    targets = np.asarray(files.target, dtype=np.float64).tolist()
    return [
        ForecastRow(inputs=dict(zip(names, values, strict=True)), outputs={}, actual=target)
        for values, target in zip(columns, targets, strict=True)
    ]
