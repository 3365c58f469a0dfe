"""Whether two samples of vectors are of one distribution, by the distances between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, complete_rows, same_width

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTest:
    """Energy distance of two samples.

    Attributes
    ----------
    distance
        2 E|X - Y| - E|X - X'| - E|Y - Y'|, in units of the vectors; 0 when both have one distribution.
    p_value
        Share of relabellings of the rows with a distance at least as large.
    n_reference, n_current
        Rows that were used.
    """

    distance: float
    p_value: float
    n_reference: int
    n_current: int


def energy_test(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    rng: np.random.Generator,
    n_permutations: int = 999,
    most_rows: int = 500,
) -> EnergyTest:
    """Test two samples of vectors by their energy distance, with the p-value of a permutation test.

    Parameters
    ----------
    reference, current : array_like, shape (n_rows, n_dimensions) and (m_rows, n_dimensions)
        Rows with a missing value are left out.
    rng
        Source of the sample and of the relabellings.
    n_permutations
        The smallest p-value is 1 / (n_permutations + 1).
    most_rows
        Of each side; of more, a sample is taken. Memory grows with its square.

    Raises
    ------
    Invalid
        If a sample has fewer than 2 complete rows, holds an infinity, or the numbers of dimensions differ.

    Notes
    -----
    Exact for any distribution where rows do not depend on each other. It is the maximum mean discrepancy of the
    distance kernel (Sejdinovic et al.), and sees every difference of distributions, given rows enough.

    References
    ----------
    Székely, G. J. and Rizzo, M. L. (2013). Energy statistics: a class of statistics based on distances. Journal of
    Statistical Planning and Inference 143.
    Gretton, A., Borgwardt, K. M., Rasch, M. J., Schölkopf, B. and Smola, A. (2012). A kernel two-sample test. JMLR 13.
    Sejdinovic, D., Sriperumbudur, B., Gretton, A. and Fukumizu, K. (2013). Equivalence of distance-based and RKHS-based
    statistics in hypothesis testing. Annals of Statistics 41.
    """
    if n_permutations < 1 or most_rows < 2:
        raise Invalid("A permutation test needs a permutation, and 2 rows on each side")
    sides = [
        complete_rows(each, name=name)[0] for each, name in ((reference, "reference"), (current, "current"))
    ]
    same_width(*sides)
    if min(map(len, sides)) < 2:
        raise Invalid(
            f"An energy distance needs 2 complete rows on each side, not {len(sides[0])} and {len(sides[1])}"
        )
    first, second = (side[np.sort(rng.permutation(len(side))[:most_rows])] for side in sides)
    distances = _distances(np.concatenate([first, second]))
    n, m = len(first), len(second)
    found = float(_energies(distances, np.repeat([1.0, 0.0], [n, m])[:, np.newaxis])[0])
    n_as_large = 0
    for start in range(0, n_permutations, _AT_ONCE):
        size = min(_AT_ONCE, n_permutations - start)
        labels = np.zeros((n + m, size))
        for column in range(size):
            labels[rng.permutation(n + m)[:n], column] = 1.0
        # Equal but for rounding counts as equal: for samples of constants every distance is 0.
        n_as_large += int(
            np.sum(_energies(distances, labels) >= found - 1e-12 * max(1.0, float(distances.max())))
        )
    return EnergyTest(
        distance=max(0.0, found),
        p_value=(n_as_large + 1) / (n_permutations + 1),
        n_reference=n,
        n_current=m,
    )


def _distances(rows: Floats) -> Floats:
    from scipy.spatial.distance import pdist, squareform

    return np.asarray(squareform(pdist(rows)))


def _energies(distances: Floats, labels: Floats) -> Floats:
    """Give the energy distance of each labelling, a column of 1 for the first sample and 0 for the second."""
    n = labels[:, 0].sum()
    m = len(labels) - n
    to_first = distances @ labels
    within = (labels * to_first).sum(axis=0)
    between = to_first.sum(axis=0) - within
    others = distances.sum() - within - 2 * between
    return np.asarray(2 * between / (n * m) - within / n**2 - others / m**2)
