"""Whether model servers log more errors than they should, and more than they usually do. Pure.

Errors come in bursts, so their number in five minutes is no Poisson count. It is held against the windows before
instead: a window is unusual when it has more errors than all but one in a hundred of them. Where windows are
exchangeable, one with nothing new to tell is called unusual with at most that chance, however its errors are
distributed (a conformal p-value: the rank of the newest among all).

References
----------
Vovk, V., Gammerman, A. and Shafer, G. (2005). Algorithmic learning in a random world. Springer (the rank of a new
observation among exchangeable ones).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from noria.serving.service_logs import LogWindow

LEVEL: Final = 0.01
"""Most windows with nothing new to tell, as a share, that are called unusual."""

FEWEST: Final = math.ceil(1 / LEVEL)
"""Windows of history before it is known what is usual: a bound that one in a hundred exceeds needs as many."""

CALM_WINDOWS: Final = 3
"""Windows in a row that are as they should be, before an alert is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRate:
    """Errors in a window beside what is tolerated and what is usual.

    Attributes
    ----------
    usual
        Errors that all but one in a hundred windows before had at most; None while there are too few to say.
    n_windows
        That this was learned from.
    """

    n_errors: int
    tolerated: int
    usual: int | None
    n_windows: int

    @property
    def bound(self) -> int:
        """Errors beyond which a window alarms."""
        return max(self.tolerated, self.usual or 0)

    @property
    def alarms(self) -> bool:
        """Tell whether there are more errors than are tolerated, and more than usual where that is known."""
        return self.n_errors > self.bound


def rate_of(window: LogWindow, before: Sequence[LogWindow], *, tolerated: int) -> LogRate:
    """Hold a window, which need not be over, against those before it.

    Parameters
    ----------
    tolerated
        Errors in five minutes that are no news.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> at = datetime(2030, 1, 1, tzinfo=UTC)
    >>> windows = [LogWindow(starts_at=at, n_warnings=0, n_errors=n) for n in (0, 9, *[7] * 99)]
    >>> found = rate_of(windows[1], windows[2:] + windows[:1], tolerated=5)
    >>> found.usual, found.alarms
    (7, True)
    """
    counts = sorted(each.n_errors for each in before)
    rank = math.ceil((1 - LEVEL) * (len(counts) + 1))
    usual = counts[rank - 1] if len(counts) >= FEWEST - 1 and rank <= len(counts) else None
    return LogRate(n_errors=window.n_errors, tolerated=tolerated, usual=usual, n_windows=len(counts))


def is_calm(windows: Sequence[LogWindow], bound: float) -> bool:
    """Tell whether the newest whole windows, newest first, have no more errors than a bound."""
    newest = windows[:CALM_WINDOWS]
    return len(newest) == CALM_WINDOWS and all(window.n_errors <= bound for window in newest)
