"""Predictions that a model server captured, their labels, and figures over them."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from typing import Annotated, Any

import msgspec

from noria.serving.label_trust import LabelTrust
from noria.serving.sums import RowSums

PredictionId = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"\A[!-~]+\Z")]
"""Printable characters without spaces; those that Noria makes are hex digits, with a row number behind a hyphen."""

KEY = "key:"
"""Before the names of outputs that name the row: columns of a batch's input, by which labels find it."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]

ShortText = Annotated[str, msgspec.Meta(max_length=200, pattern=r"\A[^\x00]*\Z")]

LabelValue = (
    Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    | float
    | Annotated[str, msgspec.Meta(max_length=1000)]
    | bool
)
"""Of the kind that the model predicts: a number or a text."""


class CaptureRole(enum.StrEnum):
    """For whom a version predicted.

    `answer` for the caller. `shadow` beside the version that answered, `first` as the version of a cascade that was
    not sure enough: nobody was given these, and they have the id of the answer that they stand beside.
    """

    ANSWER = "answer"
    SHADOW = "shadow"
    FIRST = "first"


ROLES = tuple(CaptureRole)
"""By the number that stands for each where requests are packed."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a version answered, or failed to.

    Attributes
    ----------
    id
        Of the request when it has one row, else `<request id>-<row>`; what a shadow predicts has the id of the answer.
    row
        Index in the request. Requests are counted by their row 0.
    inputs, outputs
        Values by name; a value is a number, text, truth value, or nested lists of them.
    latency_us
        Of the whole request in the model.
    revision
        Of the endpoint when it was answered.
    """

    id: PredictionId
    version: int
    at: Instant
    inputs: dict[str, Any]
    outputs: dict[str, Any] = {}
    latency_us: int = 0
    error: str | None = None
    row: int = 0
    revision: int = 0
    role: CaptureRole = CaptureRole.ANSWER


class CaptureBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Predictions to be kept; those whose id is known already are left as they are."""

    predictions: list[Prediction]


class CaptureReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a batch were new."""

    accepted: int
    duplicate: int


class NewLabel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a prediction should have been.

    Attributes
    ----------
    value
        Of the kind that the model predicts: a number or a text.
    at
        When the truth was known; when it is received if left out.
    source
        Where it comes from; `[labels]` says which are not trusted.
    corrects
        Whether it takes the place of the label that stands, which has to be trusted as far.
    client
        Whom an untrusted label counts against; a model server says it of its callers. Nobody can be found by what is
        stored of it.
    """

    prediction_id: PredictionId
    value: LabelValue
    at: Instant | None = None
    source: ShortText | None = None
    corrects: bool = False
    client: ShortText | None = None


class PastOutcome(enum.StrEnum):
    """What became of a value that does not stand.

    `corrected` by a later one, `replaced` by one that is trusted further, or `refused` since it contradicted.
    """

    CORRECTED = "corrected"
    REPLACED = "replaced"
    REFUSED = "refused"


class LabelBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels to be kept; the first one for a prediction stands."""

    labels: list[NewLabel]


class LabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of labels.

    Attributes
    ----------
    accepted
        How many are new.
    unknown
        Ids that no prediction of the endpoint has.
    duplicate
        Ids that have the same label already.
    conflicting
        Ids that have another label, which stands; the contradiction is counted on it.
    mistyped
        Ids whose prediction is of another kind than the label (a text for a number).
    capped
        Ids whose label is not trusted, and was one too many of its client.
    corrected
        How many took the place of another value.
    """

    accepted: int = 0
    unknown: list[str] = []
    duplicate: list[str] = []
    conflicting: list[str] = []
    mistyped: list[str] = []
    capped: list[str] = []
    corrected: int = 0


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a prediction should have been.

    Attributes
    ----------
    at
        When the truth was known.
    position
        Place in the order of arrival of the endpoint's labels.
    n_contradictions
        How often another value was sent for the same prediction.
    trust
        How far it is trusted; what is done by labels is done by trusted ones alone.
    n_corrections
        How often another value took its place.
    received_at
        When it came here, which may be long after `at`; None for those of before this was kept.
    """

    prediction_id: str
    value: int | float | str | bool
    at: datetime
    source: str | None
    position: int
    n_contradictions: int = 0
    trust: LabelTrust = LabelTrust.TRUSTED
    n_corrections: int = 0
    received_at: datetime | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether something may be done by it."""
        return self.trust is LabelTrust.TRUSTED


class PastLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was given for a prediction and does not stand."""

    value: int | float | str | bool
    source: str | None
    trust: LabelTrust
    outcome: PastOutcome
    at: datetime


class LabelHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The label of a prediction, and up to 20 values beside it, oldest first."""

    prediction_id: str
    label: Label | None
    past: list[PastLabel]


class CapturedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A captured prediction with its place and, once it has one, its label."""

    position: int
    prediction: Prediction
    label: Label | None = None


class CaptureOrder(enum.StrEnum):
    """By what captured rows are read: in the order of their capture, or of the arrival of their labels."""

    CAPTURED = "captured"
    LABELLED = "labelled"


class CapturePage(msgspec.Struct, frozen=True, kw_only=True):
    """Captured rows.

    Attributes
    ----------
    next
        Cursor for the rows that follow (`after`), also when there are none yet; equal to the `after` that was asked
        with when the page is empty.
    more
        Whether rows follow already.
    """

    items: list[CapturedRow]
    next: int
    more: bool


class VersionStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and sums over what one version answered.

    Attributes
    ----------
    n_requests, n_errors
        Requests, and those that raised.
    n_rows
        Rows of all requests.
    latency_sum_us, latency_sum_squares
        Over requests without error; microseconds and their squares.
    latency_buckets
        Bucket (see `latency_bucket`) → number of requests.
    n_labelled
        Rows with a label.
    n_judged, n_correct
        Labelled rows of a classifier, and those it was right about.
    n_measured, abs_error_sum, abs_error_sum_squares
        Labelled rows of a regressor, and their absolute errors.
    sums
        What gates need beside these.
    """

    version: int
    n_requests: int = 0
    n_rows: int = 0
    n_errors: int = 0
    latency_sum_us: float = 0.0
    latency_sum_squares: float = 0.0
    latency_buckets: dict[int, int] = {}
    n_labelled: int = 0
    n_judged: int = 0
    n_correct: int = 0
    n_measured: int = 0
    abs_error_sum: float = 0.0
    abs_error_sum_squares: float = 0.0
    sums: RowSums = RowSums()

    @property
    def accuracy(self) -> float | None:
        """Share of judged rows that were right."""
        return self.n_correct / self.n_judged if self.n_judged else None

    @property
    def mean_latency_ms(self) -> float | None:
        """Mean latency of requests without error."""
        answered = self.n_requests - self.n_errors
        return self.latency_sum_us / answered / 1000 if answered > 0 else None

    def latency_quantile_ms(self, q: float) -> float | None:
        """Approximate a quantile of the latency, within a fifth of its value."""
        total = sum(self.latency_buckets.values())
        seen = 0
        for bucket in sorted(self.latency_buckets):
            seen += self.latency_buckets[bucket]
            if seen >= q * total:
                return bucket_upper_us(bucket) / 1000
        return None


class StatsTable(msgspec.Struct, frozen=True, kw_only=True):
    """Figures by version."""

    items: list[VersionStats]

    def of(self, version: int) -> VersionStats:
        """Give the figures of one version; zeros when it answered nothing."""
        return next((item for item in self.items if item.version == version), VersionStats(version=version))


class PredictionIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids to look for."""

    ids: list[PredictionId]


class LocatedPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """Where a prediction was captured."""

    prediction_id: str
    project: str
    endpoint: str


class LocatedPredictions(msgspec.Struct, frozen=True, kw_only=True):
    """Those of the ids that were found."""

    items: list[LocatedPrediction]


_BUCKETS_PER_DOUBLING = 4


def latency_bucket(latency_us: int) -> int:
    """Give the bucket of a latency: four buckets for each doubling, so a bound is at most 19 % off."""
    return int(_BUCKETS_PER_DOUBLING * math.log2(max(1, latency_us)))


def bucket_upper_us(bucket: int) -> float:
    """Give the upper end of a bucket in microseconds."""
    return float(2 ** ((bucket + 1) / _BUCKETS_PER_DOUBLING))


def prediction_ids(request_id: str, n_rows: int) -> list[str]:
    """Give the ids of the rows of a request.

    Examples
    --------
    >>> prediction_ids("a", 1), prediction_ids("a", 2)
    (['a'], ['a-0', 'a-1'])
    """
    return [request_id] if n_rows == 1 else [f"{request_id}-{row}" for row in range(n_rows)]


class CaptureHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where the captured rows and the labels of an endpoint end; 0 when there are none.

    Attributes
    ----------
    n_rows
        Rows behind the position that was asked with, counted up to 1000. Positions are shared by all endpoints, so
        their difference says nothing about it.
    """

    position: int
    label_position: int
    n_rows: int = 0
