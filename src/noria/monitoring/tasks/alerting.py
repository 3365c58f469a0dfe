"""When forecasts that are worse than repeating the last season make an alert, and when that is over. Pure.

Errors of neighbouring times hang together, so rows are not tested but blocks of whole seasons: the differences of the
absolute errors of both forecasts are averaged in each block, and Student's t-test asks whether their mean is above
zero (batch means: Conway 1963; the comparison of two forecasts by loss differences: Diebold and Mariano 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from noria.core.stats.student import t_tail
from noria.monitoring.entities import Alert, AlertKind, AlertOver, NewAlert
from noria.monitoring.sentences import (
    FORECASTS_BACK,
    FORECASTS_WORSE,
    FORECASTS_WORSE_NEXT,
    OTHER_HORIZONS,
)
from noria.monitoring.tasks.forecasting import BesideNaive

LEVEL: Final = 0.001
"""Of one look, over all horizons. Looks share rows, so that a quiet season of looks raises more than this."""

FEWEST_BLOCKS: Final = 8
BLOCK_ROWS: Final = 25
"""A block has as many whole seasons as hold so many rows."""

RELATIVE: Final = "relative_mae"


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonVerdict:
    """Whether the forecasts of a horizon are surely worse than the seasonal baseline.

    Attributes
    ----------
    p_value
        Of the blocks, if the model were as good, times the number of horizons (Bonferroni).
    """

    horizon: int
    n: int
    n_blocks: int
    mae: float
    naive_mae: float
    p_value: float
    is_worse: bool

    @property
    def relative_mae(self) -> float:
        """The model's error over the naive one's."""
        return self.mae / self.naive_mae if self.naive_mae else math.inf


def judged_horizons(found: Sequence[BesideNaive], *, margin: float) -> list[HorizonVerdict]:
    """Judge each horizon that has at least eight blocks.

    Parameters
    ----------
    margin
        Share by which the error may be above that of the baseline: what is certain can be small.
    """
    blocks = [_block_means(each) for each in found]
    enough = [(each, means) for each, means in zip(found, blocks, strict=True) if means.size >= FEWEST_BLOCKS]
    verdicts = []
    for each, means in enough:
        p_value = min(1.0, len(enough) * _above_zero(means))
        mae, naive = float(each.own.mean()), float(each.naive.mean())
        verdicts.append(
            HorizonVerdict(
                horizon=each.horizon,
                n=each.own.size,
                n_blocks=means.size,
                mae=mae,
                naive_mae=naive,
                p_value=p_value,
                is_worse=p_value <= LEVEL and mae > (1 + margin) * naive,
            )
        )
    return verdicts


def forecast_alert(
    verdicts: Sequence[HorizonVerdict], *, season: int, version: int, positions: tuple[int, int]
) -> NewAlert | None:
    """Raise an alert when a horizon is worse than the baseline.

    Parameters
    ----------
    positions
        First and last captured row that was looked at.
    """
    worse = sorted((each for each in verdicts if each.is_worse), key=lambda each: -each.relative_mae)
    if not worse:
        return None
    top = worse[0]
    sentence = (FORECASTS_WORSE_NEXT if top.horizon == 1 else FORECASTS_WORSE) % {
        "steps": top.horizon,
        "season": season,
        "mae": f"{top.mae:.4g}",
        "naive": f"{top.naive_mae:.4g}",
        "n": top.n,
        "p": f"{top.p_value:.2g}",
    }
    if len(worse) > 1:
        counts = {"worse": len(worse) - 1, "others": len(verdicts) - 1}
        sentence = OTHER_HORIZONS % {"text": sentence, **counts}
    return NewAlert(
        kind=AlertKind.QUALITY,
        version=version,
        figures={
            "horizon": float(top.horizon),
            "n": float(top.n),
            "mae": top.mae,
            "naive_mae": top.naive_mae,
            RELATIVE: top.relative_mae,
            "adjusted_p_value": top.p_value,
        },
        sentence=sentence,
        onset_position=positions[0],
        last_position=positions[1],
    )


def is_of_forecasts(alert: Alert) -> bool:
    """Tell whether an alert was raised by `forecast_alert`: other labels do not end it."""
    return alert.kind is AlertKind.QUALITY and RELATIVE in alert.figures


def forecasts_over(opened: Sequence[Alert], verdicts: Sequence[HorizonVerdict]) -> list[AlertOver]:
    """Give the open alert about forecasts as over when every horizon is at least as good as the baseline."""
    if not verdicts or not all(each.mae <= each.naive_mae for each in verdicts):
        return []
    return [AlertOver(kind=alert.kind, why=FORECASTS_BACK) for alert in opened if is_of_forecasts(alert)]


def _block_means(found: BesideNaive) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Average the differences in blocks of whole seasons that follow one another."""
    seasons, starts = np.unique(found.seasons, return_index=True)
    sizes = np.diff(np.append(starts, found.seasons.size))
    blocks = (
        np.cumsum(sizes) // BLOCK_ROWS if sizes.size and sizes.max() < BLOCK_ROWS else np.arange(len(seasons))
    )
    of_rows = np.repeat(blocks, sizes)
    differences = found.own - found.naive
    totals, counts = np.bincount(of_rows, weights=differences), np.bincount(of_rows)
    return np.asarray(totals[counts > 0] / counts[counts > 0])


def _above_zero(means: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Give the one-sided p-value of Student's t-test that the mean is above zero."""
    mean, spread = float(means.mean()), float(means.std(ddof=1))
    if spread == 0:
        return 0.0 if mean > 0 else 1.0
    t = mean / (spread / math.sqrt(means.size))
    both = t_tail(t, means.size - 1)
    return both / 2 if t > 0 else 1 - both / 2
