"""What the gates of a rollout say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from noria.core.stats.intervals import newcombe_difference
from noria.core.stats.intervals import wilson as wilson_of_the_house
from noria.serving.gate_rules import ErrorGate, Gates, LatencyGate, QualityGate, Verdict
from noria.serving.gates.bounds import Sample, mean_ratio, share_difference, wilson
from noria.serving.gates.errors import judge_errors
from noria.serving.gates.judging import combine, evaluate
from noria.serving.gates.latency import judge_latency
from noria.serving.gates.quality import judge_quality
from noria.serving.predictions import VersionStats

GATES = Gates()


def _answers(
    n: int, *, errors: int = 0, mean_ms: float = 100.0, spread: float = 0.2, version: int = 1
) -> VersionStats:
    answered = n - errors
    mean_us = mean_ms * 1000
    return VersionStats(
        version=version,
        n_requests=n,
        n_rows=n,
        n_errors=errors,
        latency_sum_us=answered * mean_us,
        latency_sum_squares=answered * mean_us**2 * (1 + spread**2),
    )


def _labelled(n: int, correct: int) -> VersionStats:
    return VersionStats(version=1, n_labelled=n, n_judged=n, n_correct=correct)


def _measured(errors: np.ndarray[tuple[int], np.dtype[np.float64]]) -> VersionStats:
    return VersionStats(
        version=1,
        n_labelled=len(errors),
        n_measured=len(errors),
        abs_error_sum=float(errors.sum()),
        abs_error_sum_squares=float((errors**2).sum()),
    )


@pytest.mark.parametrize(("x", "n"), [(0, 10), (3, 10), (10, 10), (1, 1000)])
def test_score_bounds_agree_with_scipy(x: int, n: int) -> None:
    """A one-sided bound at 95 % is the end of a two-sided interval at 90 %."""
    expected = stats.binomtest(x, n).proportion_ci(confidence_level=0.9, method="wilson")

    assert wilson(x, n, confidence=0.95) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (0, 20, 0, 30), (9, 10, 3, 10)])
def test_difference_agrees_with_the_worker_side_statistics(counts: tuple[int, int, int, int]) -> None:
    """The plain arithmetic of the server gives what the NumPy functions of the workers give."""
    expected = newcombe_difference(*counts, alpha=0.1)

    assert share_difference(*counts, confidence=0.95) == pytest.approx((expected.lower, expected.upper))
    assert wilson_of_the_house(counts[0], counts[1], alpha=0.1).upper == pytest.approx(
        wilson(counts[0], counts[1], confidence=0.95).upper
    )


def test_ratio_of_means_covers_the_truth() -> None:
    """The interval of the ratio covers the true ratio about as often as it says, on skewed latencies."""
    generator = np.random.default_rng(7)
    inside = 0
    for _ in range(400):
        first = generator.gamma(2.0, 3.0, 200)
        second = generator.gamma(2.0, 2.0, 300)
        bounds = mean_ratio(
            Sample(200, float(first.sum()), float((first**2).sum())),
            Sample(300, float(second.sum()), float((second**2).sum())),
            0.95,
        )
        inside += bounds.lower <= 1.5 <= bounds.upper

    assert 0.86 <= inside / 400 <= 0.94


def test_a_mean_of_zero_has_a_ratio() -> None:
    """No division by zero: nothing against something, something against nothing, nothing against nothing."""
    some, none = Sample(5, 10.0, 30.0), Sample(5, 0.0, 0.0)

    assert mean_ratio(none, some, 0.95).upper == 0.0
    assert mean_ratio(some, none, 0.95).lower == math.inf
    assert mean_ratio(none, none, 0.95) == (1.0, 1.0)


def test_errors_pass_when_enough_requests_were_answered() -> None:
    """The same absence of errors is no evidence on ten requests and enough on a thousand."""
    gate = ErrorGate(max_increase=0.02)
    old = _answers(1000)

    assert judge_errors(GATES, gate, new=_answers(10), old=old).verdict is Verdict.WAIT
    assert judge_errors(GATES, gate, new=_answers(1000), old=old).verdict is Verdict.PASS


def test_errors_fail_when_they_are_clearly_more() -> None:
    """A version that fails every third request fails the gate, and the sentence has the figures."""
    found = judge_errors(GATES, ErrorGate(), new=_answers(60, errors=20), old=_answers(600, errors=3))

    assert found.verdict is Verdict.FAIL
    assert "33.3 % of 60 requests failed against 0.5 %" in found.sentence


def test_an_old_version_that_fails_as_often_excuses_the_new_one() -> None:
    """The gate is about the increase, not about the level."""
    found = judge_errors(
        GATES, ErrorGate(max_increase=0.05), new=_answers(2000, errors=600), old=_answers(2000, errors=600)
    )

    assert found.verdict is Verdict.PASS


def test_without_requests_to_the_old_version_its_errors_count_as_none() -> None:
    """The strictest reading: the level itself must be within the limit."""
    assert judge_errors(GATES, ErrorGate(), new=_answers(500, errors=100), old=None).verdict is Verdict.FAIL
    assert judge_errors(GATES, ErrorGate(), new=_answers(500), old=_answers(0)).verdict is Verdict.PASS


def test_latency_is_ignored_while_nobody_would_notice() -> None:
    """Ten times a millisecond is still nothing."""
    new, old = _answers(100, mean_ms=10), _answers(100, mean_ms=1)

    assert judge_latency(GATES, LatencyGate(), new=new, old=old).verdict is Verdict.PASS


def test_latency_fails_beyond_the_ratio() -> None:
    """Five times as slow, above what is ignored, fails."""
    found = judge_latency(GATES, LatencyGate(), new=_answers(100, mean_ms=500), old=_answers(100))

    assert found.verdict is Verdict.FAIL
    assert found.figures["new_mean_ms"] == pytest.approx(500)


def test_latency_waits_for_something_to_compare_with() -> None:
    """A slow version whose predecessor answered nothing yet is not judged."""
    new = _answers(100, mean_ms=500)

    assert judge_latency(GATES, LatencyGate(), new=new, old=_answers(0)).verdict is Verdict.WAIT
    assert judge_latency(GATES, LatencyGate(), new=new, old=None).verdict is Verdict.PASS
    assert judge_latency(GATES, LatencyGate(), new=_answers(1), old=None).verdict is Verdict.WAIT


def test_quality_without_labels_passes_unless_it_is_required() -> None:
    """Few labels say nothing; whether that is enough is the user's choice."""
    few, many = _labelled(5, 5), _labelled(500, 480)

    assert judge_quality(GATES, QualityGate(), new=few, old=many).verdict is Verdict.PASS
    assert judge_quality(GATES, QualityGate(required=True), new=few, old=many).verdict is Verdict.WAIT


