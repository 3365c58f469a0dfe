"""What a monitor has seen at the endpoint of `support.wheel`, for pages to show: parted windows, and an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from noria.core.context import Context
from noria.monitoring.entities import Look, WindowPart, WindowRule
from noria.monitoring.estimated.entities import (
    EstimatedMetric,
    EstimatedQuality,
    LabelledEstimates,
    LabelledMetric,
    LabelledPoint,
    LabelledQuality,
    StandingEstimate,
)
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.service import Monitors
from noria.monitoring.tasks.entities import (
    ClusterShare,
    ForecastErrors,
    ForecastReport,
    HorizonErrors,
    UnsupervisedReport,
)
from support.wheel import PROJECT

ENDPOINT = "digits"
LACK = "What version 1 is compared with changed within this window"


def see_windows(
    context: Context,
    *,
    n: int = 1,
    segments: Sequence[str] = ("pen = <b>blue</b>",),
    n_rules: int = 0,
    rules: Sequence[WindowRule] = (),
) -> None:
    """Record windows after the newest one, each parted into version 1 as a whole and some segments of it."""
    monitors = context.service(Monitors)
    seen = monitors.get(PROJECT, ENDPOINT)
    last = monitors.windows(PROJECT, ENDPOINT, limit=1).items[0]
    assert last.drift is not None
    column = last.drift.columns[0]
    part = WindowPart(version=1, n_rows=120, drift=last.drift, predictions=column)
    parts = [part, *(msgspec.structs.replace(part, segment=segment) for segment in segments)]
    windows = [
        msgspec.structs.replace(
            last,
            index=last.index + 1 + i,
            predictions=column,
            parts=parts,
            n_rules=n_rules,
            rules=list(rules),
            lacks=[LACK],
        )
        for i in range(n)
    ]
    look = Look(
        from_position=seen.position,
        from_label_position=seen.label_position,
        position=seen.position + 1,
        label_position=seen.label_position,
        version=seen.version,
        windows=windows,
        detector=seen.detector,
        quality=seen.quality,
        alerts=[],
    )
    monitors.record(PROJECT, ENDPOINT, look)


def estimate(context: Context) -> StandingEstimate:
    """Record an estimate of the quality of version 2."""
    now = context.clock.now()
    metric = EstimatedMetric(name="roc_auc", value=0.912, low=0.874, high=0.938, reference=0.951)
    standing = StandingEstimate(
        model=ENDPOINT,
        version=2,
        position=10,
        first_at=now,
        last_at=now,
        made_at=now,
        estimated=EstimatedQuality(
            method="cbpe", calibration="isotonic", n_rows=200, reference_n=1500, metrics=[metric]
        ),
    )
    context.service(Estimates).record(PROJECT, ENDPOINT, standing)
    return standing


def past_estimates(context: Context, *, n: int = 6, n_labelled: int = 3, first: int = 1) -> None:
    """Record estimates of windows of 200 answers, an hour apart, and what labels said of the first of them."""
    estimates = context.service(Estimates)
    newest = estimates.get(PROJECT, ENDPOINT).standing
    start = newest.position if newest else 0
    told = []
    for i in range(n):
        at = context.clock.now() + timedelta(hours=first + i)
        value = 0.95 - 0.01 * i
        metric = EstimatedMetric(
            name="accuracy", value=value, low=value - 0.03, high=value + 0.02, reference=0.96
        )
        position = start + 200 * (i + 1)
        standing = StandingEstimate(
            model=ENDPOINT,
            version=1 if i < n // 2 else 2,
            position=position,
            first_position=position - 199,
            first_at=at,
            last_at=at,
            made_at=at,
            estimated=EstimatedQuality(
                method="cbpe", calibration="isotonic", n_rows=200, reference_n=1500, metrics=[metric]
            ),
        )
        estimates.record(PROJECT, ENDPOINT, standing)
        measured = LabelledMetric(name="accuracy", value=value - 0.015, low=value - 0.05, high=value + 0.02)
        told.append(
            LabelledPoint(position=position, labelled=LabelledQuality(n_labels=150, metrics=[measured]))
        )
    found = estimates.get(PROJECT, ENDPOINT).label_position
    estimates.measured(
        PROJECT,
        ENDPOINT,
        LabelledEstimates(from_label_position=found, label_position=found + 1, points=told[:n_labelled]),
    )


def tell_by_task(context: Context) -> None:
    """Record what is told of a version that forecasts, and of one without a target, after `estimate`."""
    errors = ForecastErrors(n=480, mae=4.25, rmse=5.0, bias=0.1, n_naive=456, naive_mae=1.7, relative_mae=2.5)
    unknown = ForecastErrors(n=20, mae=1.25, rmse=1.5, bias=0.0)
    forecast = ForecastReport(
        season=24,
        n_rows=600,
        n_labelled=500,
        overall=errors,
        horizons=[HorizonErrors(horizon=24, errors=errors), HorizonErrors(horizon=1, errors=unknown)],
    )
    shares = [ClusterShare(label="<i>0</i>", reference=0.25, current=0.75)]
    unsupervised = UnsupervisedReport(n_rows=600, answers="clusters", shares=shares)
    before = estimate(context)
    told = msgspec.structs.replace(
        before, position=before.position + 1, forecast=forecast, unsupervised=unsupervised
    )
    context.service(Estimates).record(PROJECT, ENDPOINT, told)
