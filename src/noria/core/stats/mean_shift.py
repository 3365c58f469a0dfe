"""Whether the mean of vectors moved, and how far: by the sum of each dimension alone, so that parts can be added.

A shift that is spread over hundreds of dimensions is too small to be seen in any of them, and plain in all together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats

FEWEST_ROWS = 50
"""Of the reference: of fewer it is not known how dimensions hang together."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How vectors of a reference lie about their mean.

    Attributes
    ----------
    rows : ndarray, shape (n_rows, n_dimensions)
        Each dimension with mean 0 and standard deviation 1.
    squares
        Trace of the square of the correlation matrix, in [n_dimensions, n_dimensions squared].
    excess
        Variance of the squared lengths of rows beyond that of normal ones, at least 0: large where tails are heavy.
    """

    rows: Floats
    squares: float
    excess: float


@dataclass(frozen=True, slots=True)
class MeanShift:
    """How far the mean of a sample lies from that of a reference.

    Attributes
    ----------
    statistic
        Sum over dimensions of squared shifts, in units of what chance gives on average: 1 where nothing moved.
    p_value
        Chance of a statistic so large where nothing moved.
    psi
        Population stability index, in nats, of two normal distributions as far apart as reference and sample are
        along the direction of the shift: the square of their distance in standard deviations.
    """

    statistic: float
    p_value: float
    psi: float


def spread_of(rows: ArrayLike) -> Spread:
    """Learn how vectors lie about their mean.

    Parameters
    ----------
    rows : array_like, shape (n_rows, n_dimensions)
        At least 50 finite rows; every dimension varies.

    Raises
    ------
    Invalid
        If there are too few rows, or a dimension is constant.

    Notes
    -----
    The trace of the squared correlation matrix is estimated without the bias that it has where there are fewer rows
    than dimensions (Srivastava 2005, Some tests concerning the covariance matrix in high dimensional data, Journal of
    the Japan Statistical Society 35).
    """
    given = np.asarray(rows, dtype=float)
    n, d = given.shape
    if n < FEWEST_ROWS:
        raise Invalid(f"{n} rows; {FEWEST_ROWS} are needed to learn how dimensions hang together")
    deviations = given.std(axis=0)
    if not deviations.all():
        raise Invalid(f"Dimension {int(np.argmin(deviations))} is constant")
    scaled = (given - given.mean(axis=0)) / deviations
    products = scaled @ scaled.T if n < d else scaled.T @ scaled
    squares = float(np.sum(np.square(products))) / (n - 1) ** 2
    trace = d * n / (n - 1)
    unbiased = (n - 1) ** 2 / ((n - 2) * (n + 1)) * (squares - trace**2 / (n - 1))
    trace_of_square = float(np.clip(unbiased, d, d * d))
    lengths = np.square(scaled).sum(axis=1)
    return Spread(scaled, trace_of_square, max(0.0, float(lengths.var(ddof=1)) - 2 * trace_of_square))


def mean_shift(reference: Spread, shifts: ArrayLike, *, n_reference: int, n_rows: ArrayLike) -> MeanShift:
    """Test whether the mean of a sample is that of a reference.

    Parameters
    ----------
    shifts : array_like, shape (n_dimensions,)
        Mean of the sample less that of the reference, in the reference's standard deviations.
    n_reference
        Rows that the reference's mean is of, 1 or more.
    n_rows : array_like, shape () or (n_dimensions,)
        Rows of the sample that have a value there, 1 or more.

    Notes
    -----
    The sum of squared standardised shifts (Srivastava and Du 2008, A test for the mean vector with fewer observations
    than the dimension, Journal of Multivariate Analysis 99) is compared with a multiple of a chi-squared variable of
    the same mean and variance (Box 1954, Annals of Mathematical Statistics 25), which is a little too sure far out:
    where numbers hang together closely it gives 0.0005 for 0.001. That variance is the one for samples of this size
    with tails as the reference has them: 2 tr(R²) + k (n⁻³ + m⁻³) / (n⁻¹ + m⁻¹)², k being `excess`, which follows from
    the fourth cumulant of a mean of n rows being n⁻³ times that of one. Rows are taken for independent.

    Of the squared length of the shift the part that chance gives is taken off before the distance is told. It is told
    along the shift as it was measured: the best direction to tell the samples apart by may show a larger one, and with
    few rows it is told too small rather than too large.
    """
    from scipy.special import gammaincc

    moved = np.asarray(shifts, dtype=float)
    d = moved.size
    noise = np.broadcast_to(1 / np.asarray(n_rows, dtype=float) + 1 / n_reference, moved.shape)
    total = float(np.sum(np.square(moved) / noise))
    n, m = d / float(np.sum(1 / np.broadcast_to(np.asarray(n_rows, dtype=float), moved.shape))), n_reference
    tails = reference.excess * (n**-3 + m**-3) / (1 / n + 1 / m) ** 2
    squares = reference.squares + tails / 2
    p_value = float(gammaincc(d * d / squares / 2, total / (squares / d) / 2))
    length = max(0.0, float(np.sum(np.square(moved) - noise)))
    along = reference.rows @ moved
    variance = float(along @ along) / (len(along) - 1)
    return MeanShift(total / d, p_value, length * length / variance if variance > 0 else 0.0)
