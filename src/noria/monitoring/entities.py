"""Monitors, windows and alerts."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.config import Section
from noria.monitoring.delays.entities import LabelDelays
from noria.monitoring.detector import DropDetector
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts


class MonitorSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[monitors]`: how endpoints are watched.

    Attributes
    ----------
    window_rows
        Captured rows in a window, 20 to 1,000,000: fewer cannot be tested.
    window_s
        Cut windows by time instead, of so many seconds, 60 to 604,800 (a week).
    segments
        Endpoint → columns whose values part its rows: each part is watched for itself too.
    segment_values
        Values of a column that are told apart, the commonest of the reference; all others count as `other`.
    drift_level
        Expected share of false discoveries among the columns that a window calls drifted (Benjamini-Hochberg).
    drift_windows
        Consecutive windows with drift that make an alert.
    drift_psi
        Least population stability index, in nats, of a column that counts: a difference can be certain and small.
    quality_margin
        Drop of the mean score below the reference that is tolerated.
    tolerated_errors
        Share of a window's requests that may fail without an alert.
    tolerated_broken
        Share of a window's rows that may break a rule of the data that the version was trained on without an alert.
    tolerated_log_errors
        Errors that the model servers of an endpoint may log in five minutes without an alert.
    labels_per_false_alarm
        At least this many labels pass, on average, between two false alarms of what is looked at after each label.
    quality_rows
        Labels in a window that is compared whole with the held-out score.
    quality_level
        Most quiet windows of labels, as a share, in which that comparison raises a false alarm. With the defaults both
        together raise at most one in a hundred quiet windows.
    keep_windows
        Newest windows of each endpoint that are kept with their verdicts, 500 to 10,000,000; older ones go with the
        next look, or with `noria gc`.
    """

    window_rows: Annotated[int, msgspec.Meta(ge=20, le=1_000_000)] = 200
    window_s: Annotated[int, msgspec.Meta(ge=60, le=604_800)] | None = None
    segments: dict[str, list[str]] = msgspec.field(default_factory=dict)
    segment_values: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    drift_level: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01
    drift_windows: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2
    drift_psi: Annotated[float, msgspec.Meta(ge=0)] = 0.2
    quality_margin: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.02
    tolerated_errors: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.02
    tolerated_broken: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.01
    tolerated_log_errors: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 5
    labels_per_false_alarm: Annotated[int, msgspec.Meta(ge=10)] = 250_000
    quality_rows: Annotated[int, msgspec.Meta(ge=100, le=100_000)] = 500
    quality_level: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.008
    keep_windows: Annotated[int, msgspec.Meta(ge=500, le=10_000_000)] = 10_000


class AlertKind(enum.StrEnum):
    """What an alert is about.

    `rules`: rows break rules of the data that the version was trained on. `server`: no model server answers
    for an endpoint any more. `disk`: one of them has no room to keep what it answers. `logs`: they log more errors
    than is tolerated, and than is usual. `monitor`: no worker looks at what an endpoint answers, or its looks fail.
    """

    QUALITY = "quality"
    DRIFT = "drift"
    ERRORS = "errors"
    RULES = "rules"
    SERVER = "server"
    DISK = "disk"
    LOGS = "logs"
    MONITOR = "monitor"


class ColumnDrift(msgspec.Struct, frozen=True, kw_only=True):
    """How far one column of a window is from the reference.

    Attributes
    ----------
    test
        `ks`, `chi_squared`, or `missing` when the share of missing values moved most; `mean` of an input that is a
        vector, as a whole.
    p_value, adjusted_p_value
        Before and after the Benjamini-Hochberg adjustment over all columns, versions and segments of the window.
    psi
        Population stability index, in nats.
    usual_psi
        What it may be at this hour of the week by the history of the version; None while that is not known, or was not
        asked for since the column is close to the reference.
    drifted
        The difference is certain, large, and more than usual.
    """

    name: str
    test: str
    statistic: float
    p_value: float
    adjusted_p_value: float
    psi: float
    usual_psi: float | None = None
    drifted: bool


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a window against the reference; `columns` holds the ten that moved most."""

    n_columns: int
    n_drifted: int
    columns: list[ColumnDrift]

    @property
    def drifted(self) -> bool:
        """Tell whether any column drifted."""
        return self.n_drifted > 0


class WindowPart(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a window that one version answered, in one segment.

    Attributes
    ----------
    segment
        As `region = north`; empty for all rows of the version.
    drift
        Of the inputs; None where there were too few rows or nothing to compare them with.
    predictions
        Of the answers; None where the version has no golden batch of single values.
    """

    version: int
    segment: str = ""
    n_rows: int
    drift: DriftReport | None = None
    predictions: ColumnDrift | None = None

    @property
    def drifted(self) -> bool:
        """Tell whether an input or the predictions drifted."""
        return (self.drift is not None and self.drift.drifted) or (
            self.predictions is not None and self.predictions.drifted
        )


