"""MLflow's endpoints of metrics: points one at a time, and histories whole, in pages, in bulk and sampled."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import AdapterAnswer, AdapterRequest
from noria.core.errors import NoriaError, NotFound
from noria.interop.mlflow.decoding import SEE_DOCS, invalid_parameter
from noria.interop.mlflow.errors import invalid, refuse
from noria.interop.mlflow.histories import at_steps, by_time, offset_of, token_of, wire_points
from noria.interop.mlflow.messages import Metric
from noria.interop.mlflow.points import gather
from noria.interop.mlflow.projects import log
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message, encode
from noria.tracking.entities import LogBatch
from noria.tracking.point_entities import PointColumns
from noria.tracking.service import Runs

MAX_BULK_RUNS: Final = 100
MAX_BULK_POINTS: Final = 25_000
MAX_SAMPLED_POINTS: Final = 2_500

endpoint = Endpoints()


class LogMetric(Message):
    """A point to write."""

    run_id: str = ""
    run_uuid: str = ""
    key: str = ""
    value: float | str | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class GetHistory(Message):
    """Which history, and which page of it."""

    run_id: str = ""
    run_uuid: str = ""
    metric_key: str = ""
    page_token: str = ""
    max_results: Int32 | None = None


class History(Message):
    """Points in the order of time, then step, then value."""

    metrics: list[Metric] = []
    next_page_token: str | None = None


class GetSampled(Message):
    """Which histories, between which steps, and how many points of each."""

    run_ids: list[str] | None = None
    metric_key: str = ""
    start_step: Int32 | None = None
    end_step: Int32 | None = None
    max_results: Int32 | None = None


class Sampled(Message):
    """Points of several runs."""

    metrics: list[Metric] = []


class Bulk(Message, omit_defaults=False):
    """Points of several runs; an empty list is there too."""

    metrics: list[Metric] = []


@endpoint("POST", "2:runs/log-metric", LogMetric, required=("run_id", "key", "value", "timestamp"))
def log_metric(request: AdapterRequest, message: LogMetric) -> None:
    """Write one point."""
    point = Metric(
        key=message.key,
        value=message.value,
        timestamp=message.timestamp,
        step=message.step,
        dataset_name=message.dataset_name,
        dataset_digest=message.dataset_digest,
        model_id=message.model_id,
    )
    logged = gather([point], "")
    log(request, message.run_id, LogBatch(points=logged.points, model_points=logged.model_points))


@endpoint("GET", "2:metrics/get-history", GetHistory, required=("run_id", "metric_key"))
def read_history(request: AdapterRequest, message: GetHistory) -> History:
    """Give the points of a metric: all of them, or a page. A run that does not exist has none."""
    limit = message.max_results
    if limit is not None and limit <= 0:
        raise invalid(
            f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer."
        )
    begin = offset_of(message.page_token)
    points = by_time(_history(request, message.run_id, message.metric_key))
    end = len(points) if limit is None else begin + limit
    return History(
        metrics=wire_points(message.metric_key, points[begin:end]),
        next_page_token=token_of(end) if end < len(points) else None,
    )


@endpoint("GET", "2:metrics/get-history-bulk-interval", GetSampled, required=("run_ids", "metric_key"))
def read_sampled(request: AdapterRequest, message: GetSampled) -> Sampled:
    """Give points of a metric of several runs, evenly chosen, the first and the last among them."""
    run_ids = message.run_ids or []
    if len(run_ids) > MAX_BULK_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MAX_BULK_RUNS} run_ids."
            f" Received {len(run_ids)} run_ids.{SEE_DOCS}"
        )
    limit = MAX_SAMPLED_POINTS if message.max_results is None else message.max_results
    if not 1 <= limit <= MAX_SAMPLED_POINTS:
        raise invalid(f"max_results must be between 1 and {MAX_SAMPLED_POINTS}.{SEE_DOCS}")
    first, last = message.start_step, message.end_step
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is not None and last is not None and first > last:
        raise invalid(
            f"end_step must be greater than start_step. Found start_step={first} and end_step={last}."
        )
    key = message.metric_key
    found: list[Metric] = []
    for run_id in run_ids:
        points = at_steps(_history(request, run_id, key), first, last, limit)
        found += wire_points(key, points, run_id)
    return Sampled(metrics=found)


def read_bulk(request: AdapterRequest) -> AdapterAnswer:
    """Give the histories of a metric of several runs one after another, in the order of their ids."""
    try:
        return AdapterAnswer(body=encode(_bulk(request)))
    except NoriaError as error:
        return refuse(error)


def _bulk(request: AdapterRequest) -> Bulk:
    run_ids = request.query.get("run_id", [])
    if not run_ids:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > MAX_BULK_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MAX_BULK_RUNS} run_ids."
            f" Received {len(run_ids)} run_ids."
        )
    key = request.query.get("metric_key", [None])[0]
    if key is None:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    limit = _bulk_limit(request.query.get("max_results", [str(MAX_BULK_POINTS)])[0])
    points: list[Metric] = []
    for run_id in sorted(set(run_ids)):
        history = by_time(_history(request, run_id, key))[: limit - len(points)]
        points += wire_points(key, history, run_id)
    return Bulk(metrics=points)


def _bulk_limit(text: str) -> int:
    try:
        return max(0, min(int(text), MAX_BULK_POINTS))
    except ValueError as error:
        raise invalid_parameter("max_results", text) from error


endpoint.add("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", read_bulk)


def _history(request: AdapterRequest, run_id: str, key: str) -> PointColumns:
    """Read the history of a metric; one that is not there, of a run that may not be there, is empty."""
    runs = request.context.guarded(Runs)
    try:
        place = runs.locate(run_id)
        return runs.points(place.project, run_id, key=key).points
    except NotFound:
        return _NO_POINTS


_NO_POINTS: Final = PointColumns(steps=[], at=[], values=[])

ROUTES = endpoint.routes
