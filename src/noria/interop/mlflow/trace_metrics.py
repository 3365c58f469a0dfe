"""MLflow's endpoints of statistics over traces."""

from __future__ import annotations

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.times import instant
from noria.interop.mlflow.trace_access import experiment_numbers
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message, WireEnum, encode
from noria.tracking.traces.service import Traces
from noria.tracking.traces.statistic_entities import (
    Aggregate,
    Aggregation,
    CorrelationQuery,
    Statistic,
    StatisticQuery,
    View,
)

MAX_POINTS = 1_000
MAX_INTERVAL_S = 1 << 31

endpoint = Endpoints()


class ViewType(WireEnum):
    """What is counted and measured."""

    TRACES = "TRACES", 1
    SPANS = "SPANS", 2
    ASSESSMENTS = "ASSESSMENTS", 3


class AggregationType(WireEnum):
    """How many values become one."""

    COUNT = "COUNT", 1
    SUM = "SUM", 2
    AVG = "AVG", 3
    PERCENTILE = "PERCENTILE", 4
    MIN = "MIN", 5
    MAX = "MAX", 6


class AggregationMessage(Message):
    """One figure that is wanted."""

    aggregation_type: AggregationType = AggregationType.COUNT
    percentile_value: float | None = None


class QueryMetrics(Message):
    """Asks for figures in groups."""

    experiment_ids: list[str] | None = None
    view_type: ViewType | None = None
    metric_name: str = ""
    aggregations: list[AggregationMessage] | None = None
    dimensions: list[str] = []
    filters: list[str] = []
    time_interval_seconds: Int64 | None = None
    start_time_ms: Int64 | None = None
    end_time_ms: Int64 | None = None
    max_results: Int32 | None = None
    page_token: str = ""


class DataPoint(Message):
    """Figures on one group."""

    metric_name: str
    dimensions: dict[str, str] = {}
    values: dict[str, float] = {}


class Metrics(Message):
    """Figures in groups."""

    data_points: list[DataPoint] = []


class QueryCorrelation(Message):
    """Asks how often two filters find the same traces."""

    experiment_ids: list[str] | None = None
    filter_string1: str = ""
    filter_string2: str = ""
    base_filter: str = ""


@endpoint(
    "POST",
    "3:traces/metrics",
    QueryMetrics,
    required=("experiment_ids", "view_type", "metric_name", "aggregations"),
)
def query_metrics(request: AdapterRequest, message: QueryMetrics) -> Message:
    """Compute figures on traces, spans or assessments."""
    points = request.context.guarded(Traces).statistics(_query(message)).items
    return Metrics(data_points=[_point(message.metric_name, point) for point in points])


@endpoint(
    "POST",
    "3:traces/calculate-filter-correlation",
    QueryCorrelation,
    required=("experiment_ids", "filter_string1", "filter_string2"),
)
def calculate_filter_correlation(request: AdapterRequest, message: QueryCorrelation) -> bytes:
    """Tell how often two filters find the same traces."""
    wanted = CorrelationQuery(
        experiments=experiment_numbers(message.experiment_ids or []),
        first=message.filter_string1,
        second=message.filter_string2,
        base=message.base_filter,
    )
    found = request.context.guarded(Traces).correlation(wanted)
    figures = {"npmi": found.npmi, "npmi_smoothed": found.npmi_smoothed}
    counts = {
        "filter1_count": found.n_first,
        "filter2_count": found.n_second,
        "joint_count": found.n_both,
        "total_count": found.n_all,
    }
    return encode({**{name: value for name, value in figures.items() if value is not None}, **counts})


def _query(message: QueryMetrics) -> StatisticQuery:
    interval_s = message.time_interval_seconds or None
    if interval_s is not None and not 0 < interval_s <= MAX_INTERVAL_S:
        raise invalid(f"Invalid value {interval_s} for parameter 'time_interval_seconds' supplied.")
    return StatisticQuery(
        experiments=experiment_numbers(message.experiment_ids or []),
        view=View((message.view_type or ViewType.TRACES).value),
        metric=message.metric_name,
        aggregates=[_aggregate(each) for each in message.aggregations or ()],
        dimensions=message.dimensions,
        filters=message.filters,
        interval_s=interval_s,
        started_from=None
        if message.start_time_ms is None
        else instant(message.start_time_ms, "start_time_ms"),
        started_to=None if message.end_time_ms is None else instant(message.end_time_ms, "end_time_ms"),
        limit=max(1, min(message.max_results or MAX_POINTS, MAX_POINTS)),
    )


def _aggregate(message: AggregationMessage) -> Aggregate:
    percentile = message.percentile_value
    if percentile is not None and not 0 <= percentile <= 100:
        raise invalid(f"Percentile value must be between 0 and 100, got {percentile}")
    return Aggregate(aggregation=Aggregation(message.aggregation_type.value), percentile=percentile)


def _point(metric: str, found: Statistic) -> DataPoint:
    time = {} if found.bucket is None else {"time_bucket": found.bucket.isoformat()}
    return DataPoint(metric_name=metric, dimensions={**time, **found.dimensions}, values=found.values)


ROUTES = endpoint.routes
