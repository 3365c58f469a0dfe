"""Find a drop of quality in a stream of labelled answers, watched at every label, with a stated rate of false alarms.

Each labelled answer has a score between 0 (wrong) and 1 (right). While the mean score stays at `floor` or above, the
factor 1 + b (floor - score) has an expectation of at most 1 for every stake b between 0 and 1/(1 - floor): a bet
against the model that cannot gain on average. The detector keeps, for several stakes, the wealth of a bettor who
starts again with 1 whenever it falls below (a CUSUM of bets), and alarms when the average wealth reaches
`1 / false_alarm_rate`. However long it watches, the expected number of labels before a false alarm is then at least
`1 / false_alarm_rate`, without any assumption on the scores beyond their range.

References
----------
Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection. The
New England Journal of Statistics in Data Science 2(2), 229-260. Definition 2.2 (e-detectors), section 3 (mixtures).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from noria.core.errors import Invalid

DROPS = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Drops below the floor that the stakes are the best ones for, in units of score."""


class DropDetector(msgspec.Struct, frozen=True, kw_only=True):
    """State of the detector; `update` gives the next one.

    Attributes
    ----------
    floor
        Mean score below which quality counts as dropped, in (0, 1).
    false_alarm_rate
        Most false alarms per label in the long run, in (0, 1).
    n
        Labels seen.
    log_wealth
        Natural logarithm of each bettor's wealth.
    n_since
        Labels since each bettor last started again: an estimate of how long ago the drop began.
    """

    floor: float
    false_alarm_rate: float
    n: int = 0
    log_wealth: tuple[float, ...] = (0.0,) * len(DROPS)
    n_since: tuple[int, ...] = (0,) * len(DROPS)

    def __post_init__(self) -> None:
        """Refuse parameters outside their ranges."""
        if not 0 < self.floor < 1:
            raise Invalid(f"The floor `{self.floor}` is not between 0 and 1")
        if not 0 < self.false_alarm_rate < 1:
            raise Invalid(f"The false alarm rate `{self.false_alarm_rate}` is not between 0 and 1")

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the average wealth."""
        highest = max(self.log_wealth)
        return highest + math.log(sum(math.exp(w - highest) for w in self.log_wealth) / len(self.log_wealth))

    @property
    def alarmed(self) -> bool:
        """Tell whether the evidence reached the threshold."""
        return self.log_evidence >= -math.log(self.false_alarm_rate)

    @property
    def n_since_onset(self) -> int:
        """Labels since the drop began, as the wealthiest bettor has it."""
        return self.n_since[max(range(len(DROPS)), key=self.log_wealth.__getitem__)]

    def update(self, scores: Iterable[float]) -> DropDetector:
        """Take in scores, oldest first; stops at the alarm, which it stays in.

        Raises
        ------
        Invalid
            If a score is not between 0 and 1.
        """
        state = self
        for score in scores:
            if state.alarmed:
                return state
            state = state._after(score)
        return state

    def _after(self, score: float) -> DropDetector:
        if not 0 <= score <= 1:
            raise Invalid(f"The score `{score}` is not between 0 and 1")
        wealth, since = [], []
        for drop, held, n in zip(DROPS, self.log_wealth, self.n_since, strict=True):
            start = 0 if held <= 0 else n
            wealth.append(max(held, 0.0) + math.log1p(_stake(self.floor, drop) * (self.floor - score)))
            since.append(start + 1)
        return msgspec.structs.replace(self, n=self.n + 1, log_wealth=tuple(wealth), n_since=tuple(since))


def _stake(floor: float, drop: float) -> float:
    """Give the stake that makes wealth grow fastest when answers are right or wrong and the mean is floor - drop.

    The maximiser of p log(1 - b(1 - m)) + (1 - p) log(1 + b m) over b is (m - p) / (m (1 - m)), with m the floor and
    p the mean (Kelly). It is kept below 1/(1 - m), where wealth could be lost to the last penny.
    """
    mean = max(floor - drop, floor / 4)
    return min((floor - mean) / (floor * (1 - floor)), 0.9 / (1 - floor))
