"""Tell how complete labels are, and what the answers scored, by when they were given. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from noria.monitoring.delays.entities import AnswerBucket, AnswerQuality, DelayReport, LabelDelays
from noria.monitoring.delays.estimating import FEWEST_LABELS, DelayCurve, delay_curve, upper_edge_s

EARLY: Final = 0.9
"""Share of the labels below which answers are called early."""

_Z: Final = 1.959964
_FOR_SHARE: Final = 0.5
"""Answers with a smaller expected share of labels say little of how many will come in the end."""


def delay_report(delays: LabelDelays, now: datetime) -> DelayReport:
    """Tell how long labels take, and how complete they are.

    Parameters
    ----------
    delays
        As of the newest label.
    """
    curve = delay_curve(delays.buckets, now)
    lacks = _lacks(curve)
    answers = [_answer(bucket, curve if lacks is None else None, now) for bucket in delays.buckets]
    known = [each for each in answers if each.expected is not None and each.expected >= _FOR_SHARE]
    early = [each for each in answers if each.is_early]
    n_early = sum(each.n_rows for each in early)
    come = math.fsum(each.n_rows * (each.expected or 0.0) for each in early)
    wanted = math.fsum(each.n_rows * (each.expected or 0.0) for each in known)
    return DelayReport(
        n_labels=curve.n_labels,
        horizon_s=curve.horizon_s,
        median_s=curve.quantile_s(0.5) if lacks is None else None,
        high_s=curve.quantile_s(0.95) if lacks is None else None,
        label_share=min(1.0, sum(each.n_labels for each in known) / wanted) if wanted else None,
        n_early=n_early,
        early_expected=come / n_early if lacks is None and n_early else None,
        lacks=lacks,
        answers=answers,
    )


def expected_since(delays: LabelDelays, since: datetime, now: datetime) -> float | None:
    """Give the share of labels that is expected by now of the answers since a moment; None while it is not known."""
    curve = delay_curve(delays.buckets, now)
    if _lacks(curve) is not None:
        return None
    newer = [bucket for bucket in delays.buckets if bucket.ends_at > since]
    n_rows = sum(bucket.n_rows for bucket in newer)
    return math.fsum(each.n_rows * expected(each, curve, now) for each in newer) / n_rows if n_rows else None


def expected(bucket: AnswerBucket, curve: DelayCurve, now: datetime) -> float:
    """Give the share of a bucket's labels that is expected by now: the mean over its time, by Simpson's rule."""
    youngest_s, oldest_s = ((now - at).total_seconds() for at in (bucket.ends_at, bucket.starts_at))
    middle_s = (youngest_s + oldest_s) / 2
    return (curve.share(youngest_s) + 4 * curve.share(middle_s) + curve.share(oldest_s)) / 6


def _lacks(curve: DelayCurve) -> str | None:
    if not curve.shares:
        return f"{curve.n_labels} labels have come; {FEWEST_LABELS} of answers that are old enough are needed"
    if not curve.is_settled:
        longest = upper_edge_s(len(curve.shares) - 1) / 2
        return (
            f"Labels were still coming {lasting(longest)} and more after their answers, and older answers are not "
            "known: how many will come is not known yet"
        )
    return None


def _answer(bucket: AnswerBucket, curve: DelayCurve | None, now: datetime) -> AnswerQuality:
    share = None if curve is None else expected(bucket, curve, now)
    mean = low = high = None
    if n := bucket.n_scored:
        mean = bucket.total / n
        # A spread of nothing is not believed: scores that are all alike may be so by chance.
        spread = _Z * math.sqrt(max(bucket.squares / n - mean**2, 0.25 / n) / n)
        low, high = max(0.0, mean - spread), min(1.0, mean + spread)
    return AnswerQuality(
        starts_at=bucket.starts_at,
        ends_at=bucket.ends_at,
        n_rows=bucket.n_rows,
        n_labels=bucket.n_labels,
        expected=share,
        mean=mean,
        low=low,
        high=high,
        is_early=share is None or share < EARLY,
    )


def lasting(seconds: float) -> str:
    """Write a delay for people.

    Examples
    --------
    >>> lasting(45), lasting(5400), lasting(200_000)
    ('45 s', '1.5 h', '2.3 days')
    """
    for unit_s, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {name}"
    return f"{seconds:.0f} s"
