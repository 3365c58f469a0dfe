"""MLflow's endpoints of logged models, and of the models that runs made."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import Conflict
from noria.core.ids import new_id
from noria.interop.mlflow.artifacts import model_root
from noria.interop.mlflow.errors import INVALID_PARAMETER_VALUE, invalid, missing
from noria.interop.mlflow.messages import Empty, KeyValue, Metric, ModelOutput
from noria.interop.mlflow.projects import (
    check_active,
    get_active_place,
    get_experiment,
    load_row,
    log,
    numbers_of,
)
from noria.interop.mlflow.run_names import name_of
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.validation import MAX_TAG_CHARS, check_length, check_run_id
from noria.interop.mlflow.wire import Endpoints, Int32, Message, WireEnum, missing_parameter, wire_metric
from noria.tracking.entities import LogBatch
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import (
    DatasetChoice,
    LoggedModel,
    ModelEnd,
    ModelMetric,
    ModelOrder,
    ModelParams,
    ModelPlace,
    ModelSearch,
    ModelStatus,
    ModelTags,
    ModelUse,
    NewLoggedModel,
    RunModels,
)
from noria.tracking.model_rows import LoggedModelNotFound

HISTORY_TAG: Final = "mlflow.log-model.history"
"""Where clients of MLflow 2 keep what models a run logged."""

_HISTORY_FIELDS: Final = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
_MANDATORY: Final = frozenset({"artifact_path", "flavors", "utc_time_created", "run_id"})

endpoint = Endpoints()


class WireStatus(WireEnum):
    """Where a logged model stands."""

    LOGGED_MODEL_STATUS_UNSPECIFIED = "LOGGED_MODEL_STATUS_UNSPECIFIED", 0
    LOGGED_MODEL_PENDING = "LOGGED_MODEL_PENDING", 1
    LOGGED_MODEL_READY = "LOGGED_MODEL_READY", 2
    LOGGED_MODEL_UPLOAD_FAILED = "LOGGED_MODEL_UPLOAD_FAILED", 3


STATUSES: Final = dict(zip(ModelStatus, WireStatus, strict=True))


class ModelInfo(Message):
    """What is known of a logged model."""

    experiment_id: str
    model_id: str
    name: str
    artifact_uri: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    model_type: str
    source_run_id: str
    status: WireStatus
    status_message: str = ""
    tags: list[KeyValue] = []


class ModelData(Message):
    """What was logged of a model."""

    params: list[KeyValue] = []
    metrics: list[Metric] = []


class WireModel(Message):
    """A logged model."""

    info: ModelInfo
    data: ModelData


class ModelAnswer(Message):
    """One logged model."""

    model: WireModel


class CreateModel(Message):
    """A logged model to make."""

    experiment_id: str = ""
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class GetModel(Message):
    """Whether a deleted model is wanted too."""

    allow_deleted: str = ""


class FinalizeModel(Message):
    """What became of a model."""

    status: WireStatus | None = None


class SetModelTags(Message):
    """Tags to set."""

    tags: list[KeyValue] = []


class LogModelParams(Message):
    """Params to add."""

    params: list[KeyValue] = []


class WireDataset(Message):
    """Data that metrics were found on."""

    dataset_name: str = ""
    dataset_digest: str = ""


class WireOrder(Message):
    """What models are ordered by."""

    field_name: str = ""
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchModels(Message):
    """Which models are wanted."""

    experiment_ids: list[str] | None = None
    filter: str = ""
    datasets: list[WireDataset] = []
    max_results: Int32 = 50
    order_by: list[WireOrder] = []
    page_token: str = ""


class ModelList(Message):
    """A page of models."""

    models: list[WireModel] = []
    next_page_token: str | None = None


class LogOutputs(Message):
    """Models that a run made."""

    run_id: str = ""
    models: list[ModelOutput] | None = None


class LogModel(Message):
    """A model as clients of MLflow 2 log it."""

    run_id: str = ""
    model_json: str = ""


@endpoint("POST", "2:logged-models", CreateModel, required=("experiment_id",))
def create(request: AdapterRequest, message: CreateModel) -> Message:
    """Begin a logged model."""
    experiment = get_experiment(request, message.experiment_id)
    check_active(experiment)
    new = NewLoggedModel(
        experiment=experiment.name,
        name=message.name or name_of(new_id()),
        model_type=message.model_type,
        source_run=message.source_run_id,
        params={param.key: param.value for param in message.params},
        tags={tag.key: tag.value for tag in message.tags},
    )
    return _answer(_models(request).create(experiment.project, new))


@endpoint("GET", "2:logged-models/{model_id}", GetModel)
def get(request: AdapterRequest, message: GetModel) -> Message:
    """Give a logged model."""
    place = _place(request)
    deleted = message.allow_deleted.lower() == "true"
    return _answer(_found(request, place, deleted=deleted))


@endpoint("PATCH", "2:logged-models/{model_id}", FinalizeModel)
def finalize(request: AdapterRequest, message: FinalizeModel) -> Message:
    """Say what became of a model."""
    if message.status is None:
        raise missing_parameter("status")
    place = _place(request)
    status = next(own for own, wire in STATUSES.items() if wire is message.status)
    return _answer(_models(request).finish(place.project, place.model_id, ModelEnd(status=status)))


@endpoint("DELETE", "2:logged-models/{model_id}", Empty)
def delete(request: AdapterRequest, message: Empty) -> None:  # noqa: ARG001 - a handler's signature
    """Delete a model."""
    place = _place(request)
    _models(request).delete(place.project, place.model_id)


@endpoint(
    "POST", "2:logged-models/{model_id}/params", LogModelParams, errors={Conflict: INVALID_PARAMETER_VALUE}
)
def log_params(request: AdapterRequest, message: LogModelParams) -> None:
    """Add params to a model."""
    place = _place(request)
    given = ModelParams(params={param.key: param.value for param in message.params})
    _models(request).add_params(place.project, place.model_id, given)


@endpoint("PATCH", "2:logged-models/{model_id}/tags", SetModelTags)
def set_tags(request: AdapterRequest, message: SetModelTags) -> None:
    """Set tags of a model."""
    place = _place(request)
    given = ModelTags(tags={tag.key: tag.value for tag in message.tags})
    _models(request).set_tags(place.project, place.model_id, given)


@endpoint("DELETE", "2:logged-models/{model_id}/tags/{tag_key}", Empty)
def delete_tag(request: AdapterRequest, message: Empty) -> None:  # noqa: ARG001 - a handler's signature
    """Remove a tag of a model."""
    place = _place(request)
    _models(request).remove_tag(place.project, place.model_id, key=request.path["tag_key"])


@endpoint("POST", "2:logged-models/search", SearchModels)
def search(request: AdapterRequest, message: SearchModels) -> Message:
    """Search models of experiments."""
    if message.experiment_ids is None:
        raise missing_parameter("experiment_ids")
    for dataset in message.datasets:
        if not dataset.dataset_name:
            raise invalid("`dataset_name` in the `datasets` clause must be specified.")
    page = _models(request).search(
        ModelSearch(
            numbers=numbers_of(message.experiment_ids),
            filter=message.filter,
            datasets=[
                DatasetChoice(name=each.dataset_name, digest=each.dataset_digest) for each in message.datasets
            ],
            order_by=[
                ModelOrder(
                    field=each.field_name,
                    ascending=each.ascending,
                    dataset_name=each.dataset_name,
                    dataset_digest=each.dataset_digest,
                )
                for each in message.order_by
            ],
            limit=message.max_results or SearchModels().max_results,
            after=message.page_token or None,
        )
    )
    return ModelList(models=[wire_model(model) for model in page.items], next_page_token=page.next)


@endpoint("POST", "2:runs/outputs", LogOutputs, required=("run_id", "models"))
def log_outputs(request: AdapterRequest, message: LogOutputs) -> None:
    """Note which models a run made."""
    place = get_active_place(request, message.run_id)
    uses = [ModelUse(model=model.model_id, step=model.step or 0) for model in message.models or ()]
    _models(request).link(place.project, place.run_id, RunModels(outputs=uses))


@endpoint("POST", "2:runs/log-model", LogModel, required=("run_id", "model_json"))
def log_model(request: AdapterRequest, message: LogModel) -> None:
    """Note a model of MLflow 2 in the history that such clients read."""
    check_run_id(message.run_id)
    described = _described(message.model_json)
    history = _history(dict(load_row(request, message.run_id).tags).get(HISTORY_TAG))
    value = json.dumps([*history, described])
    check_length("value", value, MAX_TAG_CHARS)
    log(request, message.run_id, LogBatch(tags={HISTORY_TAG: value}))


def wire_model(model: LoggedModel) -> WireModel:
    """Give a logged model as MLflow's clients see it."""
    place = ModelPlace(
        model_id=model.id,
        project=model.project,
        experiment=model.experiment,
        experiment_number=model.experiment_number,
        artifact_location=model.artifact_location,
    )
    info = ModelInfo(
        experiment_id=str(model.experiment_number),
        model_id=model.id,
        name=model.name,
        artifact_uri=model_root(place),
        creation_timestamp_ms=millis(model.created_at),
        last_updated_timestamp_ms=millis(model.updated_at),
        model_type=model.model_type,
        source_run_id=model.source_run,
        status=STATUSES[model.status],
        status_message=model.status_message,
        tags=[KeyValue(key, value) for key, value in model.tags.items()],
    )
    data = ModelData(
        params=[KeyValue(key, value) for key, value in model.params.items()],
        metrics=[_metric(model.id, metric) for metric in model.metrics],
    )
    return WireModel(info=info, data=data)


