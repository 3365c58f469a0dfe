"""What the gates of a rollout say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from noria.serving.counts import Judged, count_labels, merge
from noria.serving.gate_rules import (
    BlockRows,
    ErrorGate,
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
from noria.serving.gates.judging import combine, evaluate
from noria.serving.gates.latency import judge_latency, judge_slow
from noria.serving.gates.quality import judge_quality
from noria.serving.label_sums import predicted_sums
from noria.serving.predictions import VersionStats, latency_bucket
from noria.serving.sums import Form, PairStats, RowSums

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


def test_errors_pass_when_enough_requests_were_answered() -> None:
    """The same absence of errors is no evidence on ten requests and enough on a thousand."""
    gate = ErrorGate(max_increase=0.02)
    old = _answers(1000)

    assert judge_errors(GATES, gate, new=_answers(100), old=old).verdict is Verdict.WAIT
    assert judge_errors(GATES, gate, new=_answers(1000), old=old).verdict is Verdict.PASS


def test_errors_fail_when_they_are_clearly_more() -> None:
    """A version that fails every third request fails the gate, and the sentence has the figures."""
    found = judge_errors(GATES, ErrorGate(), new=_answers(60, errors=20), old=_answers(600, errors=3))

    assert found.verdict is Verdict.FAIL
    assert "33.3 % of 60 requests failed against 0.5 %" in found.sentence


def test_an_old_version_that_fails_as_often_excuses_the_new_one() -> None:
    """The gate is about the increase, not about the level."""
    found = judge_errors(
        GATES, ErrorGate(max_increase=0.05), new=_answers(9000, errors=2700), old=_answers(9000, errors=2700)
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
    assert judge_latency(GATES, LatencyGate(), new=_answers(29), old=None).verdict is Verdict.WAIT


def test_quality_without_labels_passes_unless_it_is_required() -> None:
    """Few labels say nothing; whether that is enough is the user's choice."""
    few, many = _labelled(5, 5), _labelled(500, 480)

    assert judge_quality(GATES, QualityGate(), new=few, old=many).verdict is Verdict.PASS
    assert judge_quality(GATES, QualityGate(required=True), new=few, old=many).verdict is Verdict.WAIT


def test_quality_asks_for_non_inferiority() -> None:
    """Equal passes with enough labels, clearly worse fails, and in between it waits."""
    gate = QualityGate(max_loss=0.03)
    old = _labelled(4000, 3800)

    assert judge_quality(GATES, gate, new=_labelled(4000, 3800), old=old).verdict is Verdict.PASS
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


def test_a_quantile_of_the_latency_is_a_share_of_slow_requests() -> None:
    """The 99th percentile is within the limit when at most one request in a hundred is surely shown to be slower."""
    gate = SlowGate(limit_ms=200.0, max_share=0.01)

    def said(n: int, n_over: int) -> Verdict:
        buckets = {latency_bucket(90_000): n - n_over, latency_bucket(400_000): n_over}
        return judge_slow(GATES, gate, new=VersionStats(version=1, latency_buckets=buckets)).verdict

    assert said(100, 0) is Verdict.WAIT
    assert said(1000, 0) is Verdict.PASS
    assert said(1000, 60) is Verdict.FAIL
    assert said(1000, 10) is Verdict.WAIT
    assert judge_slow(GATES, gate, new=VersionStats(version=1)).verdict is Verdict.WAIT


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_predictions_may_not_be_distributed_too_differently(task: str) -> None:
    """Classes and numbers alike: the same passes, a shifted one fails, and without any the gate says so."""
    generator = np.random.default_rng(11)

    def stats(shift: float, n: int = 4000) -> VersionStats:
        values = generator.gamma(2, 50, n) + shift
        shown = (values > 100).astype(int) if task == "classification" else values
        return VersionStats(version=1, sums=predicted_sums(task, shown.tolist()))

    def said(new: VersionStats, old: VersionStats | None) -> tuple[Verdict, str]:
        pairs = PairStats(n=10, n_agreed=7)
        found = judge_predictions(GATES, PredictionsGate(max_distance=0.2), new=new, old=old, pairs=pairs)
        return found.verdict, found.sentence

    assert said(stats(0), stats(0))[0] is Verdict.PASS
    assert said(stats(100), stats(0))[0] is Verdict.FAIL
    assert said(stats(0, 50), stats(0))[0] is Verdict.WAIT
    assert said(VersionStats(version=1), stats(0)) == (
        Verdict.WAIT,
        "No prediction of the new version is a single number or class yet",
    )
    assert said(stats(0), None)[0] is Verdict.PASS
    assert "70.0 % of 10 rows were predicted alike" in said(stats(0), stats(0))[1]


