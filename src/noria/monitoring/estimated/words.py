"""An estimate of quality as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from noria.monitoring.estimated.entities import EstimatedMetric, EstimatedQuality, StandingEstimate
from noria.monitoring.tasks.words import forecast_parts, unsupervised_parts

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


def _figure(metric: EstimatedMetric) -> str:
    if metric.name == "mae":
        return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g}; held-out rows {metric.reference:.4g})"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}; held-out rows {metric.reference:.3f})"
