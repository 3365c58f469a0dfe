"""What only MLflow's page asks for: GraphQL reads, which are the endpoints of the REST API under other names.

The schema stands in `page.graphql`; resolvers call the handlers of the REST endpoints, so there is nothing to read here
that those would not give. The GraphQL library is loaded at the first request.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from noria.core.adapters import AdapterAnswer, AdapterRequest
from noria.interop.mlflow import (
    artifacts,
    experiments,
    inputs,
    messages,
    metrics,
    model_versions,
    runs,
    search,
)
from noria.interop.mlflow.decoding import Decoder, number_of_text
from noria.interop.mlflow.query_limits import fault_of_query
from noria.interop.mlflow.wire import MAX_DOUBLE, Endpoints, Message, encode

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo, GraphQLSchema

M = TypeVar("M", bound=Message)
Fields = Mapping[str, Any]
Resolver = Callable[[AdapterRequest, Fields], object]

endpoint = Endpoints()


class Query(Message):
    """A GraphQL request."""

    query: str = ""
    variables: dict[str, Any] = {}
    operationName: str | None = None  # noqa: N815 - GraphQL's own name


class Result(Message, omit_defaults=False):
    """What was found, and what went wrong."""

    data: dict[str, Any] | None = None
    errors: list[str] | None = None


class Echo(Message):
    """What somebody said."""

    output: str


def answer_query(request: AdapterRequest, message: Query) -> Result:
    """Answer a GraphQL request."""
    from graphql import GraphQLError, execute_sync, parse, validate

    try:
        document = parse(message.query)
    except GraphQLError as error:
        return Result(errors=[error.message])
    fault = fault_of_query(document)
    if fault is not None:
        return Result(errors=[fault])
    faults = validate(schema(), document)
    if faults:
        return Result(errors=[each.message for each in faults])
    found = execute_sync(
        schema(),
        document,
        context_value=request,
        variable_values=message.variables,
        operation_name=message.operationName,
        field_resolver=resolve,
    )
    return Result(data=found.data, errors=[each.message for each in found.errors or ()] or None)


for _method in ("GET", "POST"):
    endpoint(_method, "/graphql", Query)(answer_query)


class Telemetry(Message, omit_defaults=False):
    """Whether the page may tell others how it is used: it may not."""

    disable_ui_telemetry: bool = True
    disable_ui_events: list[str] = []
    ui_rollout_percentage: int = 0


class TelemetryIgnored(Message, omit_defaults=False):
    """What becomes of what the page tells all the same."""

    status: str = "disabled"


def telemetry(request: AdapterRequest) -> AdapterAnswer:
    """Tell the page not to report on its users, and drop what it reports."""
    return AdapterAnswer(body=encode(Telemetry() if request.method == "GET" else TelemetryIgnored()))


for _method in ("GET", "POST"):
    endpoint.add(_method, "/ajax-api/3.0/mlflow/ui-telemetry", telemetry)


@functools.cache
def schema() -> GraphQLSchema:
    """Give the schema, read once."""
    from graphql import build_schema

    return build_schema(files(__package__).joinpath("page.graphql").read_text(encoding="utf-8"))


def resolve(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Give a field: of the query by its handler, of a message by its attribute."""
    name = _snake(info.field_name)
    if source is None:
        return _ROOTS[name](info.context, arguments)
    if isinstance(source, messages.Run) and name in _OF_RUNS:
        return _OF_RUNS[name](info.context, source)
    return _shown(getattr(source, name, None), str(info.return_type))


def _shown(value: Any, kind: str) -> Any:
    """Give a value as GraphQL has it: what is absent is empty, as in protocol buffers, and no double is infinite."""
    if value is None:
        return [] if kind.startswith("[") else _EMPTY.get(kind)
    if kind == "LongString":
        return str(value)
    if kind == "Float" and isinstance(value, str):
        number = number_of_text(value) or math.nan
        return None if math.isnan(number) else math.copysign(MAX_DOUBLE, number)
    return value


_EMPTY: Final[Mapping[str, Any]] = {"String": "", "LongString": "0", "Boolean": False, "Float": 0.0, "Int": 0}


def _rest(handler: Callable[[AdapterRequest, M], Any], message: type[M]) -> Resolver:
    """Make a resolver of the handler of a REST endpoint."""
    decoder = Decoder(message)

    def call(request: AdapterRequest, arguments: Fields) -> object:
        given = arguments.get("input") or {}
        return handler(request, decoder.read_fields({_snake(name): value for name, value in given.items()}))

    return call


def _echo(request: AdapterRequest, arguments: Fields) -> Echo:  # noqa: ARG001 - a resolver's signature
    return Echo(output=arguments.get("inputString") or "")


class RunsRead(Message):
    """Runs that were found, each read from its text."""

    runs: list[messages.Run] = []
    next_page_token: str | None = None


def _search_runs(request: AdapterRequest, arguments: Fields) -> RunsRead:
    """Search runs, whose answer is text already, for a page that asks for some fields only."""
    found = _rest(search.search_runs, search.SearchRuns)(request, arguments)
    return msgspec.json.decode(encode(found), type=RunsRead)


_ROOTS: Final[Mapping[str, Resolver]] = {
    "test": _echo,
    "test_mutation": _echo,
    "mlflow_get_experiment": _rest(experiments.read_experiment, experiments.ExperimentById),
    "mlflow_get_metric_history_bulk_interval": _rest(metrics.read_sampled, metrics.GetSampled),
    "mlflow_get_run": _rest(runs.read_run, runs.GetRun),
    "mlflow_list_artifacts": _rest(artifacts.list_of_run, artifacts.ListArtifacts),
    "mlflow_search_datasets": _rest(inputs.search_datasets, inputs.SearchDatasets),
    "mlflow_search_model_versions": _rest(model_versions.search, model_versions.SearchVersions),
    "mlflow_search_runs": _search_runs,
}


def _experiment_of(request: AdapterRequest, run: messages.Run) -> messages.Experiment:
    asked = experiments.ExperimentById(experiment_id=run.info.experiment_id)
    return experiments.read_experiment(request, asked).experiment


def _versions_of(request: AdapterRequest, run: messages.Run) -> object:
    asked = model_versions.SearchVersions(filter=f"run_id='{run.info.run_id}'")
    return model_versions.search(request, asked).model_versions


_OF_RUNS: Final[Mapping[str, Callable[[AdapterRequest, messages.Run], object]]] = {
    "experiment": _experiment_of,
    "model_versions": _versions_of,
}


@functools.cache
def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


ROUTES = endpoint.routes
