"""How far two filters go together."""

from __future__ import annotations

import math
from typing import Final

SMOOTHING: Final = 0.5
"""Jeffreys' prior: half an observation in each cell."""


def npmi(n_both: int, n_first: int, n_second: int, n_all: int, *, smoothing: float = 0.0) -> float | None:
    """Give the normalised pointwise mutual information of two events.

    Parameters
    ----------
    n_both, n_first, n_second, n_all
        How often both came, each of them, and anything at all.
    smoothing
        Added to each of the four cells.

    Returns
    -------
    float or None
        `log(p(x,y) / (p(x) p(y))) / -log p(x,y)`, from -1 to 1; None where one never came, or the counts
        contradict one another.

    Examples
    --------
    >>> round(npmi(6, 6, 7, 10), 3), npmi(0, 3, 4, 10), npmi(5, 5, 5, 5)
    (0.698, -1.0, 1.0)
    """
    cells = (n_both, n_first - n_both, n_second - n_both, n_all - n_first - n_second + n_both)
    if n_first == 0 or n_second == 0 or min(cells) < 0:
        return None
    if n_both == 0 and not smoothing:
        return -1.0
    if cells[1:] == (0, 0, 0):
        return 1.0
    both, first_only, second_only, neither = (cell + smoothing for cell in cells)
    total = both + first_only + second_only + neither
    information = math.log(both * total / ((both + first_only) * (both + second_only)))
    return max(-1.0, min(1.0, information / -math.log(both / total)))
