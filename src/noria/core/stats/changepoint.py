"""When did a series of outcomes change? One change point, its significance, and how exactly it is known."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.samples import Floats, bounded_sample, check_alpha, to_floats

_CELLS_PER_BLOCK = 1_000_000


class ChangePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The likeliest place of one change, whether or not it is significant.

    Attributes
    ----------
    index
        Row with which the new level starts, counted from 0 in the series as given, missing rows included.
    lower, upper
        Rows between which the first row of the new level lies with probability 1 - alpha, if there is one change.
    p_value
        Chance of a split this good in a series without a change.
    statistic
        Twice the log-likelihood ratio of two levels against one.
    before, after
        Mean on each side of the split.
    n, n_missing
        Rows used, and rows dropped because they were missing.
    """

    index: int
    lower: int
    upper: int
    p_value: float
    statistic: float
    before: float
    after: float
    alpha: float
    n: int
    n_missing: int = 0


def change_point(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    min_segment: int = 5,
    n_permutations: int = 499,
    alpha: float = 0.05,
) -> ChangePoint:
    """Find one change of the mean of a series of outcomes.

    Each split is scored by the likelihood of two Bernoulli levels against one; the best split is the change point. Its
    p-value comes from the best splits of shuffled series, so it holds for any exchangeable values in [0, 1]. The
    interval is the shortest run of rows that holds 1 - alpha of the posterior of the split, with every split equally
    likely beforehand and Jeffreys' prior on both levels.

    Parameters
    ----------
    values : array_like, shape (n,)
        Outcomes 0 and 1, or values between, in the order of time; missing ones are dropped and counted.
    rng
        Source of the permutations.
    min_segment
        Fewest rows on each side, at least 1.
    n_permutations
        At least 19; the smallest p-value is 1 / (n_permutations + 1).

    Raises
    ------
    Invalid
        If a value lies outside [0, 1], or fewer than 2 min_segment values are left.

    Notes
    -----
    For values between 0 and 1 the variance is smaller than the Bernoulli one, and the interval is wider than needed.
    Values that depend on their neighbours are not exchangeable: aggregate them first. Cost: n times n_permutations.

    References
    ----------
    Hinkley, D. V. and Hinkley, E. A. (1970). Inference about the change-point in a sequence of binomial variables.
    Biometrika 57.
    Smith, A. F. M. (1975). A Bayesian approach to inference about a change-point in a sequence of random variables.
    Biometrika 62.
    """
    check_alpha(alpha)
    series, n_missing = bounded_sample(values, 0.0, 1.0, name="values")
    _check_sizes(series.size, min_segment, n_permutations)
    positions = np.flatnonzero(~np.isnan(to_floats(values, name="values")))
    scores = _split_scores(series[np.newaxis], min_segment)[0]
    split = int(scores.argmax()) + min_segment
    lower, upper = _credible_run(_log_posterior(series, min_segment), alpha)
    return ChangePoint(
        index=int(positions[split]),
        lower=int(positions[min(lower + min_segment, split)]),
        upper=int(positions[max(upper + min_segment, split)]),
        p_value=_permutation_p_value(series, float(scores.max()), min_segment, n_permutations, rng),
        statistic=float(scores.max()),
        before=float(series[:split].mean()),
        after=float(series[split:].mean()),
        alpha=alpha,
        n=series.size,
        n_missing=n_missing,
    )


def _check_sizes(n: int, min_segment: int, n_permutations: int) -> None:
    if min_segment < 1:
        raise Invalid(f"`min_segment` must be at least 1, not `{min_segment}`")
    if n_permutations < 19:
        raise Invalid(f"`n_permutations` must be at least 19, not `{n_permutations}`")
    if n < 2 * min_segment:
        raise Invalid(f"A change point needs at least `{2 * min_segment}` values, not `{n}`")


def _segments(series: Floats, min_segment: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Sum and length before and after each allowed split; the sums have shape (..., n_splits)."""
    n = series.shape[-1]
    sizes = np.arange(min_segment, n - min_segment + 1, dtype=np.float64)
    running = np.cumsum(series, axis=-1)
    before = running[..., min_segment - 1 : n - min_segment]
    # Rounding of the running sum must not leave a constant segment with a share outside [0, 1].
    before = np.clip(before, 0, sizes)
    after = np.clip(running[..., -1:] - before, 0, n - sizes)
    return before, sizes, after, n - sizes


def _split_scores(series: Floats, min_segment: int) -> Floats:
    """Twice the log-likelihood ratio of each split, shape (n_series, n_splits)."""
    before, n_before, after, n_after = _segments(series, min_segment)
    whole = _log_likelihood(series.sum(axis=-1, keepdims=True), float(series.shape[-1]))
    ratio = _log_likelihood(before, n_before) + _log_likelihood(after, n_after) - whole
    return np.asarray(np.maximum(2 * ratio, 0))


def _log_likelihood(total: Floats, n: Floats | float) -> Floats:
    """Bernoulli log-likelihood at the best level, for a sum out of n."""
    from scipy.special import xlogy

    share = np.clip(total / n, 0, 1)
    return np.asarray(xlogy(total, share) + xlogy(n - total, 1 - share))


def _permutation_p_value(
    series: Floats, best: float, min_segment: int, n_permutations: int, rng: np.random.Generator
) -> float:
    n_as_good = 0
    block = max(1, _CELLS_PER_BLOCK // series.size)
    for start in range(0, n_permutations, block):
        rows = min(block, n_permutations - start)
        shuffled = rng.permuted(np.tile(series, (rows, 1)), axis=1)
        # Equal splits may differ in the last bits, as sums run in another order.
        n_as_good += int(np.sum(_split_scores(shuffled, min_segment).max(axis=1) >= best * (1 - 1e-9) - 1e-9))
    return (n_as_good + 1) / (n_permutations + 1)


def _log_posterior(series: Floats, min_segment: int) -> Floats:
    from scipy.special import betaln

    before, n_before, after, n_after = _segments(series, min_segment)
    return np.asarray(
        betaln(before + 0.5, n_before - before + 0.5) + betaln(after + 0.5, n_after - after + 0.5),
    )


def _credible_run(log_posterior: Floats, alpha: float) -> tuple[int, int]:
    """Find the shortest run of splits that holds 1 - alpha of the posterior: its first and last split."""
    weights = np.exp(log_posterior - log_posterior.max())
    cumulative = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
    starts = np.arange(weights.size)
    wanted = cumulative[:-1] + (1 - alpha) * cumulative[-1]
    ends = np.searchsorted(cumulative, wanted, side="left")
    possible = ends <= weights.size
    best = int(np.argmin(np.where(possible, ends - starts, weights.size + 1)))
    return best, int(ends[best]) - 1
