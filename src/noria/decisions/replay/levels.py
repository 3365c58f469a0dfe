"""A column of numbers that reads higher or lower than it did, by a level or in another unit, as labelled rows tell it.

Where no other column hangs together with it, a sensor that was exchanged and a world that moved look alike: its values
lie elsewhere. But the line that takes them back to where they lay just before is known without any label, and what rows
lose with it is known from labels. Only where the same line does both, and explains what is lost, the column is wrong: a
world that moved has targets to go with its inputs, and loses more once these are put elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.case import Case, State, losses_under, targets_of
from noria.decisions.replay.halving import confirmed
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.permuting import errors_with
from noria.decisions.replay.repairs import LEVEL, on_frame, taken_back
from noria.decisions.replay.rows import Columns, Window, joined
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.relations import RELATED
from noria.decisions.stages.scales import Line, lines

Parts = list[tuple[Window, NDArray[np.intp]]]

_FEWEST_ROWS = 40
_LATELY = 2  # windows
_MOST_COLUMNS = 4
_SHARES = (0.5, 0.75, 1.0, 1.25, 1.5)
_LEFT = 0.3


def shifted_levels(state: State, case: Case, parts: Parts, least: float, rise: float) -> list[Sign]:
    """Find the column that, taken back to where it lay before the onset, explains the rise of the loss.

    Parameters
    ----------
    parts
        Windows with the labelled rows that lose more.
    least, rise
        Loss by row that has to be explained at least, and that rows lose more than calm ones.
    """
    if sum(len(rows) for _, rows in parts) < _FEWEST_ROWS or len(np.unique(targets_of(parts))) < 2:
        return []
    earlier = [window for window in state.seen if window.number < case.onset][-_LATELY:]
    if not earlier:
        return []
    lately = joined([state.scenes[window.number].columns for window in earlier])
    found = [_taken_back(state, parts, name, lately) for name in _moved(state, case)[:_MOST_COLUMNS]]
    explain = [
        each
        for each in found
        if each is not None and each.gain + 2 * each.se >= max(least, (1 - _LEFT) * rise)
    ]
    if not explain:
        return []
    best = max(explain, key=lambda each: each.gain)
    return [
        Sign(
            column=best.name,
            kind="mapped",
            size=0.0,
            natural=0.0,
            sentence=(
                f"`{best.name}` reads {_words(best.line)}: taken back to where it lay, rows lose {best.gain:.4f} less "
                f"(standard error {best.se:.4f})"
            ),
            values={LEVEL: True, "slope": best.line.slope, "offset": best.line.offset},
        )
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The line that a column became, and by how much less is lost without it."""

    name: str
    line: Line
    gain: float
    se: float


def _moved(state: State, case: Case) -> list[str]:
    """List columns of numbers that lie elsewhere since the onset, and which no other column says do so by right."""
    newest = state.scenes[state.now]
    relations = state.inputs.relations
    return [
        name
        for name in sorted(newest.moved)
        if state.inputs.reference[name].dtype.kind == "f"
        and (relations.related(name) <= RELATED or name in newest.look.strained)
        and name not in case.innocent
    ]


def _taken_back(state: State, parts: Parts, name: str, lately: Columns) -> _Found | None:
    """Choose a line on one half of the rows, and have the other agree."""
    columns = joined([state.scenes[window.number].columns for window, _ in parts])
    tried = [
        line
        for line in _candidates(lately[name], columns[name])
        if name
        not in state.inputs.look_at(
            state.now, {**columns, name: line.back(columns[name])}, is_one=False
        ).moved
    ]
    if not tried:
        return None
    # The first of all changes nothing.
    every = [Line(slope=1.0, offset=0.0), *tried]
    repairs = [on_frame(name, state.world.raw, taken_back(line)) for line in every]
    under = np.column_stack([errors_with(state, parts, repair) for repair in repairs])
    best = confirmed(under)
    if not best:
        return None
    path = replace(state.path, repairs=(*state.path.repairs, repairs[best]))
    saved = losses_under(state, state.path, parts) - losses_under(state, path, parts)
    return _Found(
        name=name,
        line=every[best],
        gain=float(saved.mean()),
        se=float(saved.std() / math.sqrt(len(saved))),
    )


def _candidates(before: Floats, now: Floats) -> list[Line]:
    """List lines that take values to where they lay: levels about the one of the medians, and what quantiles tell."""
    before, now = before[np.isfinite(before)], now[np.isfinite(now)]
    if min(len(before), len(now)) < _FEWEST_ROWS:
        return []
    level = float(np.median(now) - np.median(before))
    return [*(Line(slope=1.0, offset=share * level) for share in _SHARES), *lines(before, now)]


def _words(line: Line) -> str:
    if line.slope == 1.0:
        return f"{abs(line.offset):.4g} {'more' if line.offset > 0 else 'less'} than it did"
    return f"{line.slope:.4g} times what it did" + (f" and {line.offset:+.4g}" if line.offset else "")