def _metric(model_id: str, metric: ModelMetric) -> Metric:
    return Metric(
        key=metric.key,
        value=wire_metric(metric.value),
        timestamp=millis(metric.at),
        step=metric.step,
        dataset_name=metric.dataset_name or None,
        dataset_digest=metric.dataset_digest or None,
        model_id=model_id,
        run_id=metric.run,
    )


def _history(text: str | None) -> list[Any]:
    """Read the models that a run's tag tells of; whoever writes the tag may have written anything."""
    try:
        history = json.loads(text) if text else []
    except (ValueError, RecursionError):
        history = None
    if not isinstance(history, list):
        raise invalid(
            f"The tag '{HISTORY_TAG}' of the run is no list of models in JSON, so that no model can be added to it. "
            f"Delete the tag, and log the model again."
        )
    return history


def _described(text: str) -> dict[str, Any]:
    """Read the description of a model, and give what the history keeps of it."""
    try:
        model = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Malformed model info. \n {text} \n is not a valid JSON.") from error
    absent = set(_MANDATORY) - set(model if isinstance(model, dict) else ())
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    model.setdefault("model_uuid", uuid.uuid4().hex)
    flavors = model["flavors"] if isinstance(model["flavors"], dict) else {}
    kept: dict[str, Any] = {name: model[name] for name in _HISTORY_FIELDS}
    kept["flavors"] = {flavor: _without_config(config) for flavor, config in flavors.items()}
    return kept


def _without_config(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {name: value for name, value in config.items() if name != "config"}


def _models(request: AdapterRequest) -> LoggedModels:
    return request.context.guarded(LoggedModels)


def _place(request: AdapterRequest) -> ModelPlace:
    """Find the project of the model in the address, deleted or not."""
    try:
        return _models(request).locate(request.path["model_id"])
    except LoggedModelNotFound as error:
        raise missing(error.message) from error


def _found(request: AdapterRequest, place: ModelPlace, *, deleted: bool = False) -> LoggedModel:
    try:
        return _models(request).get(place.project, place.model_id, deleted=deleted)
    except LoggedModelNotFound as error:
        raise missing(error.message) from error


def _answer(model: LoggedModel) -> ModelAnswer:
    return ModelAnswer(model=wire_model(model))


ROUTES = endpoint.routes
