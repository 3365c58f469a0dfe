"""More harm never makes a gate kinder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noria.core.stats.sequential_shares import Outcomes, share_difference
from noria.serving.gate_rules import ErrorGate, GateResult, Gates, LatencyGate, QualityGate, Verdict
from noria.serving.gates.errors import judge_errors
from noria.serving.gates.latency import judge_latency
from noria.serving.gates.quality import judge_quality
from noria.serving.predictions import VersionStats

ORDER = [Verdict.FAIL, Verdict.WAIT, Verdict.PASS]
counts = st.integers(1, 5000)
limits = st.floats(0.0, 0.5)


EXACT = 0.01
"""Share of the interval that the search for its ends may be off by."""


def _kindness(verdict: Verdict) -> int:
    return ORDER.index(verdict)


def _gates(confidence: float) -> Gates:
    return Gates(confidence=confidence, abort_confidence=min(0.9999, confidence + 0.01))


def _harm(result: GateResult) -> tuple[float, float, float]:
    """Give both bounds of a figure that should be small, and what their search may be off by."""
    lower, upper = result.figures["lower"], result.figures["upper"]
    assert lower is not None
    assert upper is not None
    return lower, upper, EXACT * (upper - lower)


def _no_less(more: GateResult, less: GateResult) -> None:
    (lower, upper, exact), (least_lower, least_upper, _) = _harm(more), _harm(less)

    assert lower >= least_lower - exact
    assert upper >= least_upper - exact


def _some_more(n: int) -> st.SearchStrategy[tuple[int, int]]:
    """Draw a count and one that is a tenth of all above it.

    The very first hit, and the first one that is missing, make an interval wider, since they say that a share is not
    exactly 0 or 1. So neither count is that.
    """
    step = max(5, n // 10)
    return st.integers(1, n - 1 - step).map(lambda count: (count, count + step))


@given(st.data(), st.integers(30, 5000), counts, limits, st.floats(0.6, 0.99))
def test_more_errors_never_help(
    data: st.DataObject, n_new: int, n_old: int, limit: float, confidence: float
) -> None:
    """More requests that fail, out of as many, move both bounds up."""
    errors, more_errors = data.draw(_some_more(n_new))
    old = VersionStats(version=1, n_requests=n_old, n_errors=data.draw(st.integers(0, n_old)))
    gate = ErrorGate(max_increase=limit)

    fewer, more = (
        judge_errors(
            _gates(confidence), gate, new=VersionStats(version=2, n_requests=n_new, n_errors=n), old=old
        )
        for n in (errors, more_errors)
    )

    _no_less(more, fewer)


@given(st.data(), counts, st.integers(30, 5000), limits, st.floats(0.6, 0.99))
def test_more_errors_of_the_old_version_never_hurt(
    data: st.DataObject, n_new: int, n_old: int, limit: float, confidence: float
) -> None:
    """The worse the old version, the kinder the gate."""
    errors, more_errors = data.draw(_some_more(n_old))
    new = VersionStats(version=2, n_requests=n_new, n_errors=data.draw(st.integers(0, n_new)))
    gate = ErrorGate(max_increase=limit)

    fewer, more = (
        judge_errors(
            _gates(confidence), gate, new=new, old=VersionStats(version=1, n_requests=n_old, n_errors=n)
        )
        for n in (errors, more_errors)
    )

    _no_less(fewer, more)


@given(st.data(), st.integers(30, 5000), st.integers(30, 5000), limits)
def test_more_right_answers_never_hurt(data: st.DataObject, n_new: int, n_old: int, limit: float) -> None:
    """Quality is monotone in what the new version got right."""
    right, more_right = data.draw(_some_more(n_new))
    n_right_old = data.draw(st.integers(0, n_old))
    old = VersionStats(version=1, n_labelled=n_old, n_judged=n_old, n_correct=n_right_old)
    gate = QualityGate(max_loss=limit)

    fewer, more = (
        judge_quality(
            Gates(),
            gate,
            new=VersionStats(version=2, n_labelled=n_new, n_judged=n_new, n_correct=n),
            old=old,
        )
        for n in (right, more_right)
    )

    _no_less(fewer, more)


def _timed(n: int, mean_us: float, spread: float) -> VersionStats:
    return VersionStats(
        version=2,
        n_requests=n,
        latency_sum_us=n * mean_us,
        latency_sum_squares=n * mean_us**2 * (1 + spread**2),
    )


@given(
    st.integers(2, 5000),
    st.integers(2, 5000),
    st.floats(1.0, 1e7),
    st.floats(1.0, 1e7),
    st.floats(1.0, 10.0),
    st.floats(0.0, 3.0),
    st.floats(1.0, 5.0),
)
def test_slower_never_helps(
    n_new: int, n_old: int, new_us: float, old_us: float, factor: float, spread: float, ratio: float
) -> None:
    """The same latencies, all longer by a factor, never move the verdict towards passing."""
    gate = LatencyGate(max_ratio=ratio)
    old = _timed(n_old, old_us, spread)

    fast, slow = (
        judge_latency(Gates(), gate, new=_timed(n_new, mean_us, spread), old=old).verdict
        for mean_us in (new_us, new_us * factor)
    )

    assert _kindness(slow) <= _kindness(fast)


@given(st.data(), counts, counts, st.floats(0.55, 0.9999))
def test_bounds_hold_the_estimate(data: st.DataObject, n: int, m: int, confidence: float) -> None:
    """Bounds lie on both sides of the difference and within what a difference can be."""
    x, y = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    lower, upper = share_difference(Outcomes(x, n), Outcomes(y, m), 1 - confidence)

    exact = 1e-3 * (upper - lower)

    assert -1 <= lower <= x / n - y / m + exact
    assert x / n - y / m - exact <= upper <= 1
