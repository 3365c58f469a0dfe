"""Scores of labelled answers, and the sentence of an alert."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from noria.monitoring.entities import AlertKind, ScoredRow, Window
from noria.monitoring.quality import (
    KEPT,
    Baseline,
    begun_anew,
    error_alert,
    mean_with_interval,
    quality_alert,
    score,
    start_detector,
    take_in,
)

BASE = Baseline(score=0.95, n=400)


def rows(scores: list[float], first: int = 1) -> list[ScoredRow]:
    return [ScoredRow(position, value) for position, value in enumerate(scores, first)]


class TestScore:
    """One answer, between 0 and 1."""

    @pytest.mark.parametrize(
        ("predicted", "actual", "expected"),
        [
            (3, 3, 1.0),
            (3, 4, 0.0),
            (3.0, 3, 1.0),
            ("a", "a", 1.0),
            ("a", "b", 0.0),
            (True, True, 1.0),
            (None, 3, 0.0),
        ],
    )
    def test_a_class_is_right_or_wrong(self, predicted: object, actual: object, expected: float) -> None:
        """And no answer is wrong."""
        assert score("classification", predicted, actual, BASE) == expected

    @pytest.mark.parametrize(
        ("predicted", "actual", "expected"),
        [(10, 10, 1.0), (11, 10, 0.75), (8, 10, 0.5), (14, 10, 0.0), (1e300, -1e300, 0.0), (None, 1, 0.0)],
    )
    def test_a_number_scores_by_its_distance(
        self, predicted: float | None, actual: float, expected: float
    ) -> None:
        """Down to nothing at the bound."""
        assert score("regression", predicted, actual, Baseline(score=0.8, n=10, error_bound=4.0)) == expected

    def test_what_is_not_a_number_scores_nothing(self) -> None:
        """NaN and infinities are wholly wrong, not an error."""
        bounded = Baseline(score=0.8, n=10, error_bound=4.0)

        assert score("regression", math.nan, 1.0, bounded) == 0.0
        assert score("regression", math.inf, 1.0, bounded) == 0.0


class TestInterval:
    """Mean and interval."""

    def test_right_and_wrong_have_wilsons(self) -> None:
        """As SciPy has it."""
        scores = [1.0] * 45 + [0.0] * 5
        theirs = stats.binomtest(45, 50).proportion_ci(method="wilson")

        assert mean_with_interval(scores) == pytest.approx((0.9, theirs.low, theirs.high))

    def test_other_scores_have_students(self) -> None:
        """As SciPy has it, within 0 and 1."""
        scores = np.random.default_rng(0).beta(3, 2, 40).tolist()
        low, high = stats.t.interval(0.95, 39, loc=np.mean(scores), scale=stats.sem(scores))

        assert mean_with_interval(scores) == pytest.approx((np.mean(scores), low, high))

    def test_few(self) -> None:
        """None or one value say nothing about their spread."""
        assert mean_with_interval([]) == (0.0, 0.0, 1.0)
        assert mean_with_interval([0.5]) == (0.5, 0.0, 1.0)


class TestTakingIn:
    """Labels as they come."""

    def test_a_report_tells_the_newest(self) -> None:
        """At most 200 rows are kept, all are counted."""
        detector = start_detector(BASE, margin=0.02, labels_per_false_alarm=5000)
        detector, first = take_in(detector, None, rows([1.0] * 150), BASE)
        detector, second = take_in(detector, first, rows([1.0] * 100, first=151), BASE)

        assert (first.n, second.n) == (150, 250)
        assert [row.position for row in second.recent] == list(range(51, 251))
        assert len(second.recent) == KEPT
        assert (second.reference, second.reference_n) == (0.95, 400)
        assert second.threshold == pytest.approx(math.log(5000))
        assert second.evidence == detector.log_evidence

    @pytest.mark.parametrize(("reference", "floor"), [(0.95, 0.93), (1.0, 0.98), (0.01, 0.01), (0.0, 0.01)])
    def test_the_floor_lies_a_margin_below_the_reference(self, reference: float, floor: float) -> None:
        """Within what the detector can watch, also for a model that was always or never right."""
        detector = start_detector(Baseline(score=reference, n=10), margin=0.02, labels_per_false_alarm=100)

        assert detector.floor == pytest.approx(floor)


class TestAlert:
    """What is said when quality dropped."""

    def test_quiet(self) -> None:
        """Nothing."""
        detector, report = take_in(
            start_detector(BASE, margin=0.02, labels_per_false_alarm=5000), None, rows([1.0] * 100), BASE
        )

        assert quality_alert(detector, report, version=1, measure="accuracy", last_position=100) is None

    def test_a_drop(self) -> None:
        """What, since when, how much, how sure: every figure of the sentence is a figure of the alert."""
        scores = [1.0] * 100 + [0.0, 1.0] * 30
        detector, report = take_in(
            start_detector(BASE, margin=0.02, labels_per_false_alarm=5000), None, rows(scores), BASE
        )
        alert = quality_alert(detector, report, version=3, measure="accuracy", last_position=170)
        assert alert is not None
        since = [row for row in report.recent if row.position >= alert.onset_position]
        mean, low, high = mean_with_interval([row.score for row in since])

        assert (alert.kind, alert.version, alert.last_position) == (AlertKind.QUALITY, 3, 170)
        assert 80 <= alert.onset_position <= 141
        assert alert.figures["mean"] == pytest.approx(mean)
        assert alert.figures["n"] == len(since)
        assert alert.figures["evidence"] >= math.log(5000)
        assert alert.sentence == (
            f"Accuracy of version 3 is {mean:.3f} on the newest {len(since)} labelled answers "
            f"(95% interval {low:.3f} to {high:.3f}); it was 0.950 on 400 held-out rows. "
            "Evidence this strong comes without a drop at most once in 5000 labels on average"
        )

    def test_labels_that_came_after_the_alarm_in_one_batch_are_since_the_onset(self) -> None:
        """However many labels arrive at once, the onset stays where the drop began."""
        detector, report = take_in(
            start_detector(BASE, margin=0.02, labels_per_false_alarm=5000),
            None,
            rows([1.0] * 100 + [0.0] * 95),
            BASE,
        )
        alert = quality_alert(detector, report, version=1, measure="accuracy", last_position=195)

        assert alert is not None
        assert detector.n < 125
        assert (alert.onset_position, alert.figures["n"]) == (101, 95)

    def test_a_small_drop_is_told_by_whole_windows(self) -> None:
        """Where single labels are no evidence yet; it stands until the alert is closed."""
        base = Baseline(score=0.95, n=5_000)
        detector = start_detector(base, margin=0.02, labels_per_false_alarm=100_000)
        detector, report = take_in(detector, None, rows(([1.0] * 9 + [0.0]) * 100), base)
        alert = quality_alert(detector, report, version=2, measure="accuracy", last_position=1000)
        _, later = take_in(detector, report, rows([1.0] * 600, first=1001), base)

        assert not detector.alarmed
        assert alert is not None
        assert alert.figures["mean"] == pytest.approx(0.9)
        assert alert.figures["n"] == 500
        assert alert.sentence.startswith(
            "Accuracy of version 2 is 0.900 on 500 labelled answers; it was 0.950 on 5000 held-out rows. So low"
        )
        assert later.drop == report.drop
        assert begun_anew(later).drop is None
        assert begun_anew(later).recent == later.recent

    def test_a_drop_at_once_is_told_of_few_rows(self) -> None:
        """All there are."""
        detector, report = take_in(
            start_detector(BASE, margin=0.02, labels_per_false_alarm=100), None, rows([0.0] * 5), BASE
        )
        alert = quality_alert(detector, report, version=1, measure="accuracy", last_position=5)

        assert alert is not None
        assert (alert.figures["n"], alert.figures["mean"], alert.onset_position) == (5, 0.0, 1)


def a_window(n_errors: int, n_rows: int) -> Window:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Window(
        index=1,
        version=3,
        first_position=11,
        last_position=10 + n_rows,
        first_at=at,
        last_at=at,
        n_rows=n_rows,
        n_errors=n_errors,
        drift=None,
    )


@pytest.mark.parametrize(
    ("n_errors", "raised"), [(0, False), (4, False), (9, False), (20, True), (200, True)]
)
def test_errors_are_told_when_they_are_surely_too_many(n_errors: int, raised: bool) -> None:
    """Of 200 requests two in a hundred may fail; an alert needs the exact interval to lie above that."""
    lower = stats.beta.ppf(0.005, n_errors, 200 - n_errors + 1) if n_errors else 0.0

    alert = error_alert(a_window(n_errors, 200), tolerated=0.02)

    assert (alert is not None) is raised is bool(lower > 0.02)
    if alert is not None:
        assert alert.kind is AlertKind.ERRORS
        assert (alert.onset_position, alert.last_position, alert.version) == (11, 210, 3)
        assert f"{n_errors} of 200 requests failed" in alert.sentence
