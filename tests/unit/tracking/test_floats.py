"""Floats that keep NaN and infinities in JSON."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
import pytest

from noria.tracking.entities import Run, RunStatus
from noria.tracking.point_entities import MetricPoint

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [0.0, -1.5, math.inf, -math.inf, math.nan])
def test_a_point_survives_json(value: float) -> None:
    """Whatever float goes out comes back."""
    text = msgspec.json.encode(MetricPoint(key="m", value=value, at=NOW))
    back = msgspec.json.decode(text, type=MetricPoint).value

    assert back == value or (math.isnan(back) and math.isnan(value))
    assert (b"not_finite" in text) is not math.isfinite(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"key":"m","value":null,"at":"2026-01-01T00:00:00Z"}',
        '{"key":"m","value":1.0,"not_finite":"NaN","at":"2026-01-01T00:00:00Z"}',
        '{"key":"m","value":null,"not_finite":"nan","at":"2026-01-01T00:00:00Z"}',
        '{"key":"m","value":"NaN","at":"2026-01-01T00:00:00Z"}',
        '{"key":"m","value":1.0,"at":"2026-01-01T00:00:00"}',
    ],
)
def test_a_point_that_does_not_say_which_float_is_refused(text: str) -> None:
    """A null without its mark, a mark that contradicts, and a time without a zone are errors."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=MetricPoint)


def test_a_run_survives_json() -> None:
    """Each metric of a run comes back, finite or not; replacing metrics renews the marks."""
    run = Run(
        id="x",
        project="p",
        experiment="e",
        name="n",
        status=RunStatus.RUNNING,
        started_at=NOW,
        metrics={"a": 1.0, "b": math.nan, "c": -math.inf},
    )
    back = msgspec.json.decode(msgspec.json.encode(run), type=Run)

    assert (back.metrics["a"], back.metrics["c"]) == (1.0, -math.inf)
    assert math.isnan(back.metrics["b"])
    renewed = msgspec.structs.replace(run, metrics={"a": 1.0}, not_finite=msgspec.UNSET)
    assert renewed.not_finite is msgspec.UNSET
