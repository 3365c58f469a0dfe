"""Part rows by the values of a column: a bounded number of names, laid out by the reference. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing, labels

OTHER: Final = "other"
MISSING: Final = "missing"
_PARTS: Final = 4
_LONGEST: Final = 60


class Segmenting(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows are parted by one column.

    Attributes
    ----------
    values
        Values that are told apart; all others are `other`. Empty for a column of many numbers.
    edges
        Of such a column: its quartiles in the reference. Parts are closed on the right.
    """

    column: str
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every segment there can be."""
        return [f"{self.column} {part}" for part in (*self._parts(), f"= {MISSING}")]

    def of(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """Give the place in `names` of each row's segment, shape (n_rows,)."""
        missing = is_missing(column)
        places = np.full(len(column), len(self.names) - 1, dtype=np.int64)
        known = column[~missing]
        if self.edges:
            places[~missing] = np.searchsorted(self.edges, known.astype(float), side="left")
        elif known.size:
            place = {value: i for i, value in enumerate(self.values)}
            texts, _ = labels(known, name=self.column)
            places[~missing] = [place.get(text, len(place)) for text in texts.tolist()]
        return places

    def _parts(self) -> list[str]:
        if not self.edges:
            return [*(f"= {value[:_LONGEST]}" for value in self.values), f"= {OTHER}"]
        inner = [f"{a:.4g} to {b:.4g}" for a, b in zip(self.edges, self.edges[1:], strict=False)]
        return [f"≤ {self.edges[0]:.4g}", *inner, f"> {self.edges[-1]:.4g}"]


def segmenting(column: str, reference: NDArray[Any], *, most_values: int) -> Segmenting:
    """Choose how a column parts rows, by the reference.

    The commonest values are told apart. A column of numbers with more values than that is cut at its quartiles.
    """
    texts, _ = labels(reference, name=column)
    counts = Counter(texts.tolist())
    if reference.dtype.kind in "iuf" and len(counts) > most_values:
        finite = reference[np.isfinite(reference)]
        cuts = (
            np.unique(np.quantile(finite, np.arange(1, _PARTS) / _PARTS)) if finite.size else np.array([0.0])
        )
        return Segmenting(column=column, edges=tuple(cuts.tolist()))
    # By frequency, then by name, so that the same reference always gives the same parts.
    common = sorted(counts, key=lambda value: (-counts[value], value))[:most_values]
    return Segmenting(column=column, values=tuple(common))


def all_names(cuts: Sequence[Segmenting]) -> list[str]:
    """Every segment of several columns."""
    return [name for cut in cuts for name in cut.names]
