"""Do two samples come from one distribution? Tests and distances for numbers and for categories.

Missing values are dropped and counted; a column without values in a sample has statistic and p-value NaN, which
`multiplicity` leaves out. Infinite values only have a rank, so Kolmogorov-Smirnov takes them and Wasserstein refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.ordered import ks_distance, wasserstein_distance
from noria.core.stats.samples import Floats, Ints, labels, matrix, refuse_infinite, to_floats


class EmptyBin(Invalid):
    """A bin holds no share, and the divergence would be infinite."""

    code = "empty_bin"

    def __init__(self, index: int, *, name: str) -> None:
        self.index = index
        super().__init__(
            f"Bin `{index}` of `{name}` is empty",
            hint="Smooth the counts first: `noria.core.stats.bins.smoothed_shares(counts)`",
            details={"index": index, "name": name},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnTests:
    """One statistic and, where the method has one, one p-value per column.

    Attributes
    ----------
    statistic, p_value : ndarray, shape (n_columns,)
        NaN where a sample has no values in that column.
    n_reference, n_current : ndarray of int, shape (n_columns,)
        Values compared, without the missing ones.
    """

    statistic: Floats
    p_value: Floats
    n_reference: Ints
    n_current: Ints


class CategoryTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test of equal shares of categories in two samples.

    Attributes
    ----------
    n_cells
        Cells compared, after pooling.
    n_pooled
        Categories that were pooled into one cell; 0 when none were rare.
    """

    statistic: float
    p_value: float
    n_cells: int
    n_pooled: int
    n_reference: int
    n_current: int
    n_missing: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SortedReference:
    """A reference sample, each column sorted once, to compare many windows with.

    Attributes
    ----------
    columns : tuple of ndarray
        Per column the sorted values, without missing ones; lengths may differ.
    """

    columns: tuple[Floats, ...]

    @classmethod
    def of(cls, reference: ArrayLike) -> SortedReference:
        """Sort the columns of an array, shape (n_rows, ...) or (n_rows,); what follows the rows is flattened."""
        return cls(_sorted_columns(reference, name="reference"))


def ks_two_sample(reference: ArrayLike | SortedReference, current: ArrayLike) -> ColumnTests:
    """Two-sided two-sample Kolmogorov-Smirnov test of each column.

    The statistic is the largest distance between the two empirical distribution functions.

    Parameters
    ----------
    reference : array_like, shape (n_rows, n_columns) or (n_rows,), or SortedReference
        Sort it once with `SortedReference.of` when many windows follow.
    current : array_like, shape (m_rows, n_columns) or (m_rows,)

    Returns
    -------
    ColumnTests

    Raises
    ------
    Invalid
        If a sample has no rows, the numbers of columns differ, or the values are not numbers.

    Notes
    -----
    The p-value is that of the one-sample statistic with nm/(n+m) rows, as SciPy's `ks_2samp(method="asymp")`. With
    ties, as in counts, it is too large: the test stays valid and loses power. Cost: O(m log n) per column and window.

    References
    ----------
    Hodges, J. L. (1958). The significance probability of the Smirnov two-sample test. Arkiv för Matematik 3.
    Simard, R. and L'Ecuyer, P. (2011). Computing the two-sided Kolmogorov-Smirnov distribution. J. Stat. Software 39.
    """
    from scipy.stats import kstwo

    pairs = _column_pairs(reference, current)
    n, m = _sizes(pairs)
    statistic = _per_column(pairs, ks_distance)
    p_value = np.full(len(pairs), np.nan)
    known = (n > 0) & (m > 0)
    effective = np.maximum(1, np.round(n[known] * m[known] / (n[known] + m[known])))
    p_value[known] = np.clip(kstwo.sf(statistic[known], effective), 0, 1)
    return ColumnTests(statistic=statistic, p_value=p_value, n_reference=n, n_current=m)


def wasserstein_1(reference: ArrayLike | SortedReference, current: ArrayLike) -> Floats:
    """Earth mover's distance of each column: the area between the two empirical distribution functions.

    Parameters
    ----------
    reference, current
        As for `ks_two_sample`.

    Returns
    -------
    ndarray, shape (n_columns,)
        In the column's own unit, at least 0; NaN where a sample has no values.

    Raises
    ------
    Invalid
        As `ks_two_sample`, and for infinite values.

    References
    ----------
    Vallender, S. S. (1974). Calculation of the Wasserstein distance between probability distributions on the line.
    Theory of Probability and its Applications 18.
    """
    return _per_column(_column_pairs(reference, current), _area_between)


