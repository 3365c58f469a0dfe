"""Points of metrics as MLflow's clients send them, made into the columns that the store takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from noria.core.database.schema import from_micros
from noria.interop.mlflow.decoding import invalid_parameter, invalid_value, number_of_text
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.messages import Metric
from noria.interop.mlflow.validation import MAX_KEY_CHARS, check_length, fault_of_key, joined
from noria.tracking.point_entities import ModelPoint, PointColumns

_MAX_MS: Final = ((1 << 63) - 1) // 1000
"""The last millisecond whose microseconds fit in 64 bits, in the year 294247."""


@dataclass(slots=True)
class Logged:
    """Points by key, and those of them that belong to a logged model too."""

    points: dict[str, PointColumns] = field(default_factory=dict)
    model_points: list[ModelPoint] = field(default_factory=list)


def gather(metrics: Sequence[Metric], path: str) -> Logged:
    """Check points of which key, value and time are given, and put them together by key.

    Parameters
    ----------
    path
        What the list is called in the request; empty for a point that stands alone.

    Raises
    ------
    MlflowError
        For the first key, value or time that cannot be kept.
    """
    logged = Logged()
    by_key = logged.points
    for at, metric in enumerate(metrics):
        key, value = metric.key, metric.value
        if type(value) is not float:
            value = _value(metric, _where(path, at))
        at_ms, step = metric.timestamp or 0, metric.step or 0
        if fault_of_key(key) or not 0 <= at_ms <= _MAX_MS or len(key) > MAX_KEY_CHARS:
            raise_fault(metric, _where(path, at))
        columns = by_key.get(key)
        if columns is None:
            columns = by_key[key] = PointColumns(steps=[], at=[], values=[])
        columns.steps.append(step)
        columns.at.append(at_ms * 1000)
        columns.values.append(value)
        if metric.model_id:
            logged.model_points.append(_model_point(metric, value, step, at_ms))
    return logged


def _where(path: str, at: int) -> str:
    return f"{path}[{at}]" if path else ""


def raise_fault(metric: Metric, where: str) -> None:
    """Say what is wrong with a point."""
    fault = fault_of_key(metric.key)
    if fault is not None:
        raise invalid(invalid_value(joined(where, "name"), metric.key, fault))
    at_ms = metric.timestamp or 0
    if not 0 <= at_ms <= _MAX_MS:
        reason = f"metric '{metric.key}' (value={metric.value}). Timestamp must be a nonnegative long (64-bit integer) "
        raise invalid(invalid_value(joined(where, "timestamp"), at_ms, reason))
    check_length("Metric name", metric.key, MAX_KEY_CHARS)


def _value(metric: Metric, where: str) -> float:
    value = metric.value
    if isinstance(value, float):
        return value
    number = number_of_text(value) if isinstance(value, str) else None
    if number is None:
        raise invalid_parameter(joined(where, "value"), value)
    return number


def _model_point(metric: Metric, value: float, step: int, at_ms: int) -> ModelPoint:
    return ModelPoint(
        model=metric.model_id or "",
        key=metric.key,
        value=value,
        step=step,
        at=from_micros(at_ms * 1000),
        dataset_name=metric.dataset_name or "",
        dataset_digest=metric.dataset_digest or "",
    )
