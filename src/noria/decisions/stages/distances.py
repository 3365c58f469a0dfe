"""How far apart two samples of a column lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing


def distance(values: NDArray[Any], known: NDArray[Any]) -> float:
    """Give Kolmogorov's distance of numbers, or the total variation distance of codes: 0 (alike) to 1.

    What is missing is left out; two samples of which one is empty lie 0 apart.
    """
    values, known = values[~is_missing(values)], known[~is_missing(known)]
    if not len(values) or not len(known):
        return 0.0
    if known.dtype.kind == "f":
        from scipy.stats import ks_2samp

        return float(ks_2samp(values.astype(np.float64), known).statistic)
    every, codes = np.unique(np.concatenate([values, known]).astype(str), return_inverse=True)
    now, then = (np.bincount(part, minlength=len(every)) for part in np.split(codes, [len(values)]))
    return float(np.abs(now / len(values) - then / len(known)).sum() / 2)
