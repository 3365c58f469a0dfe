"""The table of an experiment's runs, and what completes its filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from noria.core.errors import NotFound
from noria.core.web.cells import CellKind
from noria.core.web.cookies import read_cookie
from noria.core.web.formats import clipped
from noria.core.web.pages import Crumb, Elsewhere, Page, PageContext, Visit
from noria.core.web.parts import Choice, Column, Pager
from noria.core.web.retelling import Sentence
from noria.core.web.urls import EXPERIMENT_PATH
from noria.tracking.entities import RunStatus
from noria.tracking.experiment_entities import Experiment
from noria.tracking.experiment_lists import RunTally
from noria.tracking.filter_sentences import retelling
from noria.tracking.known import KeyKind
from noria.tracking.pages_experiments import EXPERIMENTS_WORDS, own_tags
from noria.tracking.pages_run_frame import NOTE_TAG
from noria.tracking.permissions import READ_RUNS, WRITE_RUNS
from noria.tracking.run_cells import RunCells
from noria.tracking.run_groups import Grouping, group_choices, grouping_of
from noria.tracking.run_signs import SIGNS, Sign
from noria.tracking.run_tables import RunTables
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.table_view import (
    AUTHOR,
    COLUMNS_COOKIE,
    DURATION,
    ENDED,
    QUERY,
    STARTED,
    STATUS,
    TableView,
    column_choices,
    default_columns,
    in_order,
    kept_columns,
    read_view,
    split_key,
    table_columns,
    wanted_of,
)

_Reader = Callable[[RunCells], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A run in the table.

    Attributes
    ----------
    id, name, url
        And where its page is.
    cells
        A value for each column after the first; None where the run has none.
    parent_name, parent_url
        The run inside which it was started; empty when there is none.
    n_children
        Runs inside it, as far as they were counted.
    children_url
        Shows or folds the runs inside it; empty where it has none.
    is_open
        Whether they are shown.
    is_child
        Whether it is shown below the run that it is inside of.
    """

    id: str
    name: str
    url: str
    cells: tuple[Any, ...]
    parent_name: str = ""
    parent_url: str = ""
    n_children: int = 0
    children_url: str = ""
    is_open: bool = False
    is_child: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsContext(PageContext):
    """What the table of an experiment's runs shows.

    Attributes
    ----------
    experiment
        Its name.
    is_deleted
        Whether the experiment is deleted.
    note
        What it is for, in Markdown; empty where nobody said.
    tags
        Of the experiment, those that people set.
    tally
        How many runs it has.
    signs
        How each status is shown.
    has_running
        Whether a run that is shown still runs.
    view
        What the address says.
    error, hint
        What is wrong with the filter, and what mends it; empty when nothing is.
    columns
        Headings of the table.
    kinds
        What the values of each column after the first are.
    rows
        Runs of this page.
    pager
        Place of this page in the table.
    choices
        Columns to choose.
    choices_whole
        Whether all are offered.
    grouping
        The table when runs are put together; None otherwise.
    groups
        Params and tags to put runs together by.
    may_nest
        Whether there is something to fold.
    compare_all_url
        Compares the runs that match.
    may_write
        Whether the reader may tag, delete and restore.
    """

    experiment: str
    is_deleted: bool
    note: str
    tags: tuple[tuple[str, str], ...]
    tally: RunTally
    signs: Mapping[RunStatus, Sign]
    has_running: bool
    view: TableView
    error: Sentence | None
    hint: Sentence | None
    columns: tuple[Column, ...]
    kinds: tuple[CellKind, ...]
    rows: tuple[TableRow, ...]
    pager: Pager
    choices: tuple[Choice, ...]
    choices_whole: bool
    grouping: Grouping | None
    groups: tuple[Choice, ...]
    may_nest: bool
    compare_all_url: str
    may_write: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What is in the table."""

    rows: tuple[TableRow, ...] = ()
    pager: Pager = Pager()  # noqa: RUF009 - frozen
    grouping: Grouping | None = None
    error: Sentence | None = None
    hint: Sentence | None = None
    has_running: bool = False
    may_nest: bool = False


def runs(visit: Visit) -> RunsContext:
    """Gather the table of an experiment's runs."""
    view = read_view(visit)
    tables = visit.context.service(RunTables)
    try:
        experiment, tally, keys = tables.experiment(view.project, view.experiment)
    except NotFound:
        named = tables.name_of(view.project, view.experiment)
        if named is None:
            raise
        raise Elsewhere(visit.urls.experiment(view.project, named)) from None
    kept = kept_columns(read_cookie(visit.browser.cookies, COLUMNS_COOKIE) or "", experiment.number)
    chosen = in_order(
        view.columns or kept or default_columns(keys, tables.varying(view.project, view.experiment, keys))
    )
    shown = _shown(visit, tables, view, chosen)
    return RunsContext(
        live=shown.has_running,
        beat_s=4,
        trail=(
            Crumb(text=EXPERIMENTS_WORDS, url=visit.urls.experiments(view.project), is_ours=True),
            Crumb(text=clipped(experiment.name, 80)),
        ),
        experiment=experiment.name,
        is_deleted=experiment.deleted_at is not None,
        note=experiment.tags.get(NOTE_TAG, ""),
        tags=own_tags(experiment.tags),
        tally=tally,
        signs=SIGNS,
        has_running=shown.has_running,
        view=view,
        error=shown.error,
        hint=shown.hint,
        columns=table_columns(view, visit.urls, chosen),
        kinds=tuple(_kind(key) for key in chosen),
        rows=shown.rows,
        pager=shown.pager,
        choices=column_choices(keys, chosen),
        choices_whole=keys.is_whole,
        grouping=shown.grouping,
        groups=group_choices(view, keys),
        may_nest=shown.may_nest or view.nested,
        compare_all_url=_compare_all(visit, view, experiment, tally),
        may_write=visit.context.principal.may(WRITE_RUNS, view.project),
    )