def psi(reference_share: ArrayLike, current_share: ArrayLike) -> float:
    r"""Measure the population stability index: the symmetrised divergence between two binned distributions.

    :math:`\sum_b (q_b - p_b) \ln(q_b / p_b)`, Kullback-Leibler both ways.

    Parameters
    ----------
    reference_share, current_share : array_like, shape (n_bins,)
        Shares of rows per bin; each is positive and sums to 1. Smooth empty bins first.

    Returns
    -------
    float
        In nats, at least 0; symmetric in its arguments.

    Raises
    ------
    EmptyBin
        If a share is 0. The message names the bin.
    Invalid
        If the lengths differ or the shares do not sum to 1.

    Examples
    --------
    >>> round(psi([0.5, 0.5], [0.25, 0.75]), 4)
    0.2747

    References
    ----------
    Jeffreys, H. (1946). An invariant form for the prior probability in estimation problems. Proc. R. Soc. A 186.
    """
    p, q = _two_shares(reference_share, current_share)
    for share, name in ((p, "reference_share"), (q, "current_share")):
        if (share == 0).any():
            raise EmptyBin(int(np.argmin(share)), name=name)
    return float(np.sum((q - p) * (np.log(q) - np.log(p))))


def jensen_shannon_distance(reference_share: ArrayLike, current_share: ArrayLike) -> float:
    """Square root of the Jensen-Shannon divergence in bits; a metric.

    Parameters
    ----------
    reference_share, current_share : array_like, shape (n_bins,)
        Shares of rows per bin; each sums to 1 and may hold zeros.

    Returns
    -------
    float
        From 0 (equal) to 1 (no bin in common).

    Examples
    --------
    >>> jensen_shannon_distance([1.0, 0.0], [0.0, 1.0])
    1.0

    References
    ----------
    Endres, D. M. and Schindelin, J. E. (2003). A new metric for probability distributions. IEEE Trans. Inf. Theory 49.
    """
    from scipy.special import rel_entr

    p, q = _two_shares(reference_share, current_share)
    middle = (p + q) / 2
    divergence = (np.sum(rel_entr(p, middle)) + np.sum(rel_entr(q, middle))) / (2 * np.log(2))
    return float(np.sqrt(np.clip(divergence, 0, 1)))


def chi_squared(reference: ArrayLike, current: ArrayLike, *, min_expected: float = 5.0) -> CategoryTest:
    """Chi-squared test that two samples of categories have the same shares.

    Parameters
    ----------
    reference, current : array_like, shape (n_rows,)
        Categories of any type, compared as texts; missing ones are dropped and counted.
    min_expected
        As in `chi_squared_counts`.

    Raises
    ------
    Invalid
        If a sample has no values.
    """
    first, n_missing_first = labels(reference, name="reference")
    second, n_missing_second = labels(current, name="current")
    known, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    if not (first.size and second.size):
        raise Invalid(f"`{'current' if first.size else 'reference'}` has no values")
    tested = chi_squared_counts(
        np.bincount(codes[: first.size], minlength=known.size),
        np.bincount(codes[first.size :], minlength=known.size),
        min_expected=min_expected,
    )
    return msgspec.structs.replace(tested, n_missing=n_missing_first + n_missing_second)


def chi_squared_counts(
    reference_counts: ArrayLike, current_counts: ArrayLike, *, min_expected: float = 5.0
) -> CategoryTest:
    """Chi-squared test of homogeneity of two rows of counts, with rare cells pooled.

    Cells whose smaller expected count lies under `min_expected` are pooled into one; while the pool itself is too
    small, the next rarest cell joins it. The rule sees the totals of both samples only, so it does not favour a
    difference. When one cell is left there is nothing to compare: statistic 0, p-value 1.

    Parameters
    ----------
    reference_counts, current_counts : array_like, shape (n_cells,)
        Counts of rows; each row has a positive sum.
    min_expected
        At least 0. Cochran's usual bound is 5.

    Returns
    -------
    CategoryTest

    Raises
    ------
    Invalid
        If the lengths differ, a count is negative, or a sample has no rows.

    References
    ----------
    Cochran, W. G. (1954). Some methods for strengthening the common chi-squared tests. Biometrics 10.
    """
    from scipy.special import chdtrc

    table = _count_table(reference_counts, current_counts)
    cells, n_pooled = _pool_rare(table, min_expected)
    rows = cells.sum(axis=1)
    expected = rows[:, np.newaxis] * cells.sum(axis=0) / cells.sum()
    statistic = float(np.sum((cells - expected) ** 2 / expected))
    freedom = cells.shape[1] - 1
    return CategoryTest(
        statistic=statistic if freedom else 0.0,
        p_value=float(chdtrc(freedom, statistic)) if freedom else 1.0,
        n_cells=cells.shape[1],
        n_pooled=n_pooled,
        n_reference=int(rows[0]),
        n_current=int(rows[1]),
    )


