"""What labelled rows tell of the inputs: faults that change no look of a column, and looks that cost nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from noria.decisions.replay.case import Case, State, losses_under, targets_of
from noria.decisions.replay.clocks import shifted_clocks
from noria.decisions.replay.importance import importances
from noria.decisions.replay.levels import shifted_levels
from noria.decisions.replay.misjoined import misjoined
from noria.decisions.replay.permuting import exchanged_codes
from noria.decisions.replay.repairs import UNRELATED, drawn_from
from noria.decisions.replay.rows import joined
from noria.decisions.replay.watch import Rise
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.repeats import contradicting
from noria.decisions.stages.silence import Side, silent_column

_ENOUGH = 40
_NEWEST = 4
_MOST_SUSPECTS = 4
_SURELY = 2.0  # standard errors
_STRANGERS = 0.05
_EXPLAINS = 0.7  # of the half width of an interval at 0.2 %: two standard errors


def told_by_labels(state: State, case: Case, rise: Rise, n_rows: int) -> list[Sign]:
    """Find what no look of the columns tells, but what labelled rows lose: what can be put back exactly comes first.

    Parameters
    ----------
    rise
        A real rise of the loss, which a sign has to explain.
    n_rows
        Number of rows among which broken relations would have been seen.
    """
    copied = _given_to_others(state, case) if state.inputs.tells_copies else []
    # What a column says about the target is known of training rows' rule only.
    if copied or state.relearnt:
        return copied
    parts, least = case.labelled(state)[-_NEWEST:], _to_explain(rise)
    importance = _importances(state)
    return (
        exchanged_codes(state, parts, importance, least, rise.rise)
        or shifted_clocks(state, parts, importance, least, rise.rise)
        or shifted_levels(state, case, parts, least, rise.rise)
        or _silent(state, case, rise, n_rows)
        or misjoined(state, parts, rise, least)
    )


def cannot_have_cost(state: State, case: Case, signs: list[Sign]) -> frozenset[str]:
    """List columns that look otherwise than ever, as a moving world may have it, and cannot have cost what is lost.

    With values drawn from training rows in their place, live rows lose what whole columns would let them lose and what
    a shuffle costs at most; what they lose now beyond that is all that these columns can explain.
    """
    rise, raw = case.rise, state.world.raw
    doubtful = sorted({sign.column for sign in signs if not sign.hard and sign.column in raw.columns})
    parts = case.labelled(state)
    if rise is None or not rise.is_real or not doubtful or not parts:
        return frozenset()
    known = _importances(state)
    drawn = replace(state.path, repairs=(*state.path.repairs, drawn_from(raw, doubtful)))
    saved = losses_under(state, state.path, parts) - losses_under(state, drawn, parts)
    most = float(saved.mean() + _SURELY * saved.std() / np.sqrt(len(saved)))
    for name in doubtful:
        mean, se = known.get(name, (math.inf, 0.0))
        most += max(mean, 0.0) + _SURELY * se
    return frozenset(doubtful) if most < _to_explain(rise) else frozenset()


def _given_to_others(state: State, case: Case) -> list[Sign]:
    """Find rows that have the inputs of other rows, which their targets tell."""
    before = [w for w in state.seen if w.number < case.onset]
    sides = []
    for parts in ([(w, w.labelled(state.now)) for w in before], case.labelled(state)):
        kept = [(w, rows) for w, rows in parts if len(rows)]
        columns = [
            {name: values[rows] for name, values in state.scenes[w.number].columns.items()}
            for w, rows in kept
        ]
        sides.append((joined(columns) if columns else {}, targets_of(kept)))
    calm, live = sides
    if len(calm[1]) < _ENOUGH:
        calm = (state.inputs.reference, state.world.actual)
    found = contradicting(calm, live)
    return [] if found is None else [found]


def _silent(state: State, case: Case, rise: Rise, n_rows: int) -> list[Sign]:
    """Find a column that keeps its looks and tells nothing any more; shuffling it would cost about what is lost."""
    parts = case.labelled(state)
    encoding = state.inputs.relations.encoding
    least = _to_explain(rise)
    known = _importances(state)
    ranked = sorted(encoding.names, key=lambda name: -known.get(name, (0.0, 0.0))[0])[:_MOST_SUSPECTS]
    suspects = [
        name
        for name in ranked
        # Where a column hangs together with the others, its relations would tell that it was shuffled.
        if known.get(name, (0.0, 0.0))[0] >= least and not state.inputs.relations.would_show(name, n_rows)
    ]
    targets = targets_of(parts)
    strange = state.world.classifies and ~np.isin(targets, state.world.actual)
    # Classes that training never had are told by other columns, or by none.
    if not suspects or not parts or np.mean(strange) > _STRANGERS:
        return []
    live = np.vstack([encoding(state.scenes[window.number].columns)[rows] for window, rows in parts])
    found = silent_column(
        Side(rows=state.inputs.relations.rows, targets=state.world.actual),
        Side(rows=live, targets=targets),
        {name: np.flatnonzero(encoding.owners == index) for index, name in enumerate(encoding.names)},
        suspects,
    )
    if found is None:
        return []
    name, then, now = found
    says = (
        f"`{name}` looks as always but tells nothing about the target any more: leaving it out of a small model costs "
        f"{now.mean:+.4f} (standard error {now.se:.4f}), on training rows {then.mean:+.4f}"
    )
    return [Sign(column=name, kind=UNRELATED, size=now.mean, natural=then.mean, sentence=says)]


def _to_explain(rise: Rise) -> float:
    """Give the least that has to be explained of a rise."""
    return max(rise.rise - _EXPLAINS * (rise.rise - rise.low), 0.0)


def _importances(state: State) -> dict[str, tuple[float, float]]:
    if state.importance is None:
        state.importance = importances(state.world, state.baseline)
    return state.importance