class ScoredRow(msgspec.Struct, frozen=True, array_like=True):
    """A labelled answer: where it was captured, and its score from 0 (wrong) to 1 (right)."""

    position: int
    score: float


class LabelWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over consecutive labels.

    Attributes
    ----------
    total, squares
        Of the scores, and of their squares.
    blocks, block
        Sums of the whole blocks of 25 labels, and of the one that is being filled.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    blocks: list[float] = []
    block: float = 0.0
    first_position: int
    last_position: int


class DropReport(msgspec.Struct, frozen=True, kw_only=True):
    """A drop that whole windows of labels show.

    Attributes
    ----------
    n, mean
        Labels in these windows, and their mean score.
    p_value
        Of a mean this low without a drop, for having looked at one, two and three windows.
    """

    n: int
    mean: float
    p_value: float
    first_position: int
    last_position: int


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled answers of the version that answers most requests, as of the newest label.

    Attributes
    ----------
    n
        Labels seen since the version was first watched.
    mean, low, high
        Mean score of the recent labels with its 95 % interval: Wilson's for a classifier, Student's otherwise.
    recent
        The newest 200 of them, oldest first.
    reference, reference_n
        Mean score on held-out rows at registration, and on how many.
    evidence, threshold
        Natural logarithm of the evidence for a drop, and where it makes an alert.
    windows, open_window
        The newest whole windows of labels, oldest first, and the one that is being filled.
    drop
        The first drop that whole windows showed since the monitor started or its alert was closed.
    """

    n: int
    mean: float
    low: float
    high: float
    recent: list[ScoredRow]
    reference: float
    reference_n: int
    evidence: float
    threshold: float
    windows: list[LabelWindow] = []
    open_window: LabelWindow | None = None
    drop: DropReport | None = None


class WindowRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of the training data that a window breaks.

    Attributes
    ----------
    name
        As `income: min`, or the name of a condition on rows.
    n_rows
        Rows that were held to it.
    n_broken, low, high
        Rows that break it, and the exact interval of their share; None for a rule of the whole, as the share of missing
        values is.
    surely
        Whether more rows than are tolerated break it for certain.
    """

    name: str
    n_rows: int
    n_broken: int | None = None
    low: float | None = None
    high: float | None = None
    surely: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive captured rows of an endpoint.

    Attributes
    ----------
    index
        Counts from 1 per endpoint.
    first_position, last_position
        Positions of the first and last captured row.
    version
        The model version that answered most rows.
    n_by_version
        Rows of each version.
    n_skewed
        Rows that were dated ahead of the clock when they were looked at; they count as answered then.
    starts_at, ends_at
        Of a window by time; None of one by count.
    drift, predictions
        Of all rows of `version`.
    parts
        Every version and segment that had rows.
    season
        What the usual drift of this hour of the week was learned from, or why it is not known; None where no column was
        far enough from the reference for it to matter.
    n_rules, rules
        How many rules of the training data its rows were held to, and those that they break.
    lacks
        What could not be looked at, and why.
    """

    index: int
    version: int
    first_position: int
    last_position: int
    first_at: datetime
    last_at: datetime
    n_rows: int
    n_errors: int
    n_by_version: dict[int, int] = {}
    n_skewed: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    drift: DriftReport | None
    predictions: ColumnDrift | None = None
    parts: list[WindowPart] = []
    season: str | None = None
    n_rules: int = 0
    rules: list[WindowRule] = []
    lacks: list[str] = []

    @property
    def drifted(self) -> bool:
        """Tell whether anything drifted: an input or the predictions of any part."""
        whole = WindowPart(
            version=self.version, n_rows=self.n_rows, drift=self.drift, predictions=self.predictions
        )
        return whole.drifted or any(part.drifted for part in self.parts)


class WindowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Windows, newest first; `next` continues."""

    items: list[Window]
    next: int | None


