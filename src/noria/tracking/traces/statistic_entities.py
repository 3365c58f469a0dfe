"""Statistics over traces, spans and assessments: what is asked, and what comes out."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.serialisation import Instant


class View(enum.StrEnum):
    """What is counted and measured."""

    TRACES = "TRACES"
    SPANS = "SPANS"
    ASSESSMENTS = "ASSESSMENTS"


class Aggregation(enum.StrEnum):
    """How many values become one."""

    COUNT = "COUNT"
    SUM = "SUM"
    AVG = "AVG"
    PERCENTILE = "PERCENTILE"
    MIN = "MIN"
    MAX = "MAX"


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure that is wanted.

    Attributes
    ----------
    percentile
        From 0 to 100; given for percentiles only, which lie between the two nearest values.
    """

    aggregation: Aggregation
    percentile: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None

    @property
    def label(self) -> str:
        """Name of the figure in the answer: `AVG`, `P95.0`."""
        return self.aggregation.value if self.percentile is None else f"P{float(self.percentile)}"


class StatisticQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures on a metric, in groups.

    Attributes
    ----------
    experiments
        Numbers; those that the caller may not read hold nothing.
    metric
        `trace_count`, `latency`, `total_tokens`, `span_count`, `total_cost`, `assessment_value`, …
    dimensions
        What the groups have in common: `trace_name`, `span_type`, `assessment_name`, …
    filters
        `trace.status = 'OK'`, `trace.tag.env = 'prod'`, `span.type = 'LLM'`, `assessment.name = 'correct'`: all hold.
    interval_s
        Groups by time too, each so many seconds long; the beginning and end of all are given then.
    """

    experiments: list[int]
    view: View
    metric: str
    aggregates: list[Aggregate]
    dimensions: list[str] = []
    filters: list[str] = []
    interval_s: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] | None = None
    started_from: Instant | None = None
    started_to: Instant | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """Figures on one group.

    Attributes
    ----------
    bucket
        Beginning of its interval, when groups are by time.
    dimensions
        What its members have in common.
    values
        By label of the aggregate.
    """

    dimensions: dict[str, str]
    values: dict[str, float]
    bucket: datetime | None = None


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Groups in the order of time, then of their dimensions."""

    items: list[Statistic]


class CorrelationQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two filters, and perhaps a third that says among which traces they are compared."""

    experiments: list[int]
    first: str
    second: str
    base: str = ""


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """How often two filters find the same traces.

    Attributes
    ----------
    npmi
        Normalised pointwise mutual information, from -1 (never both) over 0 (independent) to 1 (always both); None
        where a filter finds nothing. Bouma, "Normalized (pointwise) mutual information in collocation extraction",
        2009.
    npmi_smoothed
        The same with half a trace more in each cell of the table (Jeffreys' prior), which is steadier for few traces.
    """

    npmi: float | None
    npmi_smoothed: float | None
    n_first: int
    n_second: int
    n_both: int
    n_all: int
