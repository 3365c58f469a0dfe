"""The curves of a run: its metrics, and what it used of the machine."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Invalid, near
from noria.core.web.charts import MAX_POINTS, Chart, Series
from noria.core.web.languages import mark
from noria.core.web.pages import Page, Visit
from noria.core.web.parts import Choice
from noria.tracking.capture import ENERGY_TAG
from noria.tracking.chunks import Columns
from noria.tracking.curves import Curve
from noria.tracking.entities import Run
from noria.tracking.limits import shorten
from noria.tracking.pages_run_frame import (
    RunContext,
    is_system,
    own_words,
    read_run,
    run_frame,
    run_path,
)
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_views import RunViews
from noria.tracking.system_metrics import ENERGY, PREFIX

CHARTS_PER_PAGE = 12
MAX_TOGETHER = 8
"""Curves in one chart that can still be told apart."""
MAX_CHOICES = 500
_CHART_POINTS = MAX_POINTS
_SMALL_CHART_POINTS = 400
_BEAT_S = 5

SHARES = {"1": 0.01, "5": 0.05, "10": 0.1, "20": 0.2}
"""Widths of the moving average in per cent of the points, as the address has them."""


class Axis(enum.StrEnum):
    """What the level axis shows."""

    STEP = "step"
    RELATIVE = "relative"
    TIME = "time"


AXIS_WORDS = {
    Axis.STEP: mark("step"),
    Axis.RELATIVE: mark("seconds since the start"),
    Axis.TIME: mark("time (UTC)"),
}

SYSTEM_WORDS = {
    "system/cpu_utilization_percentage": mark("Processor of the machine, %"),
    "system/system_memory_usage_percentage": mark("Memory of the machine, %"),
    "system/system_memory_usage_megabytes": mark("Memory of the machine, MiB"),
    "system/process_cpu_percentage": mark("Processor of the run, % of a core"),
    "system/process_memory_megabytes": mark("Memory of the run, MiB"),
    ENERGY: mark("Energy of the run, J"),
}
SOURCE_WORDS = {
    "rapl": mark("counted by the processor"),
    "cpu_time": mark("estimated from processor time"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChart:
    """A chart with the figures below it.

    Attributes
    ----------
    least, greatest
        Of the finite values; None when there is none.
    last
        The value of the greatest step.
    url
        Shows it alone and large; None where it is so already.
    """

    chart: Chart
    least: float | None
    greatest: float | None
    last: float
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsContext(RunContext):
    """What the page of a run's metrics shows.

    Attributes
    ----------
    charts
        One for each metric of this page.
    overlay
        All chosen metrics in one chart, where that was asked for.
    choices
        Every metric, those that were chosen ticked.
    n_metrics
        How many metrics the run has.
    is_chosen
        Whether the address names metrics.
    axis, share, is_log, is_together
        How the curves are drawn, as the address has it.
    n_left_out
        Curves that do not fit into one chart.
    following, first
        Pages of the list of charts; None where there is none.
    """

    charts: tuple[MetricChart, ...]
    overlay: Chart | None
    choices: tuple[Choice, ...]
    n_metrics: int
    is_chosen: bool
    axis: str
    share: str
    is_log: bool
    is_together: bool
    n_left_out: int
    following: str | None
    first: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemContext(RunContext):
    """What the page of a run's use of the machine shows.

    Attributes
    ----------
    charts
        Curves of processor, memory and GPUs.
    joules
        Energy up to now; None when it was not looked at.
    energy_source
        How it was found, in words of ours; empty when nobody said.
    n_left_out
        Curves that are not drawn.
    """

    charts: tuple[MetricChart, ...]
    joules: float | None
    energy_source: str
    n_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How the reader wants to see curves."""

    keys: tuple[str, ...]
    axis: Axis
    share: str
    is_log: bool
    is_together: bool

    def query(self, **more: str | Sequence[str] | None) -> dict[str, str | Sequence[str] | None]:
        """Give the address's parameters that say the same."""
        return {
            "key": self.keys or None,
            "x": None if self.axis is Axis.STEP else self.axis.value,
            "smooth": self.share or None,
            "log": "y" if self.is_log else None,
            "layout": "together" if self.is_together else None,
            **more,
        }


