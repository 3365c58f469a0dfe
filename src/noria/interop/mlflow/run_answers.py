"""Runs of Noria as MLflow's clients see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from typing import Final

import msgspec

from noria.interop.mlflow.locations import artifact_location, run_artifacts
from noria.interop.mlflow.messages import (
    Dataset,
    DatasetInput,
    KeyValue,
    Metric,
    ModelInput,
    ModelOutput,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import wire_metric
from noria.tracking import entities
from noria.tracking.entities import RunSource
from noria.tracking.run_rows import LatestColumns, RunRow

RUN_NAME_TAG: Final = "mlflow.runName"
"""The name of a run as a tag: it is not kept apart from the name."""

NAME_TAG_GONE: Final = (RUN_NAME_TAG, "")
"""What is kept of a run whose client deleted the tag of the name: the name stays, and the tag is not told."""

PARENT_TAG: Final = "mlflow.parentRunId"
SOURCE_NAME_TAG: Final = "mlflow.source.name"
SOURCE_TYPE_TAG: Final = "mlflow.source.type"
COMMIT_TAG: Final = "mlflow.source.git.commit"

_read_source = msgspec.json.Decoder(RunSource).decode


def wire_run(row: RunRow) -> Run:
    """Give a run with all that it holds."""
    return Run(
        info=wire_info(row),
        data=RunData(
            metrics=_metrics(row.metrics), params=list(starmap(KeyValue, row.params)), tags=_tags(row)
        ),
        inputs=RunInputs(
            dataset_inputs=[_dataset_input(each) for each in row.datasets],
            model_inputs=[ModelInput(model_id=model_id) for model_id in row.models.inputs],
        ),
        outputs=RunOutputs(
            model_outputs=[ModelOutput(model_id=model_id, step=step) for model_id, step in row.models.outputs]
        ),
    )


def wire_info(row: RunRow) -> RunInfo:
    """Give what is known of a run besides what was logged."""
    location = artifact_location(row.place.number, row.place.artifact_location)
    return RunInfo(
        run_uuid=row.id,
        experiment_id=str(row.place.number),
        run_name=row.name,
        user_id=row.author,
        status=row.status.upper(),
        start_time=row.started_at // 1000,
        end_time=None if row.ended_at is None else row.ended_at // 1000,
        artifact_uri=run_artifacts(location, row.id),
        lifecycle_stage="active" if row.deleted_at is None else "deleted",
        run_id=row.id,
    )


def wire_head(run: entities.RunHead) -> RunInfo:
    """Give what is known of a run besides what was logged."""
    place = run.place
    location = artifact_location(place.experiment_number, place.artifact_location)
    return RunInfo(
        run_uuid=place.run_id,
        experiment_id=str(place.experiment_number),
        run_name=run.name,
        user_id=run.author,
        status=run.status.upper(),
        start_time=millis(run.started_at),
        end_time=None if run.ended_at is None else millis(run.ended_at),
        artifact_uri=run_artifacts(location, place.run_id),
        lifecycle_stage="active" if place.deleted_at is None else "deleted",
        run_id=place.run_id,
    )


def wire_new_run(run: entities.RunHead, tags: Mapping[str, str]) -> Run:
    """Give a run that was made just now with these tags."""
    given = [KeyValue(key, value) for key, value in tags.items()]
    data = RunData(tags=[*given, KeyValue(RUN_NAME_TAG, run.name)])
    return Run(info=wire_head(run), data=data, inputs=RunInputs())


def tags_of_source(source: RunSource) -> Iterable[tuple[str, str]]:
    """Give what was run as the tags that MLflow's clients keep it in."""
    yield SOURCE_TYPE_TAG, "LOCAL"
    if source.command is not None:
        yield SOURCE_NAME_TAG, source.command
    if source.git_commit is not None:
        yield COMMIT_TAG, source.git_commit


def _tags(row: RunRow) -> list[KeyValue]:
    tags = [KeyValue(key, value) for key, value in row.tags if key != RUN_NAME_TAG]
    if NAME_TAG_GONE not in row.tags:
        tags.append(KeyValue(RUN_NAME_TAG, row.name))
    if row.parent is not None or row.source is not None:
        known = {tag.key for tag in tags}
        tags += [KeyValue(key, value) for key, value in _own_tags(row) if key not in known]
    return tags


def _own_tags(row: RunRow) -> Iterable[tuple[str, str]]:
    """Give as tags what Noria keeps of a run in fields."""
    if row.parent is not None:
        yield PARENT_TAG, row.parent
    if row.source is not None:
        yield from tags_of_source(_read_source(row.source))


def _metrics(latest: LatestColumns) -> list[Metric]:
    values: Sequence[float | str] = latest.values
    # One sum tells of all values at once that none is NaN or infinite, which is nearly always so.
    if not math.isfinite(sum(latest.values)):
        values = [wire_metric(value) for value in latest.values]
    return list(map(Metric, latest.keys, values, [at // 1000 for at in latest.at], latest.steps))


def _dataset_input(dataset: entities.Dataset) -> DatasetInput:
    return DatasetInput(
        tags=list(starmap(KeyValue, dataset.tags.items())),
        dataset=Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
    )
