"""Streams of rows, and whether an always-valid interval ever missed the truth; for each form of a metric."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from noria.core.stats.sequential_distributions import band
from noria.core.stats.sequential_means import Sums, mean_capital, mean_difference, mean_interval
from noria.core.stats.sequential_ratios import mean_ratio, paired_ratio, unbounded_mean
from noria.core.stats.sequential_shares import Outcomes, share_bounds, share_capital, share_difference

Floats = NDArray[np.float64]
ALPHA = 0.05
DEMAND = -math.log(ALPHA)
Z = float(scipy_stats.norm.ppf(1 - ALPHA / 2))


class Told(NamedTuple):
    """Whether a stream was ever missed, and the width at 1,000 rows as a multiple of the fixed-size one."""

    missed: bool
    width: float


def looks(n_rows: int) -> list[int]:
    """Give after which rows a stream is looked at."""
    return [*range(1, min(200, n_rows) + 1), *range(210, n_rows + 1, 10)]


def share(p: float) -> Callable[[np.random.Generator, int], Told]:
    """Rows that count or not: errors, right answers, slow requests, the share that F1 is told by."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        hits = (generator.random(n_rows) < p).cumsum()
        missed = any(share_capital(Outcomes(int(hits[n - 1]), n))(p) >= DEMAND for n in looks(n_rows))
        lower, upper = share_bounds(Outcomes(int(hits[999]), 1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * math.sqrt(p * (1 - p) / 1000)))

    return tell


