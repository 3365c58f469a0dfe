"""What the labels of the newest windows raise by themselves."""

from __future__ import annotations

import numpy as np

from noria.decisions.replay.case import State, targets_of
from noria.decisions.stages.new_class import FEWEST

TARGET = "target"
_NEWEST = 4


def unknown_classes(state: State, settled: int) -> list[str]:
    """List classes that came often enough since a window to be no slip, and that the model was not taught."""
    if not state.world.classifies:
        return []
    newest = [w for w in state.seen if w.number > settled and len(w.labelled(state.now))][-_NEWEST:]
    labels = targets_of([(w, w.labelled(state.now)) for w in newest])
    names, counts = np.unique(labels, return_counts=True)
    known = {str(name) for name in np.unique(state.world.actual)}
    learnt = state.world.model_for(state.path).classes
    known |= set() if learnt is None else {str(name) for name in learnt}
    return [str(n) for n, count in zip(names, counts, strict=True) if count >= FEWEST and str(n) not in known]


def targets_moved(state: State, settled: int) -> bool:
    """Tell whether the newest labels since a window are mixed otherwise than training rows' and calm windows'."""
    parts = [(w, w.labelled(state.now)) for w in state.seen if w.number > settled]
    parts = [(w, rows) for w, rows in parts if len(rows)][-_NEWEST:]
    if not parts:
        return False
    return bool(state.mix.moved({TARGET: targets_of(parts)}, n_looks=len(state.seen)))


def listed(names: list[str], most: int = 4) -> str:
    """Put names into a sentence."""
    told = ", ".join(f"`{name}`" for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"
