"""What is kept and told of the time that labels take to come."""

from __future__ import annotations

from datetime import datetime

import msgspec


class AnswerBucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that were answered in a stretch of time, with the trusted labels that came of them.

    Attributes
    ----------
    starts_at, ends_at
        The end is not part of it.
    n_rows
        Captured rows, of all versions.
    delays
        Bin of a delay (`estimating.bin_of`) → labels that took so long, from the answer to their arrival here.
    n_scored, total, squares
        Labels of the version that answers most requests, the sum of their scores, and of the squares of these.
    """

    starts_at: datetime
    ends_at: datetime
    n_rows: int = 0
    delays: dict[int, int] = {}
    n_scored: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def n_labels(self) -> int:
        """How many labels came."""
        return sum(self.delays.values())

    def plus(self, other: AnswerBucket) -> AnswerBucket:
        """Give both, and what lies between them, as one."""
        delays = dict(self.delays)
        for each, n in other.delays.items():
            delays[each] = delays.get(each, 0) + n
        return AnswerBucket(
            starts_at=min(self.starts_at, other.starts_at),
            ends_at=max(self.ends_at, other.ends_at),
            n_rows=self.n_rows + other.n_rows,
            delays=delays,
            n_scored=self.n_scored + other.n_scored,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )


class LabelDelays(msgspec.Struct, frozen=True, kw_only=True):
    """Answers and their labels by when they were given.

    Attributes
    ----------
    version
        Whose labels are scored; 0 before the first.
    buckets
        Oldest first; none overlap. The older they are the more time they span.
    """

    version: int = 0
    buckets: list[AnswerBucket] = []


class AnswerQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How the labels of some answers stand.

    Attributes
    ----------
    expected
        Share of the labels that will come which is expected to be here by now, 0 to 1; None while that is not known.
    mean, low, high
        Mean score of the labels so far with its 95 % interval; None without any.
    is_early
        Fewer than nine of ten labels are expected yet, or it is not known how many: the mean may still move, the more
        so where the time that a label takes depends on what it says.
    """

    starts_at: datetime
    ends_at: datetime
    n_rows: int
    n_labels: int
    expected: float | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    is_early: bool = True


class DelayReport(msgspec.Struct, frozen=True, kw_only=True):
    """How long labels take, and how complete they are.

    Attributes
    ----------
    n_labels
        That this was learned from.
    horizon_s
        The longest delay that could be seen yet, in seconds: of labels that take longer nothing is known.
    median_s, high_s
        Delays within which half of the labels come, and 95 of 100; None while that is not known.
    label_share
        Share of the answered rows that get a label in the end; None while that is not known.
    n_early, early_expected
        Rows of early answers, and the share of their labels that is expected by now; None while that is not known.
    lacks
        Why shares are not known; None where they are.
    answers
        By when they were given, oldest first.
    """

    n_labels: int
    horizon_s: float
    median_s: float | None = None
    high_s: float | None = None
    label_share: float | None = None
    n_early: int = 0
    early_expected: float | None = None
    lacks: str | None = None
    answers: list[AnswerQuality] = []