def metrics(visit: Visit) -> MetricsContext:
    """Gather the curves that the address asks for."""
    run = read_run(visit)
    every = [key for key in run.metrics if not is_system(key)]
    look = _look(visit, every)
    chosen = [key for key in every if key in look.keys] if look.keys else every
    after = visit.parameters.get("after", "")
    rest = [key for key in chosen if key > after]
    n_here = MAX_TOGETHER if look.is_together else CHARTS_PER_PAGE
    here = rest[:n_here]
    is_alone = len(chosen) == 1
    curves = visit.context.service(RunViews).curves(
        run.project,
        run.id,
        here,
        max_points=_CHART_POINTS if is_alone or look.is_together else _SMALL_CHART_POINTS,
        share=SHARES.get(look.share, 0.0),
    )
    charts = (
        []
        if look.is_together
        else [_metric_chart(visit, run, key, curve, look, alone=is_alone) for key, curve in curves.items()]
    )
    has_more = len(rest) > len(here)
    return MetricsContext(
        **{**run_frame(visit, run, "metrics"), "beat_s": _BEAT_S},
        charts=tuple(charts),
        overlay=_overlay(visit, run, curves, look) if look.is_together and curves else None,
        choices=tuple(
            Choice(value=key, words=key, is_chosen=key in look.keys) for key in every[:MAX_CHOICES]
        ),
        n_metrics=len(every),
        is_chosen=bool(look.keys),
        axis=look.axis.value,
        share=look.share,
        is_log=look.is_log,
        is_together=look.is_together,
        n_left_out=len(rest) - len(here) if look.is_together else 0,
        following=_address(visit, run, look, after=here[-1]) if has_more else None,
        first=_address(visit, run, look) if after else None,
    )


def system(visit: Visit) -> SystemContext:
    """Gather the curves of the machine."""
    run = read_run(visit)
    every = [key for key in run.metrics if is_system(key)]
    here = sorted(every, key=_system_order)[: 2 * CHARTS_PER_PAGE]
    curves = visit.context.service(RunViews).curves(run.project, run.id, here, max_points=_SMALL_CHART_POINTS)
    look = _Look(keys=(), axis=Axis.RELATIVE, share="", is_log=False, is_together=False)
    charts = [
        _metric_chart(visit, run, key, curve, look, alone=True, title=_system_title(visit, key))
        for key, curve in curves.items()
    ]
    joules = run.metrics.get(ENERGY)
    return SystemContext(
        **{**run_frame(visit, run, "system"), "beat_s": _BEAT_S},
        charts=tuple(charts),
        joules=joules if joules is not None and math.isfinite(joules) else None,
        energy_source=SOURCE_WORDS.get(run.tags.get(ENERGY_TAG, ""), ""),
        n_left_out=len(every) - len(here),
    )


def _system_order(key: str) -> tuple[int, str]:
    known = list(SYSTEM_WORDS)
    return (known.index(key) if key in known else len(known), key)


def _system_title(visit: Visit, key: str) -> str:
    return own_words(visit, SYSTEM_WORDS[key]) if key in SYSTEM_WORDS else key.removeprefix(PREFIX)


