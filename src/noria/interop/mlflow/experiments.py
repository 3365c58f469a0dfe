"""MLflow's endpoints of experiments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from noria.core.adapters import AdapterRequest
from noria.core.database.schema import to_micros
from noria.core.errors import Conflict
from noria.interop.mlflow import messages
from noria.interop.mlflow.errors import INVALID_STATE, RESOURCE_ALREADY_EXISTS, MlflowError, invalid, missing
from noria.interop.mlflow.locations import artifact_location, check_location, resolved
from noria.interop.mlflow.messages import KeyValue
from noria.interop.mlflow.projects import (
    DEFAULT_PROJECT,
    check_active,
    find_experiment,
    get_experiment,
    place_of_name,
    shown_name,
)
from noria.interop.mlflow.validation import check_experiment_name, check_experiment_tag
from noria.interop.mlflow.wire import Endpoints, Message
from noria.tracking.entities import Tags
from noria.tracking.experiment_entities import Experiment, ExperimentChange, NewExperiment
from noria.tracking.service import Experiments

MAX_VIEWS: Final = 50
"""How many views of its page an experiment keeps; each is a tag."""

_VIEW = "mlflow.customView.view"

endpoint = Endpoints()


class CreateExperiment(Message):
    """An experiment to make."""

    name: str = ""
    artifact_location: str = ""
    tags: list[KeyValue] = []


class ExperimentCreated(Message):
    """The id of what was made."""

    experiment_id: str


class ExperimentById(Message):
    """An experiment that is named by its id."""

    experiment_id: str = ""


class ExperimentByName(Message):
    """An experiment that is named by its name."""

    experiment_name: str = ""


class ExperimentAnswer(Message):
    """One experiment."""

    experiment: messages.Experiment


class UpdateExperiment(Message):
    """A new name."""

    experiment_id: str = ""
    new_name: str = ""


class ExperimentTag(Message):
    """A tag to set."""

    experiment_id: str = ""
    key: str = ""
    value: str = ""


class ExperimentTagKey(Message):
    """A tag to remove."""

    experiment_id: str = ""
    key: str = ""


@endpoint("POST", "2:experiments/create", CreateExperiment, required=("name",))
def create_experiment(request: AdapterRequest, message: CreateExperiment) -> ExperimentCreated:
    """Make an experiment."""
    if _n_views(tag.key for tag in message.tags) > MAX_VIEWS:
        raise _too_many_views(None)
    location = message.artifact_location
    if location:
        check_location(location)
    check_experiment_name(message.name)
    for tag in message.tags:
        check_experiment_tag(tag.key, tag.value)
    project, name = place_of_name(request, message.name)
    new = NewExperiment(
        name=name,
        tags={tag.key: tag.value for tag in message.tags},
        artifact_location=resolved(location, Path.cwd()) if location else None,
    )
    try:
        made = request.context.guarded(Experiments).create(project, new)
    except Conflict as error:
        raise MlflowError(
            RESOURCE_ALREADY_EXISTS, f"Experiment(name={message.name}) already exists."
        ) from error
    return ExperimentCreated(experiment_id=str(made.number))


@endpoint("GET", "2:experiments/get", ExperimentById, required=("experiment_id",))
def read_experiment(request: AdapterRequest, message: ExperimentById) -> ExperimentAnswer:
    """Get an experiment by its id."""
    return ExperimentAnswer(experiment=wire_experiment(get_experiment(request, message.experiment_id)))


@endpoint("GET", "2:experiments/get-by-name", ExperimentByName, required=("experiment_name",))
def read_experiment_by_name(request: AdapterRequest, message: ExperimentByName) -> ExperimentAnswer:
    """Get an experiment by its name, also a deleted one."""
    found = find_experiment(request, message.experiment_name)
    if found is None:
        raise missing(f"Could not find experiment with name '{message.experiment_name}'")
    return ExperimentAnswer(experiment=wire_experiment(found))


@endpoint("POST", "2:experiments/delete", ExperimentById, required=("experiment_id",))
def delete_experiment(request: AdapterRequest, message: ExperimentById) -> None:
    """Mark an experiment and its runs as deleted."""
    found = get_experiment(request, message.experiment_id)
    if found.deleted_at is not None:
        raise missing(f"No Experiment with id={found.number} exists")
    request.context.guarded(Experiments).delete(found.project, found.name)


@endpoint("POST", "2:experiments/restore", ExperimentById, required=("experiment_id",))
def restore_experiment(request: AdapterRequest, message: ExperimentById) -> None:
    """Undo the deletion of an experiment and of its runs, also of those that were deleted before it."""
    found = get_experiment(request, message.experiment_id)
    if found.deleted_at is None:
        raise missing(f"No Experiment with id={found.number} exists")
    request.context.guarded(Experiments).restore(found.project, found.name, every_run=True)


@endpoint("POST", "2:experiments/update", UpdateExperiment, required=("experiment_id", "new_name"))
def update_experiment(request: AdapterRequest, message: UpdateExperiment) -> None:
    """Rename an experiment, within its project."""
    check_experiment_name(message.new_name)
    found = get_experiment(request, message.experiment_id)
    if found.deleted_at is not None:
        raise MlflowError(INVALID_STATE, "Cannot rename a non-active experiment.")
    own = f"{found.project}/"
    inner = found.project != DEFAULT_PROJECT and message.new_name.startswith(own)
    name = message.new_name[len(own) :] if inner else message.new_name
    try:
        request.context.guarded(Experiments).rename(found.project, found.name, ExperimentChange(name=name))
    except Conflict as error:
        raise MlflowError(
            RESOURCE_ALREADY_EXISTS, f"Experiment(name={message.new_name}) already exists."
        ) from error


@endpoint("POST", "2:experiments/set-experiment-tag", ExperimentTag, required=("experiment_id", "key"))
def set_experiment_tag(request: AdapterRequest, message: ExperimentTag) -> None:
    """Set a tag of an experiment."""
    check_experiment_tag(message.key, message.value)
    found = get_experiment(request, message.experiment_id)
    check_active(found)
    adds_view = message.key.startswith(_VIEW) and message.key not in found.tags
    if adds_view and _n_views(found.tags) >= MAX_VIEWS:
        raise _too_many_views(found.number)
    tags = Tags(tags={message.key: message.value})
    request.context.guarded(Experiments).set_tags(found.project, found.name, tags)


@endpoint("POST", "2:experiments/delete-experiment-tag", ExperimentTagKey, required=("experiment_id", "key"))
def delete_experiment_tag(request: AdapterRequest, message: ExperimentTagKey) -> None:
    """Remove a tag of an experiment."""
    found = get_experiment(request, message.experiment_id)
    check_active(found)
    if message.key not in found.tags:
        raise missing(f"No tag with name: {message.key} in experiment with id {message.experiment_id}")
    request.context.guarded(Experiments).set_tags(found.project, found.name, Tags(tags={message.key: None}))


def wire_experiment(experiment: Experiment) -> messages.Experiment:
    """Give an experiment as MLflow's clients see it."""
    return messages.Experiment(
        experiment_id=str(experiment.number),
        name=shown_name(experiment.project, experiment.name),
        artifact_location=artifact_location(experiment.number, experiment.artifact_location),
        lifecycle_stage="active" if experiment.deleted_at is None else "deleted",
        last_update_time=to_micros(experiment.updated_at) // 1000,
        creation_time=to_micros(experiment.created_at) // 1000,
        tags=[KeyValue(key, value) for key, value in experiment.tags.items()],
        workspace="default",
    )


def _n_views(keys: Iterable[str]) -> int:
    return sum(key.startswith(_VIEW) for key in keys)


def _too_many_views(number: int | None) -> MlflowError:
    where = "" if number is None else f" for experiment {number}"
    return invalid(
        f"Unable to create another custom view{where}; the maximum number of custom views per experiment is"
        f" {MAX_VIEWS}. Delete an existing custom view before creating a new one."
    )


ROUTES = endpoint.routes
