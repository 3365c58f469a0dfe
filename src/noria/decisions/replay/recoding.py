"""Codes put back: by spelling, by their beginning, by exchange of two, or by the order of their shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.rows import Columns
from noria.decisions.stages.distances import distance

Change = Callable[[NDArray[Any], Columns], NDArray[Any]]

FEW_CODES = 12
TABLE = "table"  # in the values of a sign: code of today → code of training
_FEWEST_LETTERS = 2
_MOST_EXCHANGES = 3


def recoding(kind: str, known: NDArray[Any], current: NDArray[Any]) -> Change | None:
    """Map codes to the known ones: by spelling, by their beginning, else by the order of their shares.

    Parameters
    ----------
    kind
        Of the sign: `spelt`, `exchanged` or `unseen`; nothing is known for others.
    """
    if kind not in ("spelt", "exchanged", "unseen"):
        return None
    then, now = shares(known), shares(current)
    if kind == "spelt":
        plain = {_plain(code): code for code in then}
        table = {code: plain.get(_plain(code), code) for code in now}
    elif kind == "exchanged":
        table = dict(zip(now, then, strict=False))
    else:
        gone, new = [c for c in then if c not in now], [c for c in now if c not in then]
        cut = _by_beginning(gone, new)
        if len(gone) != len(new) and cut is None:
            return None
        table = dict(zip(new, gone, strict=True)) if cut is None else cut
    return by_table(table, numeric=known.dtype.kind == "f")


def exchanges(known: NDArray[Any], current: NDArray[Any]) -> list[tuple[str, str, Change]]:
    """List the exchanges of two codes of a column of few, with which its shares are nearest to what they were."""
    codes = shares(known)
    if not 2 <= len(codes) <= FEW_CODES:
        return []
    numeric = known.dtype.kind == "f"
    tried = [
        (one, other, by_table({one: other, other: one}, numeric=numeric))
        for place, one in enumerate(codes)
        for other in codes[place + 1 :]
    ]
    ranked = sorted(tried, key=lambda each: distance(each[2](current, {}), known))
    before = distance(current, known)
    return [each for each in ranked[:_MOST_EXCHANGES] if distance(each[2](current, {}), known) < before]


def by_table(table: dict[str, str], *, numeric: bool) -> Change:
    """Replace codes by others; what the table does not hold stays."""

    def recode(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        if numeric:
            return np.array([float(table.get(str(v), v)) for v in values])
        return np.array([None if v is None else table.get(v, v) for v in values], dtype=object)

    return recode


def _by_beginning(gone: list[str], new: list[str]) -> dict[str, str] | None:
    """Map codes that were cut off, or were so in training; None unless each of them begins one known code only."""
    table = {}
    for code in new:
        like = [known for known in gone if known.startswith(code) or code.startswith(known)]
        if len(like) != 1 or min(len(code), len(like[0])) < _FEWEST_LETTERS:
            return None
        table[code] = like[0]
    return table


def shares(values: NDArray[Any]) -> list[str]:
    """List codes, the most frequent first."""
    names, counts = np.unique(values[~is_missing(values)].astype(str), return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")]]


def _plain(name: str) -> str:
    return "".join(name.split()).replace("_", "").replace("-", "").casefold()
