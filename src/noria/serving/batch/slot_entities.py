"""The two slots of a batch, and how what they hold compares."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec


class Slot(enum.StrEnum):
    """One of the two places of a named batch."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> Slot:
        """The place beside it."""
        return Slot.GREEN if self is Slot.BLUE else Slot.BLUE


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot holds: the rows of the newest run that succeeded in it."""

    version: int
    run_id: str
    written: str
    n_rows: int
    at: datetime


class Verdict(enum.StrEnum):
    """What a comparison says of the version that is not live."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


class Metric(enum.StrEnum):
    """What versions are compared by, as a mean over rows."""

    ACCURACY = "accuracy"
    MAE = "mae"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger mean is a better one."""
        return self is Metric.ACCURACY


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Both slots of a batch held against the truth, row by row.

    Attributes
    ----------
    live_run, candidate_run
        Whose rows were compared.
    n_pairs
        Rows that both predicted and whose truth is known.
    n_blocks
        Units of the interval: rows, or blocks of rows that depend on one another.
    live_value, candidate_value
        The metric over these rows.
    gain, gain_low, gain_high
        By how much the candidate is better on average, in the metric's unit, with its always-valid interval; None for a
        bound that too few rows tell nothing of.
    level
        Probability with which the interval holds at all times together.
    method
        Which interval it is.
    """

    metric: Metric
    live: Slot
    live_run: str
    candidate_run: str
    live_version: int
    candidate_version: int
    n_pairs: int
    n_blocks: int
    n_without_truth: int
    live_value: float
    candidate_value: float
    gain: float
    gain_low: float | None
    gain_high: float | None
    level: float
    method: str
    verdict: Verdict
    truth: str


class NewComparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comparison to record; a rule of the batch may switch by it."""

    comparison: Comparison


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a comparison switches a batch by itself.

    Attributes
    ----------
    min_gain
        The candidate goes live when the interval of its gain lies above this.
    min_pairs
        Nor before so many rows have their truth.
    """

    min_gain: float = 0.0
    min_pairs: Annotated[int, msgspec.Meta(ge=1)] = 100


class SetRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule to set; None leaves switching to people."""

    rule: Rule | None = None


def slot_output(output: str, slot: Slot) -> str:
    """Give where a slot's own rows go.

    Examples
    --------
    >>> slot_output("scores", Slot.BLUE), slot_output("out/scores.parquet", Slot.GREEN)
    ('scores.blue', 'out/scores.green.parquet')
    >>> slot_output("postgresql://db/shop#daily.scores", Slot.BLUE)
    'postgresql://db/shop#daily.scores_blue'
    """
    if "://" in output:
        return f"{output}_{slot}"
    stem = output.removesuffix(".parquet")
    return f"{stem}.{slot}{output[len(stem) :]}"


def payload_of(comparison: Comparison) -> dict[str, Any]:
    """Give what an event tells of a comparison."""
    names = ("metric", "n_pairs", "gain", "gain_low", "gain_high", "verdict")
    return {name: getattr(comparison, name) for name in names}
