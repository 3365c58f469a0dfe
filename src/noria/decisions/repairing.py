"""Try repairs of inputs on labelled rows: scale back, recode, or estimate from the other columns. Worker only.

What is tried is what would be applied: repairs are data (`noria.serving.repairs`), and the trial puts rows right by the
same function as a model server does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from noria.catalog.entities import Candidate
from noria.core.errors import NoriaError
from noria.decisions.case import Case, Rows
from noria.decisions.entities import DecisionSection, Remedy
from noria.decisions.figures import scores_of
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.mapping import ways
from noria.decisions.trials import Trial
from noria.registry.signatures import check_inputs
from noria.serving.repairs.applying import Repairer
from noria.serving.repairs.entities import ColumnRepair

_MOST_COLUMNS = 16
_SHOWN = 5

Tried = tuple[Candidate, list[ColumnRepair]]


def try_repairs(
    inputs: LiveInputs, case: Case, teaching: Rows, judging: Rows, settings: DecisionSection
) -> Tried | None:
    """Repair each broken column in the way that does best on the teaching rows, and judge all on the judging ones.

    Parameters
    ----------
    teaching, judging
        Labelled rows since the onset; a way of repair is chosen on the former only. Without any to judge, the
        candidate has no figures.

    Returns
    -------
    Candidate
        How it fared.
    list of ColumnRepair
        The repair; empty when there is none. None in place of both when no column is broken.
    """
    if not inputs.signs:
        return None
    name = Remedy.REPAIR_INPUTS.value
    try:
        chosen = _chosen(inputs, case, teaching)
        if not chosen:
            return Candidate(name=name, note="nothing is known that would put the columns right"), []
        if not len(judging):
            note = f"{_words(chosen)}; what it gains is not known, for want of labels"
            return Candidate(name=name, note=note), chosen
        scores = _scores(case, judging, chosen)
    except NoriaError as error:
        return Candidate(name=name, note=f"it could not be tried: {error.message}"), []
    trial = Trial(case.scores(judging), settings)
    return trial.candidate(Remedy.REPAIR_INPUTS, scores, _words(chosen)), chosen


def _words(chosen: Sequence[ColumnRepair]) -> str:
    words = "; ".join(repair.words for repair in chosen[:_SHOWN])
    return words + (f"; and {len(chosen) - _SHOWN} more columns" if len(chosen) > _SHOWN else "")


def _chosen(inputs: LiveInputs, case: Case, teaching: Rows) -> list[ColumnRepair]:
    """Choose a repair for each column, one after the other."""
    chosen: list[ColumnRepair] = []
    current = inputs.columns(case.since)
    for sign in inputs.signs[:_MOST_COLUMNS]:
        shows = partial(inputs.inputs.shows, name=sign.column)
        known = ways(sign, inputs.reference, current, shows=shows)
        if known:
            chosen.append(_best(known, chosen, case, teaching))
    return chosen


def _best(known: list[ColumnRepair], chosen: list[ColumnRepair], case: Case, teaching: Rows) -> ColumnRepair:
    """Take the way with the highest mean score on the teaching rows; the likeliest, where these are too few."""
    if len(known) == 1 or not len(teaching):
        return known[0]
    means = [float(_scores(case, teaching, [*chosen, way]).mean()) for way in known]
    return known[int(np.argmax(means))]


def _scores(case: Case, rows: Rows, repair: Sequence[ColumnRepair]) -> NDArray[np.float64]:
    """Score rows as the version would have answered them with the repaired columns."""
    mended, _ = Repairer(repair)(case.arrays(rows))
    inputs = check_inputs(case.version.signature, mended)
    predicted = case.load(case.version).predict(inputs)["predictions"].tolist()
    return scores_of(case.version.task.value, predicted, rows.labels, case.error_bound)