def _compare_all(visit: Visit, view: TableView, experiment: Experiment, tally: RunTally) -> str:
    if view.deleted or tally.n_active < 2:
        return ""
    return visit.urls.compare(view.project, experiment=experiment.name, filter=view.filter or None)


def _shown(visit: Visit, tables: RunTables, view: TableView, chosen: Sequence[str]) -> _Shown:
    try:
        if view.group:
            return _Shown(grouping=grouping_of(visit, tables, view, chosen))
        return _page(visit, tables, view, chosen)
    except FilterInvalid as error:
        hint = retelling.find(error.hint) if error.hint else None
        return _Shown(error=retelling.find(error.message), hint=hint)


def _page(visit: Visit, tables: RunTables, view: TableView, chosen: Sequence[str]) -> _Shown:
    wanted = wanted_of(chosen)
    found = tables.page(view.project, view.experiment, view.asked(), wanted)
    read = _readers(chosen, visit.context.clock.now())
    rows: list[TableRow] = []
    for run in found.rows:
        rows.append(_row(visit, view, run, read))
        if view.nested and run.id in view.open:
            inside = tables.children(view.project, run.id, wanted)
            rows += [_row(visit, view, child, read, is_child=True) for child in inside]
    return _Shown(
        rows=tuple(rows),
        pager=Pager(
            first=view.url(visit.urls) if view.after else None,
            following=view.url(visit.urls, after=found.next) if found.next else None,
            n_shown=len(found.rows),
            total=found.total,
            is_capped=found.is_capped,
        ),
        has_running=any(run.status is RunStatus.RUNNING for run in found.rows),
        may_nest=any(run.parent or run.n_children for run in found.rows),
    )


def _row(
    visit: Visit, view: TableView, run: RunCells, read: Sequence[_Reader], *, is_child: bool = False
) -> TableRow:
    return TableRow(
        id=run.id,
        name=run.name,
        url=visit.urls.run(view.project, run.id),
        cells=tuple([each(run) for each in read]),
        parent_name="" if is_child else clipped(run.parent_name, 60),
        parent_url=visit.urls.run(view.project, run.parent) if run.parent else "",
        n_children=run.n_children,
        children_url="" if is_child or not run.n_children else _children_url(visit, view, run.id),
        is_open=view.nested and run.id in view.open,
        is_child=is_child,
    )


def _children_url(visit: Visit, view: TableView, run_id: str) -> str:
    others = tuple(one for one in view.open if one != run_id)
    if not view.nested:  # they stand in the table already, each by itself
        return view.url(visit.urls, nested=True, open=(run_id,))
    return view.url(visit.urls, open=others if run_id in view.open else (*others, run_id))


def _kind(key: str) -> CellKind:
    kind, _ = split_key(key)
    if kind is not None:
        return CellKind.NUMBER if kind is KeyKind.METRICS else CellKind.TEXT
    return _ATTRIBUTE_KINDS[key]


def _readers(chosen: Sequence[str], now: datetime) -> list[_Reader]:
    """Give what reads the values of the columns: a key is looked at once, not once for each run."""
    attributes: dict[str, _Reader] = {
        STATUS: lambda run: SIGNS[run.status],
        STARTED: lambda run: run.started_at,
        ENDED: lambda run: run.ended_at,
        DURATION: lambda run: _duration(run, now),
        AUTHOR: lambda run: run.author or None,
    }
    return [attributes[key] if key in attributes else _logged(*split_key(key)) for key in chosen]


def _logged(kind: KeyKind | None, name: str) -> _Reader:
    if kind is KeyKind.METRICS:
        return lambda run: run.metrics.get(name)
    if kind is KeyKind.PARAMS:
        return lambda run: run.params.get(name)
    return lambda run: run.tags.get(name)


def _duration(run: RunCells, now: datetime) -> float | None:
    until = run.ended_at or (now if run.status is RunStatus.RUNNING else None)
    return (until - run.started_at).total_seconds() if until else None


_ATTRIBUTE_KINDS: Final = {
    STATUS: CellKind.BADGE,
    STARTED: CellKind.MOMENT,
    ENDED: CellKind.MOMENT,
    DURATION: CellKind.SECONDS,
    AUTHOR: CellKind.AUTHOR,
}
PAGES = (
    Page(
        path=EXPERIMENT_PATH,
        needs=READ_RUNS,
        template="noria.tracking/runs.html",
        build=runs,
        query=QUERY,
    ),
)
