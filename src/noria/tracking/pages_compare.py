"""The comparison of runs: what differs, settings over their seeds, parallel coordinates, curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from noria.core.web.cells import CellKind, Peak
from noria.core.web.charts import Chart
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parallel import ParallelPlot
from noria.core.web.parts import Choice, Column, Direction, Pager, Tab
from noria.core.web.retelling import Sentence
from noria.core.web.urls import COMPARE_PATH
from noria.tracking.compare_parts import Settings, chart_of, parallel_of, settings_of
from noria.tracking.compare_view import (
    MAX_RUNS,
    CompareView,
    duration_s,
    in_order_of,
    labels_of,
    page_of,
    read_compare,
    shown_keys,
)
from noria.tracking.comparison import differing_keys
from noria.tracking.entities import Run
from noria.tracking.filter_sentences import retelling
from noria.tracking.pages_experiments import EXPERIMENTS_WORDS
from noria.tracking.permissions import READ_RUNS
from noria.tracking.point_entities import RunHistory
from noria.tracking.run_signs import SIGNS
from noria.tracking.run_tables import RunTables, TableAsked
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.service import Runs
from noria.tracking.table_view import AUTHOR, DURATION, ROWS, STARTED, STATUS

MAX_CURVES: Final = 40
"""Curves in a chart: nobody tells more apart."""
MAX_CHARTS: Final = 8
_ATTRIBUTES: Final = (CellKind.BADGE, CellKind.MOMENT, CellKind.SECONDS, CellKind.AUTHOR)
_MAX_SORTED: Final = 60
"""Runs named one by one above which no heading sorts: each of its links would name them all again."""
_MAX_REMOVED: Final = 20
_POINTS = 8_000
_FIRST_CHARTS = 4
_SYSTEM = "system/"

RUN_WORDS = mark("Run")
PARAMS_WORDS = mark("Params")
METRICS_WORDS = mark("Metrics")
STATUS_WORDS = mark("Status")
STARTED_WORDS = mark("Started")
DURATION_WORDS = mark("Duration")
AUTHOR_WORDS = mark("By")
DIFFERENCES_WORDS = mark("Differences")
ALL_WORDS = mark("All values")
COMPARE_WORDS = mark("Comparison")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """A run in the comparison.

    Attributes
    ----------
    label
        Its name, told apart from others of the same name.
    without_url
        The comparison without it; empty where there are too many runs.
    cells
        What stands in the columns after the name.
    """

    id: str
    label: str
    url: str
    without_url: str
    cells: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareContext(PageContext):
    """What the comparison shows.

    Attributes
    ----------
    view
        What the address says.
    n_runs, is_capped
        How many runs are compared, and whether more match.
    error, hint
        What is wrong with the filter; empty when nothing is.
    tabs
        Differences, or all values.
    columns, kinds, runs, pager
        The table: a page of the runs, and what the values of each column after the first are.
    n_shared
        Params and metrics in which the runs agree, which are left out.
    score
        Metric by which settings are compared.
    scores
        Metrics to choose for that.
    settings
        The runs by settings; None where there is no metric.
    parallel
        Parallel coordinates; None where there is nothing to draw.
    choices
        Metrics whose curves may be drawn.
    charts
        A curve for each run.
    n_drawn
        Runs whose curves are drawn.
    """

    view: CompareView
    n_runs: int
    is_capped: bool
    error: Sentence | None
    hint: Sentence | None
    tabs: tuple[Tab, ...]
    columns: tuple[Column, ...]
    kinds: tuple[CellKind, ...]
    runs: tuple[ComparedRun, ...]
    pager: Pager
    n_shared: int
    score: str
    scores: tuple[Choice, ...]
    settings: Settings | None
    parallel: ParallelPlot | None
    choices: tuple[Choice, ...]
    charts: tuple[Chart, ...]
    n_drawn: int


def compare(visit: Visit) -> CompareContext:
    """Gather the comparison of the runs that the address names, or that its filter chooses."""
    view = read_compare(visit)
    error = hint = None
    try:
        runs, is_capped = _runs(visit, view)
    except FilterInvalid as refused:
        runs, is_capped, error = [], False, retelling.find(refused.message)
        hint = retelling.find(refused.hint) if refused.hint else None
    params, metrics = shown_keys(runs, view)
    n_keys = len({key for run in runs for key in run.params}) + len({k for run in runs for k in run.metrics})
    labels = labels_of(runs)
    known = sorted({key for run in runs for key in run.metrics})
    differing = [key for key in differing_keys([run.metrics for run in runs]) if not key.startswith(_SYSTEM)]
    score = view.score if view.score in known else next(iter(differing or known), "")
    drawn = view.metrics if view.metrics is not None else tuple((differing or known)[:_FIRST_CHARTS])
    settings = settings_of(runs, score) if score and len(runs) > 1 else None
    charts = _charts(visit, view, runs[:MAX_CURVES], labels, drawn[:MAX_CHARTS])
    return CompareContext(
        trail=_trail(visit, view),
        view=view,
        n_runs=len(runs),
        is_capped=is_capped,
        error=error,
        hint=hint,
        tabs=_tabs(visit, view),
        columns=_columns(visit, view, params, metrics),
        kinds=(*_ATTRIBUTES, *(CellKind.PEAK for _ in metrics), *(CellKind.TEXT for _ in params)),
        runs=tuple(_rows(visit, view, runs, labels, params, metrics)),
        pager=_pager(visit, view, runs),
        n_shared=n_keys - len(params) - len(metrics),
        score=score,
        scores=tuple(Choice(value=key, words=key, is_chosen=key == score) for key in known),
        settings=settings,
        parallel=parallel_of(runs, labels, score, settings.seeds if settings else ()),
        choices=tuple(Choice(value=key, words=key, is_chosen=key in drawn) for key in known),
        charts=charts,
        n_drawn=min(len(runs), MAX_CURVES),
    )


def _runs(visit: Visit, view: CompareView) -> tuple[list[Run], bool]:
    tables = visit.context.service(RunTables)
    if view.runs:
        found, is_capped = tables.whole(view.project, view.runs), False
    else:
        asked = TableAsked(filter=view.filter, limit=MAX_RUNS)
        found, is_capped = tables.matching(view.project, view.experiment, asked)
    return in_order_of(found, view.sort), is_capped


def _trail(visit: Visit, view: CompareView) -> tuple[Crumb, ...]:
    found = [Crumb(text=EXPERIMENTS_WORDS, url=visit.urls.experiments(view.project), is_ours=True)]
    if view.experiment:
        url = visit.urls.experiment(view.project, view.experiment, filter=view.filter or None)
        found.append(Crumb(text=clipped(view.experiment, 80), url=url))
    return (*found, Crumb(text=COMPARE_WORDS, is_ours=True))


def _tabs(visit: Visit, view: CompareView) -> tuple[Tab, ...]:
    return (
        Tab(words=DIFFERENCES_WORDS, url=view.url(visit.urls, show="", sort=""), is_current=not view.all),
        Tab(words=ALL_WORDS, url=view.url(visit.urls, show="all", sort=""), is_current=view.all),
    )


def _columns(
    visit: Visit, view: CompareView, params: Sequence[str], metrics: Sequence[str]
) -> tuple[Column, ...]:
    heads = (
        ("name", RUN_WORDS),
        (STATUS, STATUS_WORDS),
        (STARTED, STARTED_WORDS),
        (DURATION, DURATION_WORDS),
        (AUTHOR, AUTHOR_WORDS),
    )
    attributes = [_column(visit, view, key, words, is_ours=True) for key, words in heads]
    numbers = [_column(visit, view, f"metrics.{key}", key, group=METRICS_WORDS) for key in metrics]
    texts = [_column(visit, view, f"params.{key}", key, group=PARAMS_WORDS) for key in params]
    return (*attributes, *numbers, *texts)


def _column(
    visit: Visit, view: CompareView, key: str, words: str, *, group: str = "", is_ours: bool = False
) -> Column:
    is_now = view.sort.removeprefix("-") == key
    descends = view.sort.startswith("-") if is_now else False
    first = f"-{key}" if group == METRICS_WORDS else key
    other = key if descends else f"-{key}"
    return Column(
        key=key,
        words=words,
        url=view.url(visit.urls, sort=other if is_now else first) if len(view.runs) <= _MAX_SORTED else None,
        direction=(Direction.DESCENDING if descends else Direction.ASCENDING) if is_now else Direction.NONE,
        is_number=group == METRICS_WORDS or key == DURATION,
        is_ours=is_ours,
        group=group,
    )


def _rows(
    visit: Visit,
    view: CompareView,
    runs: Sequence[Run],
    labels: Mapping[str, str],
    params: Sequence[str],
    metrics: Sequence[str],
) -> list[ComparedRun]:
    peaks = {key: _peaks([run.metrics.get(key) for run in runs]) for key in metrics}
    return [
        ComparedRun(
            id=run.id,
            label=labels[run.id],
            url=visit.urls.run(run.project, run.id),
            without_url=view.url(visit.urls, runs=[one for one in view.runs if one != run.id])
            if 2 < len(view.runs) <= _MAX_REMOVED
            else "",
            cells=(
                SIGNS[run.status],
                run.started_at,
                duration_s(run),
                run.author or None,
                *(_metric_cell(run.metrics.get(key), peaks[key]) for key in metrics),
                *(run.params.get(key) for key in params),
            ),
        )
        for run in runs[slice(*page_of(runs, view.after))]
    ]


def _pager(visit: Visit, view: CompareView, runs: Sequence[Run]) -> Pager:
    begin, end = page_of(runs, view.after)
    before = begin - ROWS - 1
    return Pager(
        first=view.url(visit.urls) if begin else None,
        previous=view.url(visit.urls, after=runs[before].id if before >= 0 else "") if begin else None,
        following=view.url(visit.urls, after=runs[end - 1].id) if end < len(runs) else None,
        n_shown=end - begin,
        total=len(runs),
    )


def _peaks(values: Sequence[float | None]) -> tuple[float, float] | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return (min(finite), max(finite)) if len(finite) > 1 and min(finite) < max(finite) else None


def _metric_cell(value: float | None, peaks: tuple[float, float] | None) -> Peak | None:
    if value is None or peaks is None:
        return None if value is None else Peak(value)
    return Peak(value, "least" if value == peaks[0] else "greatest" if value == peaks[1] else "")


def _charts(
    visit: Visit, view: CompareView, runs: Sequence[Run], labels: Mapping[str, str], metrics: Sequence[str]
) -> tuple[Chart, ...]:
    known = {key for run in runs for key in run.metrics}
    wanted = [key for key in metrics if key in known]
    if not runs or not wanted:
        return ()
    most = max(20, _POINTS // len(runs))
    found = visit.context.guarded(Runs).histories(
        view.project, ids=[run.id for run in runs], keys=wanted, max_points=most
    )
    by_key: dict[str, list[RunHistory]] = {}
    for history in found.items:
        by_key.setdefault(history.key, []).append(history)
    return tuple(
        chart_of(key, by_key[key], labels)
        for key in wanted
        if any(history.n_points > 1 for history in by_key.get(key, ()))
    )


PAGES = (
    Page(
        path=COMPARE_PATH,
        needs=READ_RUNS,
        template="noria.tracking/compare.html",
        build=compare,
        query=("runs", "experiment", "filter", "show", "metric", "score", "sort", "after"),
    ),
)
