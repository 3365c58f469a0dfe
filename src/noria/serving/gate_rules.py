"""What a step of a rollout has to pass, and what its gates say."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

BlockRows = Literal[1, 10, 100, 1000]
"""Rows that count as one: 1 where each row stands for itself, more where rows that follow one another fail together."""


class ErrorGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of requests that fail may not grow by more than `max_increase` (0 to 1).

    Attributes
    ----------
    block_rows
        Requests whose mean counts as one.
    """

    max_increase: Share = 0.02
    block_rows: BlockRows = 1


class LatencyGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean latency may not grow beyond `max_ratio` times the old version's.

    A mean below `ignore_below_ms` passes whatever the ratio: nobody waits for it.

    Attributes
    ----------
    block_rows
        Requests whose mean counts as one.
    """

    max_ratio: Annotated[float, msgspec.Meta(ge=1.0)] = 2.0
    ignore_below_ms: Annotated[float, msgspec.Meta(ge=0.0)] = 50.0
    block_rows: BlockRows = 1


class SlowGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `max_share` of the requests may take longer than `limit_ms`: a quantile of the latency, told by rows.

    Attributes
    ----------
    limit_ms
        Rounded down to one of four steps of each doubling, as latencies are counted, so what is counted as longer may
        be up to a fifth shorter.
    max_share
        0.01 asks that the 99th percentile is at most the limit, 0.05 the 95th.
    """

    limit_ms: Annotated[float, msgspec.Meta(gt=0.0)]
    max_share: Share = 0.01


class PredictionsGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is predicted may not be distributed too differently from what the old version predicts.

    Attributes
    ----------
    max_distance
        Largest difference of cumulative shares (Kolmogorov-Smirnov distance), 0 to 1.
    """

    max_distance: Share = 0.3


class Metric(enum.StrEnum):
    """What labelled quality is told by.

    Of classifiers: `accuracy`; `f1` of one class; `auc` of two classes, by pairs of rows. Of regressors: mean absolute
    error `mae`, root mean squared error `rmse`, and `mape`, the mean absolute error relative to the truth, of which no
    row counts more than 1.
    """

    ACCURACY = "accuracy"
    F1 = "f1"
    AUC = "auc"
    MAE = "mae"
    RMSE = "rmse"
    MAPE = "mape"


class QualityGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The labelled quality may not be worse by more than a margin.

    Attributes
    ----------
    max_loss
        Of accuracy, F1, AUC and MAPE, the loss that is tolerated (0 to 1); of mean absolute error and root mean
        squared error, the tolerated relative growth.
    min_labels
        The gate judges once both versions have this many labelled rows.
    required
        True: wait for the labels. False: pass while there are fewer than `min_labels`.
    metric
        Left out: accuracy of a classifier, mean absolute error of a regressor.
    positive
        The class that F1 is about, as text.
    block_rows
        Labelled rows whose mean counts as one; F1 is told by rows alone.
    """

    max_loss: Share = 0.03
    min_labels: Annotated[int, msgspec.Meta(ge=1)] = 30
    required: bool = False
    metric: Metric | None = None
    positive: str | None = None
    block_rows: BlockRows = 1

    def __post_init__(self) -> None:
        if self.metric is Metric.F1 and self.positive is None:
            raise ValueError("A gate on F1 needs the class that it is about as `positive`")
        if self.metric is Metric.F1 and self.block_rows != 1:
            raise ValueError("F1 is told by rows alone, so `block_rows` has to be 1")


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step of a rollout has to pass; None leaves a gate out.

    Attributes
    ----------
    slow
        Quantiles of the latency.
    predictions
        Distribution of what is predicted.
    confidence
        A gate passes when the upper bound of an always-valid interval at this confidence is within the limit.
    abort_confidence
        A gate fails when the lower bound at this confidence is beyond the limit. Higher than `confidence`, since
        each gate of each step may be wrong that often.
    """

    errors: ErrorGate | None = ErrorGate()
    latency: LatencyGate | None = LatencyGate()
    slow: SlowGate | None = None
    predictions: PredictionsGate | None = None
    quality: QualityGate | None = QualityGate()
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1.0)] = 0.95
    abort_confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1.0)] = 0.999


class Verdict(enum.StrEnum):
    """What a gate says: go on, go back, or not known yet."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    WAIT = "wait"


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate says about one step, with the figures that it was said from."""

    gate: str
    verdict: Verdict
    sentence: str
    figures: dict[str, float | int | None] = {}
