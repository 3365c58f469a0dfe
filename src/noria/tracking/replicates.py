"""Compare settings, not runs: runs that differ by their seed alone are one setting, with an interval.

One number a setting says nothing: the next seed gives another. Runs are grouped by their params without the seeds;
each group has a mean with an interval, and each pair of groups a difference with an interval and a test, paired by
seed where both have the same seeds. Tests of several pairs are adjusted together (Holm).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from noria.core.errors import Invalid, NotFound, near
from noria.core.stats.means import holm_adjusted, interval_of_mean, paired_difference, welch_difference
from noria.tracking.entities import Run, RunStatus

SEED_PARAMS = ("seed", "random_state", "random_seed", "rng_seed", "np_seed", "torch_seed")
"""Params that are taken for seeds unless others are named; also as the last part of a name, as `model.seed`."""

MAX_GROUPS = 50
"""More settings than this make more than a thousand pairs, which nobody reads."""

_PARTS = re.compile(r"[./:]")


class Replicates(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one setting.

    Attributes
    ----------
    label
        The params that set it apart from the other groups: `lr=0.1, depth=3`; `all` when there is one group.
    params
        Those params.
    runs
        Ids, in the order of `values`.
    seeds
        What each run had for seeds; a run without any has an empty text.
    values
        The metric of each run.
    mean, lower, upper
        Student's t interval; None with fewer than two values.
    """

    label: str
    params: dict[str, str]
    runs: list[str]
    seeds: list[str]
    values: list[float]
    mean: float
    lower: float | None
    upper: float | None


class PairComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much the mean of one group is above that of another.

    Attributes
    ----------
    p_value, p_adjusted
        Of no difference, alone and among all pairs of the comparison (Holm).
    method
        `paired t` over the seeds that both have, or `Welch t`.
    """

    first: str
    second: str
    difference: float
    lower: float
    upper: float
    p_value: float
    p_adjusted: float
    n: int
    method: str


class ReplicateComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Settings side by side.

    Attributes
    ----------
    groups
        By mean, greatest first.
    pairs
        Of groups with at least two values each; the rest cannot be told apart.
    n_left_out
        Runs without a finite value of the metric, or that have not finished.
    """

    metric: str
    alpha: float
    seed_params: list[str]
    groups: list[Replicates]
    pairs: list[PairComparison]
    n_left_out: int


def compare_replicates(
    runs: Sequence[Run], metric: str, *, seed_params: Iterable[str] = (), alpha: float = 0.05
) -> ReplicateComparison:
    """Group runs by their params without seeds, and compare the groups.

    Parameters
    ----------
    seed_params
        Names of the params by which repeated runs may differ; `SEED_PARAMS` when empty.
    alpha
        The chance that an interval misses, in (0, 1).

    Raises
    ------
    NotFound
        If no run has the metric.
    Invalid
        If there are more than 50 settings.
    """
    named = list(seed_params)
    usable = [run for run in runs if _is_usable(run, metric)]
    if not usable:
        raise _no_metric(runs, metric)
    seeds = {
        run.id: {key: value for key, value in run.params.items() if _is_seed(key, named)} for run in usable
    }
    by_params: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in usable:
        rest = tuple(sorted((key, value) for key, value in run.params.items() if key not in seeds[run.id]))
        by_params.setdefault(rest, []).append(run)
    if len(by_params) > MAX_GROUPS:
        raise Invalid(
            f"The {len(usable)} runs have {len(by_params)} different settings; at most {MAX_GROUPS} are compared",
            hint="Choose fewer runs, or name what repeated runs differ by: `--seed-param NAME`",
        )
    distinct = _distinct_keys([dict(params) for params in by_params])
    groups = [
        _group({key: value for key, value in params if key in distinct}, members, metric, seeds, alpha)
        for params, members in by_params.items()
    ]
    groups.sort(key=lambda group: group.mean, reverse=True)
    return ReplicateComparison(
        metric=metric,
        alpha=alpha,
        seed_params=sorted({key for found in seeds.values() for key in found}),
        groups=groups,
        pairs=_pairs(groups, alpha),
        n_left_out=len(runs) - len(usable),
    )


def _is_usable(run: Run, metric: str) -> bool:
    return run.status is not RunStatus.RUNNING and math.isfinite(run.metrics.get(metric, math.nan))


def _no_metric(runs: Sequence[Run], metric: str) -> NotFound:
    known = sorted({key for run in runs for key in run.metrics})
    close = near(metric, known)
    hint = f"Did you mean `{close}`?" if close else f"Known: {', '.join(known[:10]) or 'none'}"
    return NotFound(f"None of the {len(runs)} runs has finished with a finite metric `{metric}`", hint=hint)


def _is_seed(key: str, named: Sequence[str]) -> bool:
    if named:
        return key in named
    return _PARTS.split(key)[-1].lower() in SEED_PARAMS


def _distinct_keys(settings: Sequence[dict[str, str]]) -> set[str]:
    keys = {key for setting in settings for key in setting}
    return {key for key in keys if len({setting.get(key) for setting in settings}) > 1}


def _group(
    params: dict[str, str], runs: list[Run], metric: str, seeds: dict[str, dict[str, str]], alpha: float
) -> Replicates:
    values = [run.metrics[metric] for run in runs]
    lower = upper = None
    if len(values) > 1:
        lower, upper = interval_of_mean(values, alpha=alpha)
    return Replicates(
        label=", ".join(f"{key}={value}" for key, value in sorted(params.items())) or "all",
        params=params,
        runs=[run.id for run in runs],
        seeds=[",".join(f"{key}={value}" for key, value in sorted(seeds[run.id].items())) for run in runs],
        values=values,
        mean=math.fsum(values) / len(values),
        lower=lower,
        upper=upper,
    )


def _pairs(groups: Sequence[Replicates], alpha: float) -> list[PairComparison]:
    comparable = [group for group in groups if len(group.values) > 1]
    if len(comparable) < 2:
        return []
    found = []
    for first, second in itertools.combinations(comparable, 2):
        paired = _by_seed(first, second)
        if paired is not None:
            found.append((first, second, paired_difference(*paired, alpha=alpha)))
        else:
            found.append((first, second, welch_difference(first.values, second.values, alpha=alpha)))
    adjusted = holm_adjusted(difference.p_value for _, _, difference in found)
    return [
        PairComparison(
            first=first.label,
            second=second.label,
            difference=difference.estimate,
            lower=difference.lower,
            upper=difference.upper,
            p_value=difference.p_value,
            p_adjusted=p_adjusted,
            n=difference.n,
            method=difference.method,
        )
        for (first, second, difference), p_adjusted in zip(found, adjusted, strict=True)
    ]


def _by_seed(first: Replicates, second: Replicates) -> tuple[list[float], list[float]] | None:
    """Give the values of both by seed, if both have the same seeds and each of them once."""
    ours = dict(zip(first.seeds, first.values, strict=True))
    theirs = dict(zip(second.seeds, second.values, strict=True))
    same = ours.keys() == theirs.keys() and "" not in ours
    if not same or len(ours) != len(first.values) or len(theirs) != len(second.values):
        return None
    order = sorted(ours)
    return [ours[seed] for seed in order], [theirs[seed] for seed in order]
