"""A choice among ways that one half of the labelled rows makes, and the other half has to confirm."""

from __future__ import annotations

import math

import numpy as np

from noria.decisions.replay.outputs import Floats

SURE = 3.5
"""Standard errors: a few dozen ways are tried, on other rows than those that judge."""


def confirmed(under: Floats) -> int:
    """Give the way under which rows are wrong least, if rows that had no say in it agree; else 0.

    Parameters
    ----------
    under : ndarray, shape (n_rows, n_ways)
        What each row is wrong by under each way, of which the first changes nothing.

    Examples
    --------
    >>> confirmed(np.column_stack([np.ones(40), np.zeros(40), np.ones(40)]))
    1
    >>> confirmed(np.column_stack([np.ones(40), np.tile([3.0, 0.0, 0.0, 3.0], 10)]))
    0
    """
    half = np.arange(len(under)) % 2 == 0
    gains = np.zeros(len(under))
    for taught in (half, ~half):
        gains[~taught] = under[~taught, 0] - under[~taught, _best(under[taught])]
    if gains.mean() <= SURE * gains.std() / math.sqrt(len(gains)):
        return 0
    return _best(under)


def _best(under: Floats) -> int:
    return int(under.mean(axis=0).argmin())
