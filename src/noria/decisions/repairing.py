"""Try repairs of inputs on labelled rows: scale back, recode, shift back, estimate from the other columns. Worker only.

Nothing here touches what is live. A repair that pays is proposed to a person with what it is and what it gains: a
factor found on a sample is no proof of what the sender changed, and a repair in the live path would be wrong from the
moment in which the sender mends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.catalog.entities import Candidate
from noria.core.errors import NoriaError
from noria.decisions.case import Arrays, Case, Rows
from noria.decisions.entities import DecisionSection, Remedy
from noria.decisions.figures import scores_of
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.replay.repairs import Mending, mendings
from noria.decisions.trials import Trial
from noria.registry.signatures import check_inputs

_MOST_COLUMNS = 16
_SHOWN = 5
_PLACE = re.compile(r"(?P<name>.+)\[(?P<index>\d+(?:,\d+)*)\]")


def try_repairs(
    inputs: LiveInputs, case: Case, teaching: Rows, judging: Rows, settings: DecisionSection
) -> Candidate | None:
    """Repair each broken column in the way that does best on the teaching rows, and judge all on the judging ones.

    Parameters
    ----------
    teaching, judging
        Labelled rows since the onset; a way of repair is chosen on the former only.

    Returns
    -------
    Candidate or None
        None when no column is broken.
    """
    if not inputs.signs:
        return None
    name = Remedy.REPAIR_INPUTS.value
    try:
        chosen = _chosen(inputs, case, teaching)
        if not chosen:
            return Candidate(name=name, note="nothing is known that would put the columns right")
        scores = _scores(case, judging, _applied(chosen, inputs, judging))
    except NoriaError as error:
        return Candidate(name=name, note=f"it could not be tried: {error.message}")
    words = "; ".join(mending.words for mending in chosen[:_SHOWN])
    more = f"; and {len(chosen) - _SHOWN} more columns" if len(chosen) > _SHOWN else ""
    return Trial(case.scores(judging), settings).candidate(Remedy.REPAIR_INPUTS, scores, words + more)


def _chosen(inputs: LiveInputs, case: Case, teaching: Rows) -> list[Mending]:
    """Choose a repair for each column, one after the other."""
    import polars as pl

    chosen: list[Mending] = []
    reference = pl.DataFrame(_framed(inputs.reference))
    current = inputs.columns(case.since)
    for sign in inputs.signs[:_MOST_COLUMNS]:
        ways = mendings(
            sign,
            reference,
            inputs.reference,
            current,
            shows=partial(inputs.inputs.shows, name=sign.column),
            still=lambda _: True,
        )
        if ways:
            chosen.append(_best(ways, chosen, inputs, case, teaching))
    return chosen


def _best(
    ways: list[Mending], chosen: list[Mending], inputs: LiveInputs, case: Case, teaching: Rows
) -> Mending:
    """Take the way with the highest mean score on the teaching rows; the likeliest, where these are too few."""
    if len(ways) == 1 or not len(teaching):
        return ways[0]
    means = [
        float(_scores(case, teaching, _applied([*chosen, way], inputs, teaching)).mean()) for way in ways
    ]
    return ways[int(np.argmax(means))]


def _applied(chosen: list[Mending], inputs: LiveInputs, rows: Rows) -> Arrays:
    """Give the columns of rows, repaired."""
    import polars as pl

    frame = pl.DataFrame(_framed(inputs.columns(rows)))
    for mending in chosen:
        frame = mending.apply(frame)
    return {mending.column: frame[mending.column].to_numpy() for mending in chosen}


def _scores(case: Case, rows: Rows, repaired: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Score rows as the version would have answered them with the repaired columns."""
    arrays = case.arrays(rows)
    for column, values in repaired.items():
        put_column(arrays, column, values)
    inputs = check_inputs(case.version.signature, arrays)
    predicted = case.load(case.version).predict(inputs)["predictions"].tolist()
    return scores_of(case.version.task.value, predicted, rows.labels, case.error_bound)


def put_column(arrays: Arrays, column: str, values: NDArray[Any]) -> None:
    """Write a column, named as `flatten_columns` names it, into the array that it is of.

    Examples
    --------
    >>> arrays = {"x": np.zeros((2, 3))}
    >>> put_column(arrays, "x[1]", np.array([5.0, 6.0]))
    >>> arrays["x"][:, 1].tolist()
    [5.0, 6.0]
    """
    place = None if column in arrays else _PLACE.fullmatch(column)
    if place is None:
        arrays[column] = values.astype(arrays[column].dtype)
        return
    changed = np.array(arrays[place["name"]])
    index: Any = (slice(None), *(int(part) for part in place["index"].split(",")))
    changed[index] = values.astype(changed.dtype)
    arrays[place["name"]] = changed


def _framed(columns: Arrays) -> dict[str, Any]:
    return {
        name: column if column.dtype.kind == "f" else [None if v is None else str(v) for v in column]
        for name, column in columns.items()
    }