def two_shares(p: float, q: float) -> Callable[[np.random.Generator, int], Told]:
    """Two streams of rows that count or not."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = (generator.random(n_rows) < p).cumsum(), (generator.random(n_rows) < q).cumsum()
        missed = any(
            share_capital(Outcomes(int(first[n - 1]), n))(p)
            + share_capital(Outcomes(int(second[n - 1]), n))(q)
            >= DEMAND
            for n in looks(n_rows)
        )
        lower, upper = share_difference(
            Outcomes(int(first[999]), 1000), Outcomes(int(second[999]), 1000), ALPHA
        )
        return Told(missed, (upper - lower) / (2 * Z * math.sqrt((p * (1 - p) + q * (1 - q)) / 1000)))

    return tell


Draw = Callable[[np.random.Generator, int], Floats]


def bounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Values in [0, 1]: AUC by pairs, relative errors, means of blocks, differences of pairs."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        sums = _sums(draw(generator, n_rows))
        missed = any(mean_capital(sums(n))(mean) >= DEMAND for n in looks(n_rows))
        lower, upper = mean_interval(sums(1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * sd / math.sqrt(1000)))

    return tell


def two_bounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Two streams of values in [0, 1]."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = _sums(draw(generator, n_rows)), _sums(draw(generator, n_rows))
        missed = any(
            mean_capital(first(n))(mean) + mean_capital(second(n))(mean) >= DEMAND for n in looks(n_rows)
        )
        lower, upper = mean_difference(first(1000), second(1000), ALPHA)
        return Told(missed, (upper - lower) / (2 * Z * sd * math.sqrt(2 / 1000)))

    return tell


def unbounded(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Values without upper bound: latencies, absolute and squared errors."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        sums = _sums(draw(generator, n_rows))
        found = [unbounded_mean(sums(n), ALPHA) for n in looks(n_rows)]
        lower, upper = unbounded_mean(sums(1000), ALPHA)
        missed = any(not low <= mean <= high for low, high in found)
        return Told(missed, (upper - lower) / (2 * Z * sd / math.sqrt(1000)))

    return tell


def ratio(draw: Draw, mean: float, sd: float) -> Callable[[np.random.Generator, int], Told]:
    """Draw two streams; the ratio of two means without upper bound, the truth being 1."""

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        first, second = _sums(draw(generator, n_rows)), _sums(draw(generator, n_rows))
        found = [mean_ratio(first(n), second(n), ALPHA) for n in looks(n_rows)]
        lower, upper = mean_ratio(first(1000), second(1000), ALPHA)
        missed = any(not low <= 1 <= high for low, high in found)
        return Told(missed, (upper - lower) / (2 * Z * sd / mean * math.sqrt(2 / 1000)))

    return tell


def pairs_ratio(generator: np.random.Generator, n_rows: int) -> Told:
    """Draw pairs; the ratio of absolute errors of two versions on the same rows, the truth being 1."""
    hard = generator.gamma(2, 1, n_rows)
    new, old = hard * generator.uniform(0.5, 1.5, n_rows), hard * generator.uniform(0.5, 1.5, n_rows)
    first, second, products = _sums(new), _sums(old), (new * old).cumsum()
    found = [paired_ratio(first(n), second(n), float(products[n - 1]), ALPHA) for n in looks(n_rows)]
    lower, upper = paired_ratio(first(1000), second(1000), float(products[999]), ALPHA)
    sd = float((new - old)[:1000].std()) / float(old[:1000].mean())
    return Told(
        any(not low <= 1 <= high for low, high in found), (upper - lower) / (2 * Z * sd / math.sqrt(1000))
    )


def distribution(generator: np.random.Generator, n_rows: int) -> Told:
    """Draw ten classes, whose cumulative shares are told."""
    classes = generator.integers(0, 10, n_rows)
    at = np.array(looks(n_rows))
    away = np.zeros(at.size)
    for last in range(9):
        away = np.maximum(away, np.abs((classes <= last).cumsum()[at - 1] / at - (last + 1) / 10))
    wide = np.array([band(n, ALPHA) for n in at.tolist()])
    return Told(bool((away > wide).any()), band(1000, ALPHA) / float(scipy_stats.kstwo(1000).ppf(1 - ALPHA)))


def in_bursts(generator: np.random.Generator, n_rows: int, failing: float) -> Floats:
    """Draw rows of which a share fails, some fifty on end: 1.0 where one does."""
    failed = np.zeros(n_rows)
    lasts = 50
    pause = lasts * (1 - failing) / failing
    at = int(generator.geometric(1 / pause))
    while at < n_rows:
        length = int(generator.geometric(1 / lasts))
        failed[at : at + length] = 1.0
        at += length + int(generator.geometric(1 / pause))
    return failed


def bursts(block: int) -> Callable[[np.random.Generator, int], Told]:
    """Rows that fail together for some fifty rows on end, 5 % of the time: by rows, or by blocks."""
    truth = 0.05

    def tell(generator: np.random.Generator, n_rows: int) -> Told:
        failed = in_bursts(generator, n_rows, truth)
        means = failed[: n_rows // block * block].reshape(-1, block).mean(axis=1)
        sums = _sums(means)
        found = looks(means.size)
        if block == 1:
            missed = any(share_capital(Outcomes(sums(n).total, n))(truth) >= DEMAND for n in found)
        else:
            missed = any(mean_capital(sums(n))(truth) >= DEMAND for n in found)
        return Told(missed, math.nan)

    return tell


def _sums(values: Floats) -> Callable[[int], Sums]:
    total, squares = values.cumsum(), (values * values).cumsum()
    return lambda n: Sums(n, float(total[n - 1]), float(squares[n - 1]))


def _auc(generator: np.random.Generator, n: int) -> Floats:
    return generator.choice([0.0, 0.5, 1.0], n, p=[0.175, 0.05, 0.775])


def _relative(generator: np.random.Generator, n: int) -> Floats:
    return np.minimum(generator.exponential(0.1, n), 1.0)


def _paired(generator: np.random.Generator, n: int) -> Floats:
    return generator.choice([0.0, 0.5, 1.0], n, p=[0.04, 0.92, 0.04])


def _lognormal(generator: np.random.Generator, n: int) -> Floats:
    return generator.lognormal(0, 1, n)


def _gamma(generator: np.random.Generator, n: int) -> Floats:
    return generator.gamma(2, 1, n)


def _absolute(generator: np.random.Generator, n: int) -> Floats:
    return np.abs(generator.normal(size=n))


def _squared(generator: np.random.Generator, n: int) -> Floats:
    return generator.normal(size=n) ** 2


_RELATIVE_MEAN = 0.1 * (1 - math.exp(-10))
_RELATIVE_SD = math.sqrt(2 * 0.01 * (1 - 11 * math.exp(-10)) - _RELATIVE_MEAN**2)
_LOG_MEAN, _LOG_SD = math.exp(0.5), math.sqrt((math.e - 1) * math.e)
_ABS_MEAN, _ABS_SD = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)

FORMS: dict[str, Callable[[np.random.Generator, int], Told]] = {
    "errors, 1 %": share(0.01),
    "accuracy, 90 %": share(0.9),
    "F1 of 0.75": share(0.6),
    "errors, difference": two_shares(0.01, 0.01),
    "accuracy, difference": two_shares(0.9, 0.9),
    "AUC of 0.8": bounded(_auc, 0.8, math.sqrt(0.775 + 0.0125 - 0.64)),
    "AUC, difference": two_bounded(_auc, 0.8, math.sqrt(0.775 + 0.0125 - 0.64)),
    "MAPE of 0.1": bounded(_relative, _RELATIVE_MEAN, _RELATIVE_SD),
    "accuracy, pairs": bounded(_paired, 0.5, math.sqrt(0.02)),
    "latency, log-normal": unbounded(_lognormal, _LOG_MEAN, _LOG_SD),
    "latency, gamma": unbounded(_gamma, 2.0, math.sqrt(2)),
    "latency, ratio": ratio(_lognormal, _LOG_MEAN, _LOG_SD),
    "MAE": unbounded(_absolute, _ABS_MEAN, _ABS_SD),
    "MAE, ratio": ratio(_absolute, _ABS_MEAN, _ABS_SD),
    "RMSE (squares)": unbounded(_squared, 1.0, math.sqrt(2)),
    "MAE, pairs": pairs_ratio,
    "predictions": distribution,
    "bursts, blocks of 100": bursts(100),
    "bursts, blocks of 1000": bursts(1000),
}


def tell_streams(name: str, n_streams: int, n_rows: int, seed: int) -> tuple[str, float, float]:
    """Give the share of streams that were ever missed, and the mean width."""
    generator = np.random.default_rng([seed, *name.encode()])
    told = [FORMS[name](generator, n_rows) for _ in range(n_streams)]
    return name, sum(each.missed for each in told) / n_streams, float(np.mean([each.width for each in told]))
