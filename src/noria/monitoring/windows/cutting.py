"""Which window a row belongs to. Pure.

Windows by count hold so many rows, in the order of their capture. Windows by time begin at multiples of their length
since 1970, and a row belongs to the one in which it was answered, however late it is captured: so the windows are the
same in whatever batches and order their rows come.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from noria.monitoring.entities import Cutting, MonitorSection, Window

LATE_S: Final = 60.0
"""A window by time is told of so long after its end; a row that comes later still is counted, and told of again."""

SKEW: Final = timedelta(minutes=10)
"""Clocks of model servers may differ by so much; what is dated further ahead counts as answered now."""


def begin(settings: MonitorSection, *, index: int, at: datetime) -> Cutting:
    """Start to cut windows, the first of which gets `index`."""
    span = settings.window_s
    origin = int(at.timestamp()) // span * span if span else 0
    return Cutting(rows=settings.window_rows, span_s=span, base=index, origin_s=origin, last=index - 1)


def is_as_set(cutting: Cutting, settings: MonitorSection) -> bool:
    """Tell whether windows are still cut as the settings say."""
    if cutting.span_s != settings.window_s:
        return False
    return cutting.span_s is not None or cutting.rows == settings.window_rows


def bounds(cutting: Cutting, index: int) -> tuple[datetime, datetime] | None:
    """Give start and end of a window by time; None of one by count."""
    if cutting.span_s is None:
        return None
    start = cutting.origin_s + (index - cutting.base) * cutting.span_s
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(start + cutting.span_s, UTC)


def is_over(cutting: Cutting, window: Window, now: datetime) -> bool:
    """Tell whether a window is to be judged: it is full, or its time is over."""
    if window.ends_at is not None:
        return now >= window.ends_at + timedelta(seconds=LATE_S)
    return cutting.span_s is not None or window.n_rows >= cutting.rows


def due_at(cutting: Cutting | None) -> datetime | None:
    """Give when the first open window by time is to be judged."""
    ends = [window.ends_at for window in cutting.open if window.ends_at] if cutting else []
    return min(ends) + timedelta(seconds=LATE_S) if ends else None


def n_wanted(cutting: Cutting | None, settings: MonitorSection, *, most: int) -> int:
    """Give how many new rows make a look worth while: those that a window by count lacks, `most` at most."""
    if settings.window_s is not None:
        return most
    n_open = cutting.open[-1].n_rows if cutting and cutting.open and is_as_set(cutting, settings) else 0
    return min(most, settings.window_rows - n_open)