def _look(visit: Visit, every: Sequence[str]) -> _Look:
    given = visit.parameters
    unknown = [key for key in visit.lists.get("key", []) if key not in every]
    if unknown:
        close = near(unknown[0], every)
        raise Invalid(
            f"This run has no metric `{shorten(unknown[0])}`",
            hint=f"Did you mean `{close}`?" if close else "Leave it out to see all",
        )
    return _Look(
        keys=tuple(dict.fromkeys(visit.lists.get("key", []))),
        axis=Axis(_one_of(given, "x", [each.value for each in Axis]) or Axis.STEP),
        share=_one_of(given, "smooth", list(SHARES)),
        is_log=_one_of(given, "log", ["y"]) == "y",
        is_together=_one_of(given, "layout", ["together"]) == "together",
    )


def _one_of(given: dict[str, str], name: str, known: Sequence[str]) -> str:
    value = given.get(name, "")
    if value and value not in known:
        listed = ", ".join(f"`{each}`" for each in known)
        raise Invalid(f"`{name}={shorten(value)}` is none that this page knows", hint=f"Use {listed}")
    return value


def _address(visit: Visit, run: Run, look: _Look, **more: str) -> str:
    return visit.urls.run(run.project, run.id, "metrics", **look.query(**more))


def _metric_chart(
    visit: Visit, run: Run, key: str, curve: Curve, look: _Look, *, alone: bool, title: str = ""
) -> MetricChart:
    chart = Chart(
        title=title or key,
        series=_series(visit, run, own_words(visit, mark("value")), curve, look),
        x_name=own_words(visit, AXIS_WORDS[look.axis]),
        log_y=look.is_log,
    )
    finite = [value for value in curve.points.values if math.isfinite(value)]
    return MetricChart(
        chart=chart,
        least=min(finite, default=None),
        greatest=max(finite, default=None),
        last=curve.points.values[-1],
        url=None if alone else visit.urls.run(run.project, run.id, "metrics", **look.query(key=key)),
    )


def _overlay(visit: Visit, run: Run, curves: dict[str, Curve], look: _Look) -> Chart:
    lines = [_series(visit, run, key, curve, look)[-1] for key, curve in curves.items()]
    return Chart(
        title=own_words(visit, mark("Metrics together")),
        series=tuple(lines),
        x_name=own_words(visit, AXIS_WORDS[look.axis]),
        log_y=look.is_log,
    )


def _series(visit: Visit, run: Run, name: str, curve: Curve, look: _Look) -> tuple[Series, ...]:
    order = _order(curve.points, look.axis)
    xs = [_X[look.axis](run, curve.points, place) for place in order]
    plain = Series(
        name=name,
        x=xs,
        y=[curve.points.values[place] for place in order],
        n_points=curve.n_points,
        is_faint=bool(curve.averages),
    )
    if not curve.averages:
        return (plain,)
    words = own_words(visit, mark("%(name)s, mean over %(share)s % of the points"))
    smooth = Series(
        name=words.replace("%(name)s", name).replace("%(share)s", look.share),
        x=xs,
        y=[curve.averages[place] for place in order],
        n_points=0,
    )
    return (plain, smooth)


def _order(points: Columns, axis: Axis) -> Sequence[int]:
    places = range(len(points.steps))
    return places if axis is Axis.STEP else sorted(places, key=points.at.__getitem__)


def _at_step(_run: Run, points: Columns, place: int) -> float:
    return points.steps[place]


def _since_start(run: Run, points: Columns, place: int) -> float:
    return (points.at[place] - to_micros(run.started_at)) / 1e6


def _at_time(_run: Run, points: Columns, place: int) -> datetime:
    return from_micros(points.at[place])


_X: dict[Axis, Callable[[Run, Columns, int], float | datetime]] = {
    Axis.STEP: _at_step,
    Axis.RELATIVE: _since_start,
    Axis.TIME: _at_time,
}

PAGES = (
    Page(
        path=run_path("metrics"),
        needs=READ_RUNS,
        template="noria.tracking/run_metrics.html",
        build=metrics,
        query=("key", "x", "smooth", "log", "layout", "after"),
    ),
    Page(path=run_path("system"), needs=READ_RUNS, template="noria.tracking/run_system.html", build=system),
)