def _classified(
    generator: np.random.Generator, n: int, noise: float
) -> tuple[VersionStats, float, float, float]:
    """Give counted labels of a classifier, and accuracy, F1 of class 1 and AUC by scikit-learn."""
    truth = generator.integers(0, 2, n)
    score = np.clip(truth * 0.3 + 0.35 + generator.normal(0, noise, n), 0, 1)
    predicted = (score > 0.5).astype(int)
    judged = [
        Judged(1, 1, {"predictions": int(p), "probabilities": [1 - s, s]}, int(t))
        for p, s, t in zip(predicted, score.tolist(), truth, strict=True)
    ]
    return (
        count_labels("classification", judged)[0].stats,
        metrics.accuracy_score(truth, predicted),
        metrics.f1_score(truth, predicted),
        metrics.roc_auc_score(truth, score),
    )


def test_metrics_of_classifiers_agree_with_scikit_learn() -> None:
    """Accuracy and F1 are the same figures; AUC by pairs is within its own error."""
    good, accuracy, f1, auc = _classified(np.random.default_rng(12), 5000, 0.2)
    for metric, expected, exact in (
        (Metric.ACCURACY, accuracy, 1e-9),
        (Metric.F1, f1, 1e-9),
        (Metric.AUC, auc, 0.03),
    ):
        gate = QualityGate(metric=metric, positive="1", max_loss=0.1)
        found = judge_quality(GATES, gate, new=good, old=good)

        assert found.verdict is Verdict.PASS, metric
        assert found.figures[f"new_{metric.value}"] == pytest.approx(expected, abs=exact)


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.F1, Metric.AUC])
@pytest.mark.parametrize("block_rows", [1, 10])
def test_a_worse_classifier_fails(metric: Metric, block_rows: BlockRows) -> None:
    """By every metric, by rows and by blocks."""
    if metric is Metric.F1 and block_rows != 1:
        with pytest.raises(ValueError, match="`block_rows` has to be 1"):
            QualityGate(metric=metric, positive="1", block_rows=block_rows)
        return
    good = _classified(np.random.default_rng(13), 4000, 0.12)[0]
    bad = _classified(np.random.default_rng(14), 4000, 0.6)[0]
    gate = QualityGate(metric=metric, positive="1", block_rows=block_rows)

    assert judge_quality(GATES, gate, new=bad, old=good).verdict is Verdict.FAIL
    assert judge_quality(GATES, gate, new=good, old=bad).verdict is Verdict.PASS


@pytest.mark.parametrize("metric", [Metric.MAE, Metric.RMSE, Metric.MAPE])
@pytest.mark.parametrize("block_rows", [1, 10])
def test_a_worse_regressor_fails(metric: Metric, block_rows: BlockRows) -> None:
    """Errors of half as much again fail, the same errors pass, and the figures are those of NumPy."""
    generator = np.random.default_rng(15)
    truth = generator.gamma(5, 20, 20_000)
    noise = generator.normal(0, 10, 20_000)

    def stats(factor: float) -> VersionStats:
        pairs = zip((truth + factor * noise).tolist(), truth.tolist(), strict=True)
        return count_labels("regression", [Judged(1, 1, {"predictions": p}, t) for p, t in pairs])[0].stats

    gate = QualityGate(metric=metric, max_loss=0.02 if metric is Metric.MAPE else 0.2, block_rows=block_rows)
    same = judge_quality(GATES, gate, new=stats(1), old=stats(1))
    figures = {
        "new_mean_absolute_error": np.abs(noise).mean(),
        "new_root_mean_squared_error": np.sqrt((noise**2).mean()),
        "new_mape": np.minimum(np.abs(noise) / truth, 1).mean(),
    }

    assert same.verdict is Verdict.PASS
    assert judge_quality(GATES, gate, new=stats(1.5), old=stats(1)).verdict is Verdict.FAIL
    key = next(key for key in figures if key in same.figures)
    assert same.figures[key] == pytest.approx(figures[key])


def test_pairs_judge_what_streams_leave_open() -> None:
    """On the same rows, versions that are right about the same ones are told apart sooner."""
    gate = QualityGate(max_loss=0.03)
    new, old = _labelled(1000, 700), _labelled(1000, 700)
    pairs = PairStats(n=1000, n_judged=1000, n_only_new_right=10, n_only_old_right=10)
    errors = np.abs(np.random.default_rng(16).normal(size=1000))
    both = PairStats(
        n_measured=1000,
        new_error_sum=float(errors.sum()),
        new_error_squares=float((errors**2).sum()),
        old_error_sum=float(errors.sum()),
        old_error_squares=float((errors**2).sum()),
        error_products=float((errors**2).sum()),
    )

    assert judge_quality(GATES, gate, new=new, old=old).verdict is Verdict.WAIT
    assert judge_quality(GATES, gate, new=new, old=old, pairs=pairs).verdict is Verdict.PASS
    measured = _measured(errors)
    assert judge_quality(GATES, gate, new=measured, old=measured).verdict is Verdict.WAIT
    assert judge_quality(GATES, gate, new=measured, old=measured, pairs=both).verdict is Verdict.PASS


