"""Figures on traces and the correlation of filters, on MLflow's wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from noria.core.context import Context
from noria.tracking.traces.assessment_entities import AssessmentKind, NewAssessment
from noria.tracking.traces.entities import NewTrace, TraceState
from noria.tracking.traces.service import Traces

API = "/api/3.0/mlflow/traces"
START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)


@pytest.fixture(autouse=True)
def traces(context: Context) -> None:
    """Record six traces, a second after one another: every second one failed, every third one is of `prod`."""
    for at in range(6):
        context.service(Traces).record(
            "default",
            NewTrace(
                id=f"tr-{at:032x}",
                experiment=0,
                started_at=START + timedelta(seconds=at),
                duration_ms=10 * at,
                state=TraceState.ERROR if at % 2 else TraceState.OK,
                name="ask",
                tags={"env": "prod" if at % 3 == 0 else "test"},
                assessments=[NewAssessment(name="score", kind=AssessmentKind.FEEDBACK, value=at)],
            ),
        )


def ask(http: httpx.Client, path: str, **sent: Any) -> dict[str, Any]:
    """Ask about the experiment, and give the answer."""
    answer = http.post(f"{API}/{path}", json={"experiment_ids": ["0"], **sent})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def aggregated(*kinds: str) -> list[dict[str, Any]]:
    """Ask for figures; a number is a percentile."""
    return [
        {"aggregation_type": "PERCENTILE", "percentile_value": float(kind)}
        if kind.isdigit()
        else {"aggregation_type": kind}
        for kind in kinds
    ]


def test_figures_come_in_groups(http: httpx.Client) -> None:
    """By dimension, with a label for each figure."""
    found = ask(
        http,
        "metrics",
        view_type="TRACES",
        metric_name="latency",
        aggregations=aggregated("AVG", "MAX", "50"),
        dimensions=["trace_name"],
        filters=["trace.status = 'ERROR'"],
    )
    values = {"AVG": 30.0, "MAX": 50.0, "P50.0": 30.0}

    assert found["data_points"] == [
        {"metric_name": "latency", "dimensions": {"trace_name": "ask"}, "values": values}
    ]


def test_figures_come_by_time(http: httpx.Client) -> None:
    """A bucket for each interval that has something, named by its beginning."""
    found = ask(
        http,
        "metrics",
        view_type="ASSESSMENTS",
        metric_name="assessment_value",
        aggregations=aggregated("AVG"),
        time_interval_seconds=4,
        start_time_ms=START_MS,
        end_time_ms=START_MS + 60_000,
    )
    points = [(each["dimensions"]["time_bucket"], each["values"]) for each in found["data_points"]]

    assert points == [
        (START.isoformat(), {"AVG": 1.5}),
        ((START + timedelta(seconds=4)).isoformat(), {"AVG": 4.5}),
    ]


def test_filters_are_correlated(http: httpx.Client) -> None:
    """With the counts behind the figure; a figure that there is none of is left out."""
    prod, fine = "tags.env = 'prod'", "status = 'OK'"
    found = ask(http, "calculate-filter-correlation", filter_string1=prod, filter_string2=fine)
    never = ask(http, "calculate-filter-correlation", filter_string1="name = 'never'", filter_string2=fine)

    assert (found["filter1_count"], found["filter2_count"], found["joint_count"], found["total_count"]) == (
        2,
        3,
        1,
        6,
    )
    assert found["npmi"] == pytest.approx(0.0, abs=1e-12)
    assert (never["filter1_count"], never["filter2_count"]) == (0, 3)
    assert "npmi" not in never


def test_what_cannot_be_computed_is_refused(http: httpx.Client) -> None:
    """With MLflow's code, and a message that names what is wrong."""
    sent = {"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "nope"}
    answer = http.post(f"{API}/metrics", json={**sent, "aggregations": aggregated("COUNT")})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "'nope'" in answer.json()["message"]
