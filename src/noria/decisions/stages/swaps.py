"""Swaps: two columns of which each has the values of the other.

Both moved, and each looks by its distribution as the other one always did. Where columns hang together with others, a
world that moved keeps that, and an exchange breaks it and is mended by its reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from itertools import combinations
from typing import Any

import numpy as np
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
_FAR, _SURELY = 0.2, 1.5  # times chance
_LEFT = 0.35
_OWN = 0.5
_BOUND = 1.63  # of Kolmogorov's distribution at 1 %
_MOST_COLUMNS = 40


def swapped(
    reference: Columns,
    columns: Columns,
    moved: Collection[str],
    *,
    strain: Callable[[Columns, Collection[str]], float | None],
    lately: Columns | None = None,
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
    lately
        The newest calm rows: what columns were like just before tells more than a year of seasons.
    """
    there = [name for name in columns if _there(columns[name]) >= FEWEST_ROWS]
    found = _pairs(reference, columns, [name for name in there if name in moved], strain)
    if lately is not None:
        found += _pairs(lately, columns, there, strain)
    found = [pair for pair in found if not _keep_their_values(reference, columns, *pair[2:])]
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


def _pairs(
    basis: Columns,
    columns: Columns,
    names: list[str],
    strain: Callable[[Columns, Collection[str]], float | None],
) -> list[tuple[float, float, str, str]]:
    """Give the pairs that look swapped, with how much nearer they lie to each other, and how far off they are."""
    found: list[tuple[float, float, str, str]] = []
    apart = {name: distance(columns[name], basis[name]) for name in names}
    chance = {name: _chance(columns[name], basis[name]) for name in names}
    off = [name for name in names if apart[name] >= max(_LEAST, chance[name])]
    far = {name for name in off if apart[name] >= max(_FAR, _SURELY * chance[name])}
    if len(off) > _MOST_COLUMNS:
        return []
    for one, other in combinations(off, 2):
        if basis[one].dtype.kind != basis[other].dtype.kind:
            continue
        nearer = max(
            distance(columns[one], basis[other]) / apart[one],
            distance(columns[other], basis[one]) / apart[other],
        )
        if nearer <= _NEARER and _breaks(columns, one, other, strain, are_far={one, other} <= far):
            found.append((nearer, apart[one] + apart[other], one, other))
    return found


def _breaks(
    columns: Columns,
    one: str,
    other: str,
    strain: Callable[[Columns, Collection[str]], float | None],
    *,
    are_far: bool,
) -> bool:
    """Tell whether the exchange is what strains the relations of both; without any, they have to lie far off."""
    now = strain(columns, (one, other))
    if now is None:
        return are_far
    back = strain({**columns, one: columns[other], other: columns[one]}, (one, other))
    return now > 0 and back is not None and back <= _LEFT * now


def _keep_their_values(reference: Columns, columns: Columns, one: str, other: str) -> bool:
    """Tell whether a column goes on taking values that it took in training, and the other one did not.

    What is rounded, or one of some codes, takes values of its own whatever the weather does to how often each comes.
    """
    return any(
        _share_of(columns[mine], reference[mine]) - _share_of(columns[mine], reference[its]) > _OWN
        for mine, its in ((one, other), (other, one))
    )


def _share_of(values: Array, known: Array) -> float:
    """Give the share of values, those that are there, that are among others."""
    return float(np.isin(values[~is_missing(values)], known[~is_missing(known)]).mean())


def _chance(values: Array, known: Array) -> float:
    return _BOUND * math.sqrt(1 / max(_there(values), 1) + 1 / max(_there(known), 1))


def _there(values: Array) -> int:
    return len(values) - int(is_missing(values).sum())
