"""An estimate of quality as text on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from noria.core.console.output import facts, table
from noria.monitoring.estimated.entities import (
    ASSUMPTION,
    EstimatedMetric,
    EstimatedQuality,
    EstimateHistory,
    EstimatePoint,
    LabelledMetric,
    StandingEstimate,
)
from noria.monitoring.tasks.words import forecast_parts, unsupervised_parts
from noria.tracking.sparkline import sparkline

_TIME: Final = "%Y-%m-%d %H:%M"
METHODS: Final = {"cbpe": "CBPE", "dle": "direct loss estimation"}


def estimate_facts(found: EstimatedQuality) -> list[tuple[str, str]]:
    """Give an estimate as names and values, what it supposes among them."""
    method = METHODS[found.method]
    calibrated = f", {found.calibration} calibration" if found.calibration else ""
    return [
        *((f"estimated {metric.name}", _figure(metric)) for metric in found.metrics),
        (
            "estimated by",
            f"{method}{calibrated}, learnt on {found.reference_n} held-out rows, of {found.n_rows} answers",
        ),
        ("supposes", found.assumption),
    ]


def standing_facts(found: StandingEstimate | None) -> list[tuple[str, str | None]]:
    """Give the newest estimate of an endpoint as names and values; why there is none where that is known."""
    if found is None:
        return [("estimated quality", None)]
    if found.estimated is None:
        return [("estimated quality", found.why)]
    return [
        *estimate_facts(found.estimated),
        (
            "answers of",
            f"version {found.version}, {found.first_at:{_TIME}} to {found.last_at:{_TIME}} UTC",
        ),
    ]


def standing_parts(found: StandingEstimate | None) -> Iterator[Any]:
    """Lay out what is told of a version that forecasts, or has no target."""
    if found is not None and found.forecast is not None:
        yield from forecast_parts(found.forecast)
    if found is not None and found.unsupervised is not None:
        yield from unsupervised_parts(found.unsupervised)


def past_parts(found: EstimateHistory) -> Iterator[Any]:
    """Lay out past estimates: a line of each metric over time, oldest first, and a table, newest first."""
    names = list(dict.fromkeys(metric.name for point in found.items for metric in point.metrics))
    oldest_first = found.items[::-1]
    if not names:
        yield "There are no estimates yet; one is made whenever 200 answers came"
        return
    yield facts(
        [
            *((f"estimated {name}", sparkline(_values(oldest_first, name))) for name in names),
            *((f"labelled {name}", sparkline(_measured(oldest_first, name))) for name in names),
            ("supposes", ASSUMPTION),
        ]
    )
    columns = ["last answer", "version", "answers", *names, "labels", *(f"labelled {name}" for name in names)]
    yield table(columns, [_point_row(point, names) for point in found.items])


def _point_row(point: EstimatePoint, names: list[str]) -> tuple[object, ...]:
    estimated = {metric.name: metric for metric in point.metrics}
    told = {metric.name: metric for metric in point.labelled.metrics} if point.labelled else {}
    return (
        point.last_at,
        point.version,
        point.n_rows,
        *(_with_ends(estimated.get(name)) for name in names),
        point.labelled.n_labels if point.labelled else None,
        *(_with_ends(told.get(name)) for name in names),
    )


def _values(points: list[EstimatePoint], name: str) -> list[float]:
    return [next((m.value for m in point.metrics if m.name == name), math.nan) for point in points]


def _measured(points: list[EstimatePoint], name: str) -> list[float]:
    told = [point.labelled.metrics if point.labelled else [] for point in points]
    return [next((m.value for m in metrics if m.name == name), math.nan) for metrics in told]


def _with_ends(metric: EstimatedMetric | LabelledMetric | None) -> str | None:
    if metric is None:
        return None
    form = ".4g" if metric.name == "mae" else ".3f"
    if metric.low is None or metric.high is None:
        return f"{metric.value:{form}}"
    return f"{metric.value:{form}} ({metric.low:{form}} to {metric.high:{form}})"


def _figure(metric: EstimatedMetric) -> str:
    if metric.name == "mae":
        return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g}; held-out rows {metric.reference:.4g})"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}; held-out rows {metric.reference:.3f})"
