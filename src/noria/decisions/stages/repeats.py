"""Repeats: rows that come twice, and inputs that belong to other rows.

Two faults leave every column as it was. A sender that delivers some rows twice makes windows longer by the copies: the
different rows are as many as always. A join that gives rows the inputs of others makes inputs repeat whose targets
differ. Rows that merely became frequent in the world, or that were drawn with replacement, do neither: their windows
are no longer, and equal inputs have equal targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.guards import FEWEST_ROWS, Sign

Array = NDArray[Any]
Columns = Mapping[str, Array]

ROWS = "rows"
"""Stands for the name of a column where whole rows are meant."""

_LEAST = 0.1
_FACTOR = 1.5
_SURE = 3.0
_AS_MANY = 0.9
_FEWEST_WINDOWS = 3


class Repeats:
    """Knows how often training rows repeat one another, and how many different rows calm windows had."""

    def __init__(self, reference: Columns, blocks: Sequence[NDArray[np.intp]]) -> None:
        self._natural = max(
            (copies({name: column[block] for name, column in reference.items()}) for block in blocks),
            default=0.0,
        )
        self._different: list[int] = []

    def sign(self, columns: Columns) -> Sign | None:
        """Tell whether a window has copies of rows besides as many different ones as windows before it."""
        n = _length(columns)
        if n < FEWEST_ROWS or len(self._different) < _FEWEST_WINDOWS:
            return None
        size = copies(columns)
        usual = float(np.median(self._different))
        chance = _SURE * np.sqrt(max(size * (1 - size), 0.0) / n)
        if size <= _FACTOR * self._natural + _LEAST + chance or n * (1 - size) < _AS_MANY * usual:
            return None
        return Sign(
            column=ROWS,
            kind="duplicated",
            size=size,
            natural=self._natural,
            sentence=f"{size:.1%} of the rows are copies of others, beside as many different ones as ever",
        )

    def accept(self, columns: Columns) -> None:
        """Take a window as natural."""
        if n := _length(columns):
            share = copies(columns)
            self._natural = max(self._natural, share)
            self._different.append(round(n * (1 - share)))


def contradicting(calm: tuple[Columns, Array], live: tuple[Columns, Array]) -> Sign | None:
    """Find inputs that repeat with other targets, which those of calm rows did not.

    Parameters
    ----------
    calm, live
        Columns of labelled rows, and their targets.
    """
    then, now = (_contradictions(*side) for side in (calm, live))
    n = len(live[1])
    if n < FEWEST_ROWS or now <= _FACTOR * then + _LEAST + _SURE * np.sqrt(max(now * (1 - now), 0.0) / n):
        return None
    return Sign(
        column=ROWS,
        kind="duplicated",
        size=now,
        natural=then,
        sentence=(
            f"{now:.1%} of the rows have the inputs of another row and a target of their own, {then:.1%} of calm "
            "rows: inputs were given to rows that they do not belong to"
        ),
    )


def copies(columns: Columns) -> float:
    """Give the share of rows that are copies of earlier ones."""
    n = _length(columns)
    return 1 - len(np.unique(_numbered(columns))) / n if n else 0.0


def _contradictions(columns: Columns, targets: Array) -> float:
    """Give the share of rows to whose inputs there is another row with another target."""
    n = len(targets)
    if not n or not columns:
        return 0.0
    places = _numbered(columns)
    values = np.unique(targets, return_inverse=True)[1]
    pairs = np.unique(np.column_stack([places, values]), axis=0)[:, 0]
    kinds = np.bincount(pairs, minlength=int(places.max()) + 1)
    return float((kinds[places] > 1).mean())


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _numbered(columns: Columns) -> NDArray[np.intp]:
    """Give equal rows equal numbers."""
    found = np.zeros(_length(columns), dtype=np.intp)
    for column in columns.values():
        gone = is_missing(column)
        values = (
            np.where(gone, 0, column)
            if column.dtype.kind in "iufb"
            else np.where(gone, "", column).astype(str)
        )
        codes = np.unique(values, return_inverse=True)[1] + 1
        codes[gone] = 0
        found = np.unique(found * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return found
