"""An estimate of quality as text on a terminal."""

from __future__ import annotations

from typing import Final

from noria.monitoring.estimated.entities import EstimatedMetric, EstimatedQuality

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


def _figure(metric: EstimatedMetric) -> str:
    if metric.name == "mae":
        return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g}; held-out rows {metric.reference:.4g})"
    return f"{metric.value:.3f} ({metric.low:.3f} to {metric.high:.3f}; held-out rows {metric.reference:.3f})"
