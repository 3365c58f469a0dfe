"""What a comparison draws: settings with intervals over their seeds, parallel coordinates, curves. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from noria.core.errors import NoriaError
from noria.core.web.charts import Chart, Series
from noria.core.web.drawings import Interval, scale_over
from noria.core.web.parallel import ParallelPlot, parallel_plot
from noria.tracking.compare_view import as_number
from noria.tracking.comparison import differing_keys
from noria.tracking.entities import Run
from noria.tracking.point_entities import RunHistory
from noria.tracking.replicates import ReplicateComparison, compare_replicates

MAX_AXES: Final = 8
MAX_PAIRS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The runs that differ by their seed alone.

    Attributes
    ----------
    place
        Mean and interval on the scale that all settings share.
    """

    label: str
    n: int
    mean: float
    lower: float | None
    upper: float | None
    place: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """How much one setting is above another.

    Attributes
    ----------
    differs
        Whether the test tells them apart, at 5 % for all pairs together.
    zero
        Where no difference lies on the scale that all pairs share.
    """

    first: str
    second: str
    difference: float
    lower: float
    upper: float
    p_adjusted: float
    method: str
    n: int
    differs: bool
    place: Interval
    zero: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings side by side.

    Attributes
    ----------
    n_left_out
        Runs without a finite value, or that have not finished.
    n_pairs_left_out
        Pairs that are not shown, those of the greatest p.
    seeds
        Params by which repeated runs differ.
    error, hint
        Why nothing could be compared; empty otherwise.
    """

    settings: tuple[Setting, ...] = ()
    pairs: tuple[Pair, ...] = ()
    n_left_out: int = 0
    n_pairs_left_out: int = 0
    seeds: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""


def settings_of(runs: Sequence[Run], score: str) -> Settings:
    """Compare runs by settings, or tell why they cannot be."""
    try:
        found = compare_replicates(runs, score)
    except NoriaError as error:
        return Settings(error=error.message, hint=error.hint or "")
    return _laid_out(found)


def _laid_out(found: ReplicateComparison) -> Settings:
    ends = [
        end for group in found.groups for end in (group.lower, group.upper, group.mean) if end is not None
    ]
    scale = scale_over(ends)
    pairs = sorted(found.pairs, key=lambda pair: (pair.p_adjusted, -abs(pair.difference)))
    shown = pairs[:MAX_PAIRS]
    between = scale_over([0.0, *(end for pair in shown for end in (pair.lower, pair.upper))])
    return Settings(
        settings=tuple(
            Setting(
                label=group.label,
                n=len(group.values),
                mean=group.mean,
                lower=group.lower,
                upper=group.upper,
                place=scale.interval(group.mean, group.lower, group.upper),
            )
            for group in found.groups
        ),
        pairs=tuple(
            Pair(
                first=pair.first,
                second=pair.second,
                difference=pair.difference,
                lower=pair.lower,
                upper=pair.upper,
                p_adjusted=pair.p_adjusted,
                method=pair.method,
                n=pair.n,
                differs=pair.p_adjusted <= found.alpha,
                place=between.interval(pair.difference, pair.lower, pair.upper),
                zero=between.place(0.0),
            )
            for pair in shown
        ),
        n_left_out=found.n_left_out,
        n_pairs_left_out=len(pairs) - len(shown),
        seeds=tuple(found.seed_params),
    )


def parallel_of(
    runs: Sequence[Run], labels: Mapping[str, str], score: str, seeds: Collection[str]
) -> ParallelPlot | None:
    """Draw the params that differ, without seeds, and the score last."""
    differing = differing_keys([run.params for run in runs]) if len(runs) > 1 else []
    params = [key for key in differing if key not in seeds][: MAX_AXES - 1]
    if not params or not score:
        return None
    columns = [_axis([run.params.get(key) for run in runs]) for key in params]
    scores = [run.metrics.get(score) for run in runs]
    lines = [(labels[run.id], (*(column[i] for column in columns), scores[i])) for i, run in enumerate(runs)]
    return parallel_plot([*params, score], lines)


def _axis(values: Sequence[str | None]) -> list[float | str | None]:
    """Give the values of a param as numbers, if all are."""
    numbers = [None if value is None else as_number(value) for value in values]
    if all(value is None or number is not None for value, number in zip(values, numbers, strict=True)):
        return [*numbers]
    return [*values]


def chart_of(key: str, histories: Sequence[RunHistory], labels: Mapping[str, str]) -> Chart:
    """Draw a metric: a curve for each run."""
    return Chart(
        title=key,
        series=tuple(
            Series(
                name=labels[history.run_id],
                x=[float(step) for step in history.points.steps],
                y=history.points.values,
                n_points=history.n_points,
            )
            for history in histories
        ),
    )