def test_what_a_metric_lacks_is_said() -> None:
    """Labels without scores tell nothing of AUC: the gate passes or waits as it is set, and says so."""
    gate = QualityGate(metric=Metric.AUC, required=True)
    found = judge_quality(GATES, gate, new=_labelled(500, 400), old=_labelled(500, 400))

    assert found.verdict is Verdict.WAIT
    assert found.sentence == "Not judged: 0 pairs of rows of the new version and 0 of the old one tell `auc`"
    with pytest.raises(ValueError, match="needs the class"):
        QualityGate(metric=Metric.F1)


def test_errors_that_come_in_bursts_are_judged_in_blocks() -> None:
    """A hundred requests that fail in one burst are one event: by rows they fail a version, by blocks they do not."""
    calm = [0] * 5000
    burst = [0] * 4000 + [1] * 150 + [0] * 850

    def stats(values: list[int]) -> VersionStats:
        sums = RowSums(forms={"error": Form.of(values)})
        return VersionStats(version=1, n_requests=len(values), n_errors=sum(values), sums=sums)

    def said(block_rows: BlockRows) -> Verdict:
        gate = ErrorGate(max_increase=0.01, block_rows=block_rows)
        return judge_errors(GATES, gate, new=stats(burst), old=stats(calm)).verdict

    assert said(1) is Verdict.FAIL
    assert said(100) is Verdict.WAIT
    waits = judge_errors(GATES, ErrorGate(block_rows=1000), new=stats([0] * 900), old=None)
    assert waits.sentence == "No block of 1000 requests of the new version is full yet"


def test_sums_do_not_depend_on_how_rows_arrive() -> None:
    """Labels one by one or at once give the same counts and sums, and the same pairs of rows."""
    generator = np.random.default_rng(17)
    judged = [
        Judged(1, 1, {"predictions": int(p), "probabilities": [0.0, float(s)]}, int(t))
        for p, s, t in zip(
            generator.integers(0, 2, 237), generator.random(237), generator.integers(0, 2, 237), strict=True
        )
    ]
    at_once = count_labels("classification", judged)[0].stats
    one_by_one = VersionStats(version=1)
    for row in judged:
        one_by_one = merge(one_by_one, count_labels("classification", [row])[0].stats)

    assert one_by_one.sums.classes == at_once.sums.classes
    for name, form in at_once.sums.forms.items():
        found = one_by_one.sums.form(name)
        assert (found.n, found.total, found.squares) == pytest.approx((form.n, form.total, form.squares))
        assert found.by(10)[:2] == pytest.approx(form.by(10)[:2])
    assert one_by_one.sums.waiting == at_once.sums.waiting


@pytest.mark.parametrize("gate", ["errors", "latency", "quality"])
def test_a_version_on_its_limit_is_hardly_ever_passed_or_failed(gate: str) -> None:
    """Looked at every second for a minute, of 40 versions as bad as is allowed at most a few get a verdict.

    The levels are 5 % for passes and 0.1 % for failures; the bounds are exceeded by chance less than once in a
    thousand times.
    """
    gates = Gates(
        errors=ErrorGate(max_increase=0.05) if gate == "errors" else None,
        latency=LatencyGate(max_ratio=1.5, ignore_below_ms=0) if gate == "latency" else None,
        quality=QualityGate(max_loss=0.1, required=True) if gate == "quality" else None,
    )
    generator = np.random.default_rng(19)

    def second(n: int, share: float, mean_ms: float, accuracy: float) -> VersionStats:
        took = generator.lognormal(np.log(mean_ms * 1000) - 0.125, 0.5, n)
        return VersionStats(
            version=1,
            n_requests=n,
            n_errors=int(generator.binomial(n, share)) if gate == "errors" else 0,
            latency_sum_us=float(took.sum()),
            latency_sum_squares=float((took * took).sum()),
            n_labelled=n,
            n_judged=n,
            n_correct=int(generator.binomial(n, accuracy)),
        )

    said = []
    for _ in range(40):
        new, old = VersionStats(version=1), VersionStats(version=1)
        for _ in range(60):
            new, old = merge(new, second(10, 0.06, 150, 0.8)), merge(old, second(30, 0.01, 100, 0.9))
            verdict = combine(evaluate(gates, step=new, new=new, old=old))
            if verdict is not Verdict.WAIT:
                said.append(verdict)
                break

    assert said.count(Verdict.PASS) <= 7
    assert said.count(Verdict.FAIL) <= 1
