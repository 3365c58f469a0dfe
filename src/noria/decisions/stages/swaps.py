"""Swaps: two columns of which each has the values of the other.

Both moved, and each looks by its distribution as the other one always did. Where columns hang together with others, a
world that moved keeps that, and an exchange breaks it and is mended by its reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import combinations
from typing import Any

from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.distances import distance
from noria.decisions.stages.guards import FEWEST_ROWS, Sign

Array = NDArray[Any]
Columns = Mapping[str, Array]

SWAPPED = "swapped"
"""Kind of the sign; in its values, the other column."""

_NEARER = 0.5  # at most this share of the distance to what the column itself was
_LEAST = 0.15
_FAR = 0.3
_LEFT = 0.35
_MOST_COLUMNS = 40


def swapped(
    reference: Columns,
    columns: Columns,
    moved: Collection[str],
    *,
    strain: Callable[[Columns, Collection[str]], float | None],
) -> list[Sign]:
    """Find the columns that were exchanged for one another, each in one pair at most.

    Parameters
    ----------
    reference
        Training rows.
    columns
        Rows of today.
    moved
        Columns that are distributed otherwise than ever before, or show a sign; only these are asked.
    strain
        Tells by how much the relations of some columns are strained beyond nature; None where they have none.
    """
    names = [name for name in columns if name in moved and _there(columns[name]) >= FEWEST_ROWS]
    found: list[tuple[float, float, str, str]] = []
    if len(names) > _MOST_COLUMNS:
        return []
    apart = {name: distance(columns[name], reference[name]) for name in names}
    for one, other in combinations(names, 2):
        if reference[one].dtype.kind != reference[other].dtype.kind or min(apart[one], apart[other]) < _LEAST:
            continue
        nearer = max(
            distance(columns[one], reference[other]) / apart[one],
            distance(columns[other], reference[one]) / apart[other],
        )
        if nearer <= _NEARER and _breaks(columns, one, other, apart, strain):
            found.append((nearer, apart[one] + apart[other], one, other))
    signs: list[Sign] = []
    taken: set[str] = set()
    for nearer, size, one, other in sorted(found):
        if taken & {one, other}:
            continue
        taken |= {one, other}
        signs.append(
            Sign(
                column=one,
                kind=SWAPPED,
                size=size,
                natural=nearer * size,
                sentence=f"`{one}` and `{other}` have each other's values",
                values={SWAPPED: other},
            )
        )
    return signs


def _breaks(
    columns: Columns,
    one: str,
    other: str,
    apart: Mapping[str, float],
    strain: Callable[[Columns, Collection[str]], float | None],
) -> bool:
    """Tell whether the exchange is what strains the relations of both; without any, they have to lie far off."""
    now = strain(columns, (one, other))
    if now is None:
        return min(apart[one], apart[other]) >= _FAR
    back = strain({**columns, one: columns[other], other: columns[one]}, (one, other))
    return now > 0 and back is not None and back <= _LEFT * now


def _there(values: Array) -> int:
    return len(values) - int(is_missing(values).sum())