def test_quality_asks_for_non_inferiority() -> None:
    """Equal passes with enough labels, clearly worse fails, and in between it waits."""
    gate = QualityGate(max_loss=0.03)
    old = _labelled(2000, 1900)

    assert judge_quality(GATES, gate, new=_labelled(2000, 1900), old=old).verdict is Verdict.PASS
    assert judge_quality(GATES, gate, new=_labelled(2000, 1600), old=old).verdict is Verdict.FAIL
    assert judge_quality(GATES, gate, new=_labelled(60, 57), old=old).verdict is Verdict.WAIT


def test_quality_of_a_regressor_is_its_absolute_error() -> None:
    """Twice the mean absolute error fails, the same passes."""
    generator = np.random.default_rng(3)
    old = _measured(np.abs(generator.normal(size=3000)))
    same = _measured(np.abs(generator.normal(size=3000)))
    twice = _measured(2 * np.abs(generator.normal(size=3000)))
    gate = QualityGate(max_loss=0.1)

    assert judge_quality(GATES, gate, new=same, old=old).verdict is Verdict.PASS
    assert judge_quality(GATES, gate, new=twice, old=old).verdict is Verdict.FAIL


def test_gates_that_are_left_out_say_nothing() -> None:
    """A step without gates passes by having none that does not."""
    results = evaluate(
        Gates(errors=None, latency=None, quality=None), step=_answers(0), new=_answers(0), old=None
    )

    assert results == []
    assert combine(results) is Verdict.PASS


def test_a_healthy_step_passes_every_gate() -> None:
    """The default gates let a version through that is as good as the one before."""
    new, old = _answers(1000, version=2), _answers(9000)
    results = evaluate(GATES, step=new, new=new, old=old)

    assert [result.gate for result in results] == ["errors", "latency", "quality"]
    assert combine(results) is Verdict.PASS