def _sorted_columns(values: ArrayLike, *, name: str) -> tuple[Floats, ...]:
    array = np.sort(matrix(values, name=name), axis=0)  # NaN goes last
    n_known = array.shape[0] - np.isnan(array).sum(axis=0)
    return tuple(np.ascontiguousarray(array[:n, i]) for i, n in enumerate(n_known))


Pairs = list[tuple[Floats, Floats]]


def _column_pairs(reference: ArrayLike | SortedReference, current: ArrayLike) -> Pairs:
    """Pair the sorted columns of both samples."""
    first = reference if isinstance(reference, SortedReference) else SortedReference.of(reference)
    second = _sorted_columns(current, name="current")
    if len(first.columns) != len(second):
        raise Invalid(f"`reference` has `{len(first.columns)}` columns and `current` has `{len(second)}`")
    return list(zip(first.columns, second, strict=True))


def _sizes(pairs: Pairs) -> tuple[Ints, Ints]:
    return np.array([a.size for a, _ in pairs]), np.array([b.size for _, b in pairs])


def _per_column(pairs: Pairs, distance: Callable[[Floats, Floats], float]) -> Floats:
    return np.array([distance(a, b) if a.size and b.size else np.nan for a, b in pairs])


def _area_between(reference: Floats, current: Floats) -> float:
    for values, name in ((reference, "reference"), (current, "current")):
        refuse_infinite(values, name=name)
    return wasserstein_distance(reference, current)


def _two_shares(reference_share: ArrayLike, current_share: ArrayLike) -> tuple[Floats, Floats]:
    p, q = to_floats(reference_share, name="reference_share"), to_floats(current_share, name="current_share")
    for share, name in ((p, "reference_share"), (q, "current_share")):
        if share.ndim != 1 or not (share >= 0).all() or abs(share.sum() - 1) > 1e-6:
            raise Invalid(f"`{name}` must be shares that sum to 1, not `{share.tolist()}`")
    if p.size != q.size:
        raise Invalid(f"`reference_share` has `{p.size}` bins and `current_share` has `{q.size}`")
    return p, q


def _count_table(reference_counts: ArrayLike, current_counts: ArrayLike) -> Floats:
    """Stack two rows of counts, shape (2, n_cells), without the cells that are empty in both."""
    first = to_floats(reference_counts, name="reference_counts")
    second = to_floats(current_counts, name="current_counts")
    if first.shape != second.shape or first.ndim != 1:
        raise Invalid(
            f"`reference_counts` has shape `{first.shape}` and `current_counts` has `{second.shape}`"
        )
    for counts, name in ((first, "reference_counts"), (second, "current_counts")):
        if not (counts >= 0).all() or not 0 < counts.sum() < np.inf:
            raise Invalid(f"`{name}` must be counts with a positive sum, not `{counts.tolist()}`")
    table = np.stack([first, second])
    return table[:, table.sum(axis=0) > 0]


def _pool_rare(table: Floats, min_expected: float) -> tuple[Floats, int]:
    """Pool the rare cells of a table, shape (2, n_cells); give the new table and how many cells were pooled."""
    totals = table.sum(axis=0)
    order = np.argsort(totals, kind="stable")
    smaller_row_share = table.sum(axis=1).min() / table.sum()
    n_pooled = int(np.sum(totals * smaller_row_share < min_expected))
    if n_pooled == 0:
        return table, 0
    pool_expected = np.cumsum(totals[order]) * smaller_row_share
    n_pooled = max(n_pooled, min(int(np.searchsorted(pool_expected, min_expected)) + 1, totals.size))
    pooled, kept = table[:, order[:n_pooled]], table[:, order[n_pooled:]]
    return np.concatenate([kept, pooled.sum(axis=1, keepdims=True)], axis=1), n_pooled
