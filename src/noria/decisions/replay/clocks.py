"""A clock that was put forward or back: a time column from which features come, off by whole hours or a day.

As numbers such times look as ever, and no other column need hang together with them. But features such as the hour are
wrong, and labelled rows lose least under the shift that puts them right: it is chosen on one half of the rows and has
to be confirmed by the other.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.case import State, losses_under, targets_of
from noria.decisions.replay.halving import confirmed
from noria.decisions.replay.permuting import errors_with
from noria.decisions.replay.repairs import CLOCK, shifted_clock
from noria.decisions.replay.rows import Window
from noria.decisions.stages.guards import Sign

if TYPE_CHECKING:
    import polars as pl

Parts = list[tuple[Window, NDArray[np.intp]]]

_HOURS = (*range(-14, 15), -24, 24, -168, 168)
"""All zones of the earth, half of one being told as the nearest hour; a day and a week."""

_FEWEST_ROWS = 40
_TWICE = 2.0
_LEFT = 0.3


def shifted_clocks(
    state: State, parts: Parts, importance: Mapping[str, tuple[float, float]], least: float, rise: float
) -> list[Sign]:
    """Find the time column that, put right, explains the rise of the loss.

    Parameters
    ----------
    parts
        Windows with the labelled rows that lose more.
    importance
        What a shuffle of each raw column costs, with its standard error.
    least, rise
        Loss by row that has to be explained at least, and that rows lose more than calm ones.
    """
    if sum(len(rows) for _, rows in parts) < _FEWEST_ROWS or len(np.unique(targets_of(parts))) < 2:
        return []
    for name, dtype in state.world.raw.schema.items():
        mean, se = importance.get(name, (0.0, 0.0))
        if not _has_hours(dtype) or _TWICE * (mean + 2 * se) < least:
            continue
        hours = _hours_off(state, parts, name)
        if hours is None:
            continue
        path = replace(
            state.path, repairs=(*state.path.repairs, shifted_clock(name, datetime.timedelta(hours=hours)))
        )
        saved = losses_under(state, state.path, parts) - losses_under(state, path, parts)
        gain, se = float(saved.mean()), float(saved.std() / math.sqrt(len(saved)))
        if gain + 2 * se < max(least, (1 - _LEFT) * rise):
            continue
        says = (
            f"`{name}` is {abs(hours)} hours {'ahead' if hours < 0 else 'behind'}: put right, rows lose {gain:.4f} "
            f"less (standard error {se:.4f})"
        )
        return [
            Sign(
                column=name, kind=CLOCK, size=float(hours), natural=0.0, sentence=says, values={CLOCK: hours}
            )
        ]
    return []


def _has_hours(dtype: pl.DataType) -> bool:
    return str(dtype).startswith("Datetime")


def _hours_off(state: State, parts: Parts, name: str) -> int | None:
    """Give the hours to add, if rows that had no say in it agree."""
    under = np.column_stack(
        [
            errors_with(state, parts, shifted_clock(name, datetime.timedelta(hours=hours)))
            for hours in (0, *_HOURS)
        ]
    )
    return (0, *_HOURS)[confirmed(under)] or None
