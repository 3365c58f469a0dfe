"""Codes of a column that were exchanged for one another, as labelled rows tell it.

Where codes are about equally frequent and no other column hangs together with theirs, an exchange changes no look of
the column. But what the model loses on the rows of each code of today, were each of the known codes in its place, tells
which code each of them was: the assignment that loses least (Kuhn, 1955). It is found on one half of the rows and
judged on the other.

Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research Logistics Quarterly 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.case import State, losses_under, targets_of
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.recoding import FEW_CODES, TABLE, by_table, shares
from noria.decisions.replay.repairs import on_frame
from noria.decisions.replay.rows import Window
from noria.decisions.replay.world import Repair
from noria.decisions.stages.guards import Sign

if TYPE_CHECKING:
    import polars as pl

Parts = list[tuple[Window, NDArray[np.intp]]]

_FEWEST_ROWS = 40
_MOST_COLUMNS = 4
_SURE = 3.5  # standard errors: a few columns are asked, each of an assignment that other rows chose
_TWICE = 2.0
_LEFT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Codes of today that have to be others, and by how much less is lost with these."""

    name: str
    table: dict[str, str]
    gain: float
    se: float
    moved: float


def exchanged_codes(
    state: State, parts: Parts, importance: Mapping[str, tuple[float, float]], least: float, rise: float
) -> list[Sign]:
    """Find the column whose codes, put back, explain the rise of the loss.

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
    found = [_assigned(state, parts, name) for name in _suspects(state, importance, least)]
    explain = [
        each
        for each in found
        if each is not None and each.gain + 2 * each.se >= max(least, (1 - _LEFT) * rise)
    ]
    if not explain:
        return []
    best = max(explain, key=lambda each: each.gain)
    was = ", ".join(f"`{now}` for `{then}`" for now, then in sorted(best.table.items()))
    return [
        Sign(
            column=best.name,
            kind="exchanged",
            size=best.moved,
            natural=0.0,
            sentence=(
                f"`{best.name}` has {was}: with these codes put back, rows lose {best.gain:.4f} less (standard error "
                f"{best.se:.4f})"
            ),
            values={TABLE: best.table},
        )
    ]


def _suspects(state: State, importance: Mapping[str, tuple[float, float]], least: float) -> list[str]:
    """List columns of few codes on which the model leans enough; a wrong code in every row costs up to two shuffles."""
    known = state.inputs.reference
    ranked = sorted(importance, key=lambda name: -importance[name][0])
    return [
        name
        for name in ranked
        if name in known
        and 2 <= len(shares(known[name])) <= FEW_CODES
        and _TWICE * (importance[name][0] + 2 * importance[name][1]) >= least
    ][:_MOST_COLUMNS]


def _assigned(state: State, parts: Parts, name: str) -> _Found | None:
    """Assign codes of today to those of training, if rows that had no say in it agree."""
    known = state.inputs.reference
    codes = sorted(shares(known[name]))
    under = np.column_stack(
        [errors_with(state, parts, _all_of(state.world.raw, name, code)) for code in codes]
    )
    now = np.concatenate([state.scenes[window.number].columns[name][rows] for window, rows in parts])
    at = _places(now, codes)
    rows = np.flatnonzero((at >= 0) & np.isfinite(under).all(axis=1))
    half = np.arange(len(rows)) % 2 == 0
    if len(rows) < _FEWEST_ROWS:
        return None
    gains = np.zeros(len(rows))
    for taught in (half, ~half):
        chosen, judge = _cheapest(under[rows[taught]], at[rows[taught]]), rows[~taught]
        gains[~taught] = under[judge, at[judge]] - under[judge, chosen[at[judge]]]
    if gains.mean() <= _SURE * gains.std() / math.sqrt(len(gains)):
        return None
    chosen = _cheapest(under[rows], at[rows])
    table = {codes[i]: codes[to] for i, to in enumerate(chosen) if i != to}
    change = by_table(table, numeric=known[name].dtype.kind == "f")
    path = replace(state.path, repairs=(*state.path.repairs, on_frame(name, state.world.raw, change)))
    saved = losses_under(state, state.path, parts) - losses_under(state, path, parts)
    return _Found(
        name=name,
        table=table,
        gain=float(saved.mean()),
        se=float(saved.std() / math.sqrt(len(saved))),
        moved=float((chosen[at[rows]] != at[rows]).mean()),
    )


def _cheapest(under: Floats, at: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give for each code of today the code of training with which all rows together lose least."""
    from scipy.optimize import linear_sum_assignment

    total = np.zeros((under.shape[1], under.shape[1]))
    np.add.at(total, at, under)
    return np.asarray(linear_sum_assignment(total)[1], dtype=np.intp)


def _places(values: NDArray[Any], codes: list[str]) -> NDArray[np.intp]:
    """Give the place of each value among the codes; -1 for others."""
    place = {code: i for i, code in enumerate(codes)}
    return np.array([place.get(str(value), -1) for value in values], dtype=np.intp)


def errors_with(state: State, parts: Parts, repair: Repair) -> Floats:
    """Give what each labelled row is wrong by after a repair: 1 less its class's probability, or a number's loss."""
    path = replace(state.path, repairs=(*state.path.repairs, repair))
    if not state.world.classifies:
        return losses_under(state, path, parts)
    return np.concatenate(
        [
            1 - state.world.answer(path, window)[0].take(rows).share_of(window.actual[rows])
            for window, rows in parts
        ]
    )


def _all_of(reference: pl.DataFrame, name: str, code: str) -> Repair:
    """Give every row one code of a column."""
    value = float(code) if reference[name].dtype.is_numeric() or reference[name].dtype == "Boolean" else code
    return on_frame(name, reference, lambda values, _: np.full(len(values), value, dtype=values.dtype))
