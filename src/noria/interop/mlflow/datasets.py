"""MLflow's endpoints of evaluation data sets."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.projects import DEFAULT_PROJECT, get_experiment
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.trace_access import experiment_numbers
from noria.interop.mlflow.wire import Endpoints, Int32, Message, encode
from noria.tracking.evaluation_datasets import EvaluationDatasetNotFound, EvaluationDatasets
from noria.tracking.evaluation_entities import (
    EvaluationDataset,
    EvaluationDatasetSearch,
    EvaluationExperiments,
    EvaluationRecord,
    EvaluationTags,
    NewEvaluationDataset,
    NewRecord,
    NewRecords,
    RecordIds,
    RecordSource,
    RecordSourceType,
)

ADDRESS: Final = "3:datasets/{dataset_id}"
MAX_FOUND: Final = 50_000
DEFAULT_FOUND: Final = 1_000

endpoint = Endpoints()


class CreateDataset(Message):
    """A set to make; the tags are a JSON text."""

    name: str = ""
    experiment_ids: list[str] = []
    tags: str = ""


class SearchDatasets(Message):
    """Which sets are wanted."""

    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: Int32 | None = None
    order_by: list[str] = []
    page_token: str = ""


class TagsMessage(Message):
    """Tags to set, as a JSON text."""

    tags: str = ""


class RecordsMessage(Message):
    """Records to keep, as a JSON text."""

    records: str = ""


class RecordsPage(Message):
    """Which records are wanted."""

    max_results: Int32 | None = None
    page_token: str = ""


class RecordsToDelete(Message):
    """Records that shall go."""

    dataset_record_ids: list[str] = []


class ExperimentsMessage(Message):
    """Experiments that use a set, or no longer do."""

    experiment_ids: list[str] = []


class DatasetMessage(Message):
    """A set."""

    dataset_id: str
    name: str
    tags: str
    digest: str
    created_time: int
    last_update_time: int
    schema: str | None = None
    profile: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    experiment_ids: list[str] = []


class DatasetAnswer(Message):
    """One set."""

    dataset: DatasetMessage


class DatasetsAnswer(Message):
    """Sets."""

    datasets: list[DatasetMessage] = []
    next_page_token: str | None = None


@endpoint("POST", "3:datasets/create", CreateDataset, required=("name",))
def create_dataset(request: AdapterRequest, message: CreateDataset) -> Message:
    """Make a set, in the project of the first of its experiments."""
    tags = _read_object(message.tags, "tags") if message.tags else {}
    project, numbers = DEFAULT_PROJECT, []
    for at, experiment_id in enumerate(message.experiment_ids):
        experiment = get_experiment(request, experiment_id)
        project = experiment.project if at == 0 else project
        numbers.append(experiment.number)
    new = NewEvaluationDataset(name=message.name, experiments=numbers, tags=_texts(tags))
    return _answer(request.context.guarded(EvaluationDatasets).create(project, new))


@endpoint("GET", ADDRESS, Empty)
def get_dataset(request: AdapterRequest, _: Empty) -> Message:
    """Give a set."""
    dataset_id = request.path["dataset_id"]
    project = _project(request, f"Evaluation dataset with id '{dataset_id}' not found")
    return _answer(request.context.guarded(EvaluationDatasets).get(project, dataset_id))


@endpoint("DELETE", ADDRESS, Empty)
def delete_dataset(request: AdapterRequest, _: Empty) -> None:
    """Delete a set; one that is not there is no error."""
    service = request.context.guarded(EvaluationDatasets)
    try:
        place = service.locate(request.path["dataset_id"])
    except EvaluationDatasetNotFound:
        return
    service.delete(place.project, place.id)


@endpoint("POST", "3:datasets/search", SearchDatasets)
@endpoint("GET", "3:datasets/search", SearchDatasets)
def search_datasets(request: AdapterRequest, message: SearchDatasets) -> Message:
    """Find sets."""
    limit = DEFAULT_FOUND if message.max_results is None else message.max_results
    if not 1 <= limit <= MAX_FOUND:
        bound = "a positive integer" if limit < 1 else f"at most {MAX_FOUND}"
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. It must be {bound}")
    wanted = EvaluationDatasetSearch(
        experiments=experiment_numbers(message.experiment_ids) if message.experiment_ids else None,
        filter=message.filter_string,
        order_by=message.order_by,
        limit=limit,
        after=message.page_token or None,
    )
    page = request.context.guarded(EvaluationDatasets).search(wanted)
    return DatasetsAnswer(datasets=[_message(each) for each in page.items], next_page_token=page.next)


@endpoint("PATCH", f"{ADDRESS}/tags", TagsMessage, required=("tags",))
def set_dataset_tags(request: AdapterRequest, message: TagsMessage) -> Message:
    """Set tags of a set; null leaves one as it is."""
    dataset_id = request.path["dataset_id"]
    project = _project(request, f"Could not find evaluation dataset with ID {dataset_id}")
    tags = {key: value for key, value in _read_object(message.tags, "tags").items() if value is not None}
    changed = EvaluationTags(tags=dict(_texts(tags)))
    return _answer(request.context.guarded(EvaluationDatasets).set_tags(project, dataset_id, changed))


@endpoint("DELETE", f"{ADDRESS}/tags/{{key}}", Empty)
def delete_dataset_tag(request: AdapterRequest, _: Empty) -> None:
    """Remove a tag of a set; one that is not there is no error."""
    service = request.context.guarded(EvaluationDatasets)
    try:
        place = service.locate(request.path["dataset_id"])
    except EvaluationDatasetNotFound:
        return
    service.set_tags(place.project, place.id, EvaluationTags(tags={request.path["key"]: None}))


@endpoint("POST", f"{ADDRESS}/records", RecordsMessage, required=("records",))
def keep_records(request: AdapterRequest, message: RecordsMessage) -> bytes:
    """Keep records of a set."""
    project = _project(request)
    records = _read_json(message.records, "records")
    if not isinstance(records, list):
        raise invalid("The records must be a list of JSON objects.")
    new = NewRecords(records=[new_record(each) for each in records])
    kept = request.context.guarded(EvaluationDatasets).keep_records(project, request.path["dataset_id"], new)
    return encode({"inserted_count": kept.n_inserted, "updated_count": kept.n_updated})


@endpoint("GET", f"{ADDRESS}/records", RecordsPage)
def get_records(request: AdapterRequest, message: RecordsPage) -> bytes:
    """Give records of a set, as a JSON text."""
    dataset_id = request.path["dataset_id"]
    page = request.context.guarded(EvaluationDatasets).records(
        _project(request),
        dataset_id,
        limit=message.max_results or DEFAULT_FOUND,
        after=message.page_token or None,
    )
    text = json.dumps([_record(dataset_id, each) for each in page.items])
    token = {} if page.next is None else {"next_page_token": page.next}
    return encode({"records": text, **token})


@endpoint("DELETE", f"{ADDRESS}/records", RecordsToDelete)
def delete_records(request: AdapterRequest, message: RecordsToDelete) -> bytes:
    """Delete records of a set."""
    wanted = RecordIds(ids=message.dataset_record_ids)
    done = request.context.guarded(EvaluationDatasets).delete_records(
        _project(request), request.path["dataset_id"], wanted
    )
    return encode({"deleted_count": done.n_records})


@endpoint("GET", f"{ADDRESS}/experiment-ids", Empty)
def get_experiment_ids(request: AdapterRequest, _: Empty) -> bytes:
    """Give the experiments that use a set; none for a set that is not there."""
    service = request.context.guarded(EvaluationDatasets)
    try:
        place = service.locate(request.path["dataset_id"])
    except EvaluationDatasetNotFound:
        return encode({})
    numbers = service.get(place.project, place.id).experiments
    return encode({"experiment_ids": list(map(str, numbers))} if numbers else {})


@endpoint("POST", f"{ADDRESS}/add-experiments", ExperimentsMessage)
def add_experiments(request: AdapterRequest, message: ExperimentsMessage) -> Message:
    """Let experiments use a set."""
    project = _project(request)
    numbers = [get_experiment(request, each).number for each in message.experiment_ids]
    changed = EvaluationExperiments(add=numbers)
    dataset_id = request.path["dataset_id"]
    return _answer(request.context.guarded(EvaluationDatasets).set_experiments(project, dataset_id, changed))


@endpoint("POST", f"{ADDRESS}/remove-experiments", ExperimentsMessage)
def remove_experiments(request: AdapterRequest, message: ExperimentsMessage) -> Message:
    """Let experiments no longer use a set."""
    project = _project(request)
    changed = EvaluationExperiments(remove=experiment_numbers(message.experiment_ids))
    dataset_id = request.path["dataset_id"]
    return _answer(request.context.guarded(EvaluationDatasets).set_experiments(project, dataset_id, changed))


def _project(request: AdapterRequest, otherwise: str | None = None) -> str:
    dataset_id = request.path["dataset_id"]
    try:
        return request.context.guarded(EvaluationDatasets).locate(dataset_id).project
    except NotFound as error:
        raise missing(otherwise or f"Dataset '{dataset_id}' not found") from error


def _answer(found: EvaluationDataset) -> DatasetAnswer:
    return DatasetAnswer(dataset=_message(found))


def _message(found: EvaluationDataset) -> DatasetMessage:
    return DatasetMessage(
        dataset_id=found.id,
        name=found.name,
        tags=json.dumps(found.tags),
        digest=found.digest,
        created_time=millis(found.created_at),
        last_update_time=millis(found.updated_at),
        schema=found.schema,
        profile=json.dumps({"num_records": found.n_records}) if found.n_records else None,
        created_by=found.created_by,
        last_updated_by=found.updated_by,
        experiment_ids=list(map(str, found.experiments)),
    )


def new_record(sent: Any) -> NewRecord:
    """Read a record as MLflow's clients send it.

    Raises
    ------
    MlflowError
        If it cannot be one.
    """
    if not isinstance(sent, dict):
        raise invalid("Each record must be a dictionary")
    source = sent.get("source")
    try:
        return NewRecord(
            inputs=msgspec.convert(sent.get("inputs", {}), dict[str, Any]),
            outputs=sent.get("outputs", msgspec.UNSET),
            expectations=msgspec.convert(sent.get("expectations"), dict[str, Any] | None),
            tags=None if sent.get("tags") is None else _texts(msgspec.convert(sent["tags"], dict[str, Any])),
            source=None if not source else _source(msgspec.convert(source, dict[str, Any])),
        )
    except msgspec.ValidationError as error:
        raise invalid(f"A record cannot be read: {error}") from error


def _source(sent: dict[str, Any]) -> RecordSource:
    kind = str(sent.get("source_type", "")).upper()
    if kind not in RecordSourceType.__members__:
        known = [each.value for each in RecordSourceType]
        raise invalid(f"Invalid dataset record source type: {kind}. Valid source types: {known}")
    data = msgspec.convert(sent.get("source_data") or {}, dict[str, Any])
    return RecordSource(source_type=RecordSourceType(kind), source_data=data)


def _record(dataset_id: str, found: EvaluationRecord) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "expectations": found.expectations,
        "outputs": found.outputs,
        "created_by": found.created_by,
        "last_updated_by": found.updated_by,
    }
    if found.source is not None:
        data = found.source.source_data
        optional["source"] = msgspec.to_builtins(found.source)
        optional["source_type"] = found.source.source_type.value
        optional["source_id"] = data.get(
            "trace_id" if found.source.source_type is RecordSourceType.TRACE else "source_id"
        )
    return {
        "dataset_record_id": found.id,
        "dataset_id": dataset_id,
        "inputs": found.inputs,
        "tags": found.tags,
        "created_time": millis(found.created_at),
        "last_update_time": millis(found.updated_at),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value) for key, value in values.items()}


def _read_object(text: str, path: str) -> dict[str, Any]:
    found = _read_json(text, path)
    if not isinstance(found, dict):
        raise invalid(f"The {path} must be a JSON object.")
    return found


def _read_json(text: str, path: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MlflowError("INVALID_PARAMETER_VALUE", f"The {path} are no JSON: {error}") from error


ROUTES = endpoint.routes
