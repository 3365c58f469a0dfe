"""The list of experiments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.errors import Invalid
from noria.core.web.languages import mark
from noria.core.web.lists import keyset_pager
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Direction, Pager
from noria.core.web.urls import EXPERIMENTS_PATH
from noria.tracking.entities import Lifecycle, RunStatus
from noria.tracking.experiment_lists import ExperimentOrder, ExperimentRow, ExperimentsAsked
from noria.tracking.pages_run_frame import NOTE_TAG
from noria.tracking.permissions import READ_RUNS, WRITE_RUNS
from noria.tracking.run_tables import RunTables

ROWS: Final = 50
EXPERIMENTS_WORDS = mark("Experiments")

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"\*\*|__|`|^\s*(?:#+|[-*+]|>)\s+", re.MULTILINE)
_WORDS = {
    ExperimentOrder.NAME: mark("Experiment"),
    ExperimentOrder.RUNS: mark("Runs"),
    ExperimentOrder.ACTIVITY: mark("Last activity"),
    ExperimentOrder.CREATED: mark("Created"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExperiment:
    """An experiment as the list shows it.

    Attributes
    ----------
    name, url
        And where its runs are.
    note
        What it is for; empty where nobody said.
    tags
        The others, without those of programs.
    n_runs, n_running, n_failed
        Active runs.
    """

    name: str
    url: str
    note: str
    tags: tuple[tuple[str, str], ...]
    n_runs: int
    n_running: int
    n_failed: int
    last_activity: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentsContext(PageContext):
    """What the list of experiments shows.

    Attributes
    ----------
    now
        Moment at which the page was made.
    experiments
        Those of this page.
    columns
        Their headings.
    pager
        Place of this page in the list.
    sought
        What names contain.
    sort
        As the address has it.
    is_deleted
        Whether the deleted ones are shown.
    n_deleted
        How many experiments are deleted.
    other_url
        From the active to the deleted ones, and back.
    may_write
        Whether the reader may make, delete and restore experiments.
    """

    now: datetime
    experiments: tuple[ListedExperiment, ...]
    columns: tuple[Column, ...]
    pager: Pager
    sought: str
    sort: str
    is_deleted: bool
    n_deleted: int
    other_url: str
    may_write: bool


def experiments(visit: Visit) -> ExperimentsContext:
    """Gather a page of experiments."""
    given, project = visit.parameters, visit.parameters["project"]
    asked = _asked(visit)
    found = visit.context.service(RunTables).experiments(project, asked)
    is_deleted = asked.lifecycle is Lifecycle.DELETED
    sought, sort = asked.containing, given.get("sort", "")
    kept = {"q": sought or None, "sort": sort or None, "show": "deleted" if is_deleted else None}
    return ExperimentsContext(
        live=any(row.tally.by_status.get(RunStatus.RUNNING) for row in found.rows),
        trail=(Crumb(text=EXPERIMENTS_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        experiments=tuple(_listed(visit, project, row) for row in found.rows),
        columns=_columns(visit, project, asked, kept),
        pager=keyset_pager(
            lambda key: visit.urls.experiments(project, **kept, after=key),
            here=asked.after,
            following=found.next,
            n_shown=len(found.rows),
            total=found.total,
        ),
        sought=sought,
        sort=sort,
        is_deleted=is_deleted,
        n_deleted=found.n_deleted,
        other_url=visit.urls.experiments(project, show=None if is_deleted else "deleted"),
        may_write=visit.context.principal.may(WRITE_RUNS, project),
    )


def _asked(visit: Visit) -> ExperimentsAsked:
    given = visit.parameters
    sort = given.get("sort", "-activity")
    key = sort.removeprefix("-")
    if key not in set(ExperimentOrder):
        raise Invalid(
            f"Experiments cannot be sorted by `{key[:100]}`",
            hint="Choose one of: " + ", ".join(ExperimentOrder),
        )
    return ExperimentsAsked(
        containing=given.get("q", "").strip(),
        order=ExperimentOrder(key),
        descending=sort.startswith("-"),
        lifecycle=Lifecycle.DELETED if given.get("show") == "deleted" else Lifecycle.ACTIVE,
        limit=ROWS,
        after=given.get("after"),
    )


def _columns(
    visit: Visit, project: str, asked: ExperimentsAsked, kept: dict[str, str | None]
) -> tuple[Column, ...]:
    made = []
    for order, words in _WORDS.items():
        is_now = order is asked.order
        descends = not asked.descending if is_now else order is not ExperimentOrder.NAME
        ways = {True: Direction.DESCENDING, False: Direction.ASCENDING}
        made.append(
            Column(
                key=order.value,
                words=words,
                url=visit.urls.experiments(project, **{**kept, "sort": f"{'-' if descends else ''}{order}"}),
                direction=ways[asked.descending] if is_now else Direction.NONE,
                is_number=order is ExperimentOrder.RUNS,
            )
        )
    return tuple(made)


def _listed(visit: Visit, project: str, row: ExperimentRow) -> ListedExperiment:
    experiment, tally = row.experiment, row.tally
    return ListedExperiment(
        name=experiment.name,
        url=visit.urls.experiment(project, experiment.name),
        note=plain_note(experiment.tags.get(NOTE_TAG, "")),
        tags=own_tags(experiment.tags)[:4],
        n_runs=tally.n_active,
        n_running=tally.by_status.get(RunStatus.RUNNING, 0),
        n_failed=tally.by_status.get(RunStatus.FAILED, 0),
        last_activity=row.last_activity,
        created_at=experiment.created_at,
    )


def plain_note(note: str) -> str:
    r"""Give the first paragraph of a text in Markdown on one line, without the commonest marks.

    Examples
    --------
    >>> plain_note("# Which **model**?\n\nSee [notes](https://example.org)")
    'Which model?'
    """
    first = note.strip().partition("\n\n")[0]
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", first)).split())


def own_tags(tags: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Give the tags that people set, without those that programs keep their own things in."""
    return tuple((key, value) for key, value in tags.items() if not key.startswith("mlflow."))


PAGES = (
    Page(
        path=EXPERIMENTS_PATH,
        needs=READ_RUNS,
        template="noria.tracking/experiments.html",
        build=experiments,
        query=("q", "sort", "show", "after"),
    ),
)
