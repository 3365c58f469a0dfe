"""Keep answers and the delays of their labels by when the answers were given, in so many buckets for ever. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import ArrayLike

from noria.monitoring.delays.entities import AnswerBucket, LabelDelays
from noria.monitoring.delays.estimating import bin_of

SHORTEST: Final = timedelta(minutes=1)
MOST: Final = 64


class LabelledAnswer(NamedTuple):
    """A label that came.

    Attributes
    ----------
    answered_at, received_at
        When the answer was given, and when its label came here.
    score
        0 to 1, of the version that is followed; None of others.
    """

    answered_at: datetime
    received_at: datetime
    score: float | None


def minute_of(at: datetime) -> datetime:
    """Give the start of the minute that a moment lies in."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def counted(
    before: LabelDelays,
    *,
    version: int,
    answers: Mapping[datetime, int],
    labels: Iterable[LabelledAnswer],
    now: datetime,
) -> LabelDelays:
    """Count answers and labels.

    Parameters
    ----------
    version
        Whose labels are scored. With another one than before, scores begin anew; delays are of whoever labels.
    answers
        Minute → rows that were answered in it.
    """
    kept = list(before.buckets)
    if version != before.version:
        kept = [replace(bucket, n_scored=0, total=0.0, squares=0.0) for bucket in kept]
    pieces = [_bucket(minute, n_rows=n) for minute, n in answers.items()]
    for label in labels:
        delay = bin_of((label.received_at - label.answered_at).total_seconds())
        piece = _bucket(minute_of(label.answered_at), delays={delay: 1})
        if label.score is not None:
            piece = replace(piece, n_scored=1, total=label.score, squares=label.score**2)
        pieces.append(piece)
    return LabelDelays(version=version, buckets=_fewer(_put_in(kept, pieces), now))


def _bucket(minute: datetime, *, n_rows: int = 0, delays: dict[int, int] | None = None) -> AnswerBucket:
    return AnswerBucket(starts_at=minute, ends_at=minute + SHORTEST, n_rows=n_rows, delays=delays or {})


def _put_in(buckets: list[AnswerBucket], pieces: Iterable[AnswerBucket]) -> list[AnswerBucket]:
    """Add each minute to the bucket that has it, or begin one."""
    starts = [bucket.starts_at for bucket in buckets]
    for piece in pieces:
        place = bisect_right(starts, piece.starts_at) - 1
        if place >= 0 and piece.starts_at < buckets[place].ends_at:
            buckets[place] = buckets[place].plus(piece)
        else:
            buckets.insert(place + 1, piece)
            starts.insert(place + 1, piece.starts_at)
    return buckets


def _fewer(buckets: list[AnswerBucket], now: datetime) -> list[AnswerBucket]:
    """Put neighbours together, those first that are old for what they would span."""
    while len(buckets) > 4 * MOST:
        # Weeks that are looked at for the first time: many at once, since to choose each takes as long as all.
        buckets = _half_of_pairs(buckets, now)
    while len(buckets) > MOST:
        place = min(range(len(buckets) - 1), key=lambda i: _coarseness(buckets[i], buckets[i + 1], now))
        buckets[place : place + 2] = [buckets[place].plus(buckets[place + 1])]
    return buckets


def _half_of_pairs(buckets: list[AnswerBucket], now: datetime) -> list[AnswerBucket]:
    """Part buckets into pairs, and put that half of them together that are oldest for what they would span."""
    pairs = list(zip(buckets[::2], buckets[1::2], strict=False))
    coarse = [_coarseness(*pair, now) for pair in pairs]
    limit = sorted(coarse)[len(coarse) // 2]
    found: list[AnswerBucket] = []
    for pair, each in zip(pairs, coarse, strict=True):
        found += [pair[0].plus(pair[1])] if each <= limit else pair
    return [*found, *buckets[2 * len(pairs) :]]


def _coarseness(first: AnswerBucket, second: AnswerBucket, now: datetime) -> float:
    age_s = (now - second.ends_at).total_seconds()
    return (second.ends_at - first.starts_at).total_seconds() / max(age_s, SHORTEST.total_seconds())


def minutes_of(at_us: ArrayLike, now: datetime) -> dict[datetime, int]:
    """Count moments, in microseconds since 1970, by minutes; those ahead of the clock count as now.

    Examples
    --------
    >>> found = minutes_of([0, 59_000_000, 61_000_000], datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    >>> [(f"{minute:%H:%M}", n) for minute, n in found.items()]
    [('00:00', 2), ('00:01', 1)]
    """
    last = math.floor(now.timestamp() / 60)
    minutes, counts = np.unique(np.minimum(np.asarray(at_us) // 60_000_000, last), return_counts=True)
    found = zip(minutes.tolist(), counts.tolist(), strict=True)
    return {datetime.fromtimestamp(60 * minute, UTC): n for minute, n in found}
