"""MLflow's endpoints of what runs read: data sets, and logged models."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.messages import DatasetInput, ModelInput
from noria.interop.mlflow.projects import load_row, log, numbers_of
from noria.interop.mlflow.validation import check_length, check_run_id
from noria.interop.mlflow.wire import Endpoints, Message
from noria.tracking import entities
from noria.tracking.entities import LogBatch
from noria.tracking.experiments import Experiments
from noria.tracking.limits import MAX_ENTRIES
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelUse, RunModels

LIMITS: Final = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
"""Characters of the texts that describe a data set."""

MAX_TAG_KEY_CHARS: Final = 255
MAX_TAG_VALUE_CHARS: Final = 500
MAX_EXPERIMENTS: Final = 20
MAX_SUMMARIES: Final = 1_000

endpoint = Endpoints()


class LogInputs(Message):
    """Data sets and logged models that a run read."""

    run_id: str = ""
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class SearchDatasets(Message):
    """Experiments whose data sets are asked for."""

    experiment_ids: list[str] = []


class DatasetSummary(Message):
    """A data set of an experiment, and one of the purposes that it was used for."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class DatasetSummaries(Message):
    """Data sets of experiments."""

    dataset_summaries: list[DatasetSummary] = []


@endpoint("POST", "2:runs/log-inputs", LogInputs, required=("run_id",))
def log_inputs(request: AdapterRequest, message: LogInputs) -> None:
    """Note what a run read. A data set is one of its experiment by name and digest, and noted once for a run."""
    check_run_id(message.run_id)
    datasets: dict[tuple[str, str], entities.Dataset] = {}
    for given in message.datasets:
        dataset = _dataset(given)
        datasets.setdefault((dataset.name, dataset.digest), dataset)
    row = load_row(request, message.run_id)
    known = {(each.name, each.digest) for each in row.datasets}
    new = [dataset for key, dataset in datasets.items() if key not in known]
    for at in range(0, max(len(new), 1), MAX_ENTRIES):
        log(request, message.run_id, LogBatch(datasets=new[at : at + MAX_ENTRIES]))
    if message.models:
        uses = RunModels(inputs=[ModelUse(model=model.model_id) for model in message.models])
        request.context.guarded(LoggedModels).link(row.place.project, message.run_id, uses)


def search_datasets(request: AdapterRequest, message: SearchDatasets) -> DatasetSummaries:
    """List the data sets of experiments; one that the caller may not read has none."""
    numbers = message.experiment_ids
    if not numbers:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(numbers) > MAX_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {MAX_EXPERIMENTS} experiment_ids."
            f" Received {len(numbers)} experiment_ids."
        )
    found: list[DatasetSummary] = []
    for number in dict.fromkeys(numbers_of(numbers)):
        found += _summaries(request, number)
    return DatasetSummaries(dataset_summaries=found[:MAX_SUMMARIES])


def _summaries(request: AdapterRequest, number: int) -> list[DatasetSummary]:
    service = request.context.guarded(Experiments)
    try:
        experiment = service.by_number(number)
    except NotFound:
        return []
    return [
        DatasetSummary(str(experiment.number), use.name, use.digest, use.context)
        for use in service.datasets(experiment.project, experiment.name, limit=MAX_SUMMARIES).items
    ]


endpoint("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", SearchDatasets)(search_datasets)


def _dataset(given: DatasetInput) -> entities.Dataset:
    described = given.dataset
    if described is None:
        raise invalid("Dataset cannot be None")
    if not described.name or not described.digest:
        raise invalid(f"Dataset {'digest' if described.name else 'name'} cannot be None")
    for name, limit in LIMITS.items():
        check_length(name, getattr(described, name) or "", limit)
    for tag in given.tags:
        check_length("key", tag.key, MAX_TAG_KEY_CHARS)
        check_length("value", tag.value, MAX_TAG_VALUE_CHARS)
    return entities.Dataset(
        name=described.name,
        digest=described.digest,
        source_type=described.source_type or "",
        source=described.source or "",
        schema=described.schema,
        profile=described.profile,
        tags={tag.key: tag.value for tag in given.tags},
    )


ROUTES = endpoint.routes
