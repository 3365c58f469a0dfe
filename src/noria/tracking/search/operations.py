"""What the operations that search do on a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.access.tables import projects
from noria.core.errors import Invalid, unknown_name
from noria.tracking.entities import RunPage
from noria.tracking.experiment_entities import Experiment
from noria.tracking.experiment_rows import experiments_of, select_experiments
from noria.tracking.limits import shorten
from noria.tracking.run_rows import RunRow, load_run_rows, load_runs
from noria.tracking.search.entities import (
    MAX_FOUND,
    ExperimentSearch,
    ExperimentsFound,
    NumberedRunSearch,
    RunSearch,
)
from noria.tracking.search.experiments import is_wanted, search_experiments
from noria.tracking.search.runs import parse_query, search_runs
from noria.tracking.tables import experiments

LOT: Final = 250
"""Runs with twenty params and metrics make half a megabyte of such a lot."""

Readable = Callable[[str], bool]
"""Tells of a project whether the caller may read its runs."""


def find_runs(connection: sa.Connection, project: str, search: RunSearch) -> RunPage:
    """Find runs of a project."""
    query = parse_query(search.filter, search.order_by, search.lifecycle)
    chosen = _experiments_of(connection, project, search.experiments)
    keys, following = search_runs(connection, chosen, query, limit=_checked(search.limit), after=search.after)
    return RunPage(items=load_runs(connection, keys), next=following)


def find_numbered_runs(
    connection: sa.Connection, search: NumberedRunSearch, readable: Readable
) -> tuple[Iterator[list[RunRow]], str | None]:
    """Find runs in experiments of any projects, of which the caller reads some.

    They come in lots of `LOT` runs, each read when it is asked for: a lot is gone from memory before the next one
    comes, and the caches of the processor hold it.
    """
    query = parse_query(search.filter, search.order_by, search.lifecycle)
    rows = connection.execute(
        sa.select(experiments.c.pk, projects.c.name)
        .join(projects, projects.c.pk == experiments.c.project_pk)
        .where(experiments.c.number.in_(search.numbers))
    )
    chosen = [pk for pk, project in rows if readable(project)]
    keys, following = search_runs(connection, chosen, query, limit=_checked(search.limit), after=search.after)
    lots = (load_run_rows(connection, keys[start : start + LOT]) for start in range(0, len(keys), LOT))
    return lots, following


def find_experiments(
    connection: sa.Connection, search: ExperimentSearch, readable: Readable
) -> ExperimentsFound:
    """Find experiments of all projects that the caller may read."""
    _checked(search.limit)
    rows = [dict(row) for row in connection.execute(select_experiments()).mappings()]
    known = [row for row in rows if readable(row["project"])]
    wanted: list[Experiment] = [
        each for each in experiments_of(connection, known) if is_wanted(each, search.lifecycle)
    ]
    return search_experiments(wanted, search)


def _checked(limit: int) -> int:
    if not 1 <= limit <= MAX_FOUND:
        raise Invalid(
            f"{limit} runs cannot be asked for at once", hint=f"Ask for 1 to {MAX_FOUND}, page by page"
        )
    return limit


def _experiments_of(connection: sa.Connection, project: str, names: Sequence[str] | None) -> list[int]:
    query = sa.select(experiments.c.name, experiments.c.pk).where(
        experiments.c.project_pk == project_pk(connection, project)
    )
    known: dict[str, int] = {row.name: row.pk for row in connection.execute(query)}
    for name in names or []:
        if name not in known:
            raise unknown_name("experiment", shorten(name), known, see="noria experiments list")
    return [known[name] for name in dict.fromkeys(names)] if names is not None else list(known.values())
