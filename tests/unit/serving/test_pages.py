"""What the page of a rollout makes of gates and steps."""

from __future__ import annotations

import math

import pytest

from noria.serving.entities import RolloutStatus
from noria.serving.gate_rules import (
    ErrorGate,
    GateResult,
    Gates,
    LatencyGate,
    Metric,
    PredictionsGate,
    QualityGate,
    SlowGate,
    Verdict,
)
from noria.serving.gates.distribution import judge_predictions
from noria.serving.gates.errors import judge_errors
from noria.serving.gates.latency import judge_latency, judge_slow
from noria.serving.gates.quality import judge_quality
from noria.serving.pages import gate_row, rollout_badge
from noria.serving.predictions import VersionStats
from noria.serving.sums import ClassSums, Form, PairStats, RowSums
from noria.serving.words import FIGURE_WORDS, GATE_WORDS

MANY = VersionStats(
    version=2,
    n_requests=400,
    n_errors=40,
    latency_sum_us=4e7,
    latency_sum_squares=5e12,
    n_labelled=50,
    n_judged=50,
    n_correct=30,
)
FEW = VersionStats(
    version=1,
    n_requests=500,
    n_errors=1,
    latency_sum_us=2e7,
    latency_sum_squares=9e11,
    n_labelled=60,
    n_judged=60,
    n_correct=58,
)

_FORM = Form.of([0.5] * 40)
TOLD = VersionStats(
    version=1,
    n_labelled=40,
    n_judged=40,
    n_correct=20,
    n_measured=40,
    abs_error_sum=20.0,
    abs_error_sum_squares=11.0,
    latency_buckets={40: 5},
    sums=RowSums(
        forms=dict.fromkeys(("auc", "squared_error", "relative_error"), _FORM),
        classes={"1": ClassSums(20, 20, 10)},
        predicted={"0": 3, "1": 4},
    ),
)


def test_a_gate_that_fails_shows_its_interval_beyond_the_limit() -> None:
    """The least that the difference can be lies right of what is allowed."""
    row = gate_row(judge_errors(Gates(), ErrorGate(), new=MANY, old=FEW))

    assert row.badge.sign == "✕"
    assert row.place is not None
    assert row.limit is not None
    assert row.limit < row.place.low <= row.place.value <= row.place.high


@pytest.mark.parametrize(
    "figures",
    [{}, {"lower": 0.1, "upper": None, "limit": 0.2}, {"lower": 0.0, "upper": math.inf, "limit": 1.0}],
)
def test_a_gate_without_an_interval_has_no_drawing(figures: dict[str, float | int | None]) -> None:
    """What was not judged, or not bounded, is told in words alone; what is not known is left out."""
    row = gate_row(GateResult(gate="new gate", verdict=Verdict.WAIT, sentence="s", figures=figures))

    assert (row.place, row.limit) == (None, None)
    assert row.words == "new gate"
    assert all(value is not None for _, value in row.figures)


def test_every_figure_of_every_gate_has_words() -> None:
    """No name of a field is shown to people."""
    gates = Gates()
    results = [
        judge_errors(gates, ErrorGate(), new=MANY, old=FEW),
        judge_latency(gates, LatencyGate(ignore_below_ms=0), new=MANY, old=FEW),
        judge_slow(gates, SlowGate(limit_ms=100), new=TOLD),
        judge_predictions(gates, PredictionsGate(), new=TOLD, old=TOLD, pairs=PairStats(n=1)),
        *(
            judge_quality(
                gates,
                QualityGate(metric=metric, positive="1", min_labels=1),
                new=TOLD,
                old=TOLD,
                pairs=PairStats(n_judged=1, n_measured=1),
            )
            for metric in Metric
        ),
    ]

    assert {name for result in results for name in result.figures} <= set(FIGURE_WORDS)
    assert {result.gate for result in results} == set(GATE_WORDS)


def test_every_status_has_a_badge() -> None:
    """Each state has words and a sign of its own."""
    badges = [rollout_badge(status) for status in RolloutStatus]

    assert len({badge.words for badge in badges}) == len({badge.sign for badge in badges}) == len(badges)
