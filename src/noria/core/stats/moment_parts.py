"""Distances from a reference's mean as whole numbers: their sums do not depend on the order they are added in."""

from __future__ import annotations

from typing import Final

import numpy as np

from noria.core.stats.profiles import ColumnProfile
from noria.core.stats.samples import Bools, Floats, Ints

CLIP: Final = 1 << 20
"""Values further from the reference's mean, in parts, count as that far: a thousand deviations."""

PARTS: Final = 1 << 10
"""Of the reference's standard deviation."""


def moment_parts(reference: ColumnProfile, finite: Floats) -> tuple[Ints, Bools]:
    """Give distances from the reference's mean in parts of its deviation, as `ColumnCounts.total` adds them up.

    Returns
    -------
    parts : ndarray of int, shape (n,)
        At most 1,048,576 to either side.
    clipped : ndarray of bool, shape (n,)
        Which of them were further.
    """
    centre, scale = scale_of(reference)
    with np.errstate(over="ignore"):  # what is too far to be told in parts is clipped
        parts = np.rint((finite - centre) / scale)
    clipped = np.abs(parts) > CLIP
    if clipped.any():
        parts = np.clip(parts, -CLIP, CLIP)
    return parts.astype(np.int64), clipped


def scale_of(reference: ColumnProfile) -> tuple[float, float]:
    """Give the reference's mean, and the length of one part; a constant's is a part of itself."""
    centre = reference.mean or 0.0
    deviation = reference.std or abs(centre) or 1.0
    return centre, max(deviation / PARTS, 1e-300)