class Cutting(msgspec.Struct, frozen=True, kw_only=True):
    """How windows are cut, and which are not judged yet.

    Attributes
    ----------
    rows, span_s
        Rows in a window, or its seconds where windows are cut by time.
    base, origin_s
        Index of the first window that was cut this way; its start in seconds since 1970.
    n_rows
        Rows that were counted since.
    last
        The highest index so far.
    open
        Windows to which rows may still come, oldest first.
    """

    rows: int
    span_s: int | None = None
    base: int = 1
    origin_s: int = 0
    n_rows: int = 0
    last: int = 0
    open: list[Window] = []


class SegmentQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled answers of a version in a segment, or of a version beside the one that answers most.

    Attributes
    ----------
    segment
        As `region = north`; empty for all answers of the version.
    n_learned, total, squares
        Labels from which a segment's own reference is learned, and the sums of their scores and of these squared.
    detector, report
        None until the reference is known.
    """

    version: int
    segment: str = ""
    n_learned: int = 0
    total: float = 0.0
    squares: float = 0.0
    detector: DropDetector | None = None
    report: QualityReport | None = None


class SegmentQualityList(msgspec.Struct, frozen=True, kw_only=True):
    """By version and segment."""

    items: list[SegmentQuality]


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """What watches an endpoint, and how far it has got.

    Attributes
    ----------
    position, label_position
        Last captured row and last label that were taken in.
    version
        The version whose quality `detector` follows; 0 before the first look.
    quality
        As of the newest label.
    cutting
        How windows are cut; None before the first row.
    """

    id: str
    project: str
    endpoint: str
    position: int
    label_position: int
    version: int
    n_windows: int
    detector: DropDetector | None
    quality: QualityReport | None
    cutting: Cutting | None = None
    created_at: datetime
    looked_at: datetime | None


class MonitorList(msgspec.Struct, frozen=True, kw_only=True):
    """Monitors of a project, by endpoint."""

    items: list[Monitor]


class NewAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to be raised.

    Attributes
    ----------
    onset_position
        Captured row at which the trouble is estimated to begin.
    sentence
        What, how much, how sure.
    since
        When the trouble is estimated to begin; None where that is not known.
    segment
        Where the trouble is, when it is in one segment alone.
    """

    kind: AlertKind
    version: int
    figures: dict[str, float]
    sentence: str
    onset_position: int
    last_position: int
    since: datetime | None = None
    segment: str | None = None


class Alert(NewAlert, frozen=True, kw_only=True):
    """Something that was raised. One of a kind is open per endpoint at a time."""

    id: str
    project: str
    endpoint: str
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str | None


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, newest first; `next` continues."""

    items: list[Alert]
    next: str | None


class AlertOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An open alert that the figures no longer bear out, and why."""

    kind: AlertKind
    why: str


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one look of a monitor found. It is taken in once: only if the monitor still stands where it began.

    Attributes
    ----------
    from_position, from_label_position
        Where the monitor stood when the look began.
    windows
        Those that are over; one that is known already is told of anew, since rows came late.
    cutting, counts
        The windows that are not over, and the counters of every window that got rows: kept with `position` or not at
        all, so that each row is counted once.
    over
        Kinds of alert whose open one is closed before `alerts` are raised.
    delays
        Of the labels, with those of this look; None where nothing came.
    """

    from_position: int
    from_label_position: int
    position: int
    label_position: int
    version: int
    windows: list[Window]
    detector: DropDetector | None
    quality: QualityReport | None
    alerts: list[NewAlert]
    over: list[AlertOver] = []
    cutting: Cutting | None = None
    counts: list[WindowCounts] = []
    history: list[HistoryPoint] = []
    segments: list[SegmentQuality] = []
    delays: LabelDelays | None = None


class CloseAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an alert is over."""

    why: str
