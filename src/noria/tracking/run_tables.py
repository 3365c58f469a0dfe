"""What the pages of experiments and runs read: a page of a table, its groups, and what there is to choose from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.operations import Service
from noria.tracking.entities import Lifecycle, Run
from noria.tracking.experiment_entities import Experiment
from noria.tracking.experiment_lists import (
    ExperimentRows,
    ExperimentsAsked,
    RunTally,
    list_experiments,
    tallies_of,
)
from noria.tracking.experiment_rows import experiments_of, get_experiment
from noria.tracking.known import KeyKind, KnownKeys, keys_of_experiment, values_of_key
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_cells import RunCells, Wanted, load_cells, read_numbers, read_texts
from noria.tracking.run_keys import run_pk, run_pks
from noria.tracking.run_rows import load_runs
from noria.tracking.search.runs import count_runs, parse_query, search_runs
from noria.tracking.tables import experiments, runs

MAX_COUNTED: Final = 1_000
"""Runs that match a filter are counted as far as this: to count all of them takes longer than to show some."""

MAX_GROUPED: Final = 1_000
"""Runs whose values are grouped; the first of the order."""

MAX_SHOWN_GROUPS: Final = 60
MAX_TRIED: Final = 40
ENOUGH_VARYING: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TableAsked:
    """The runs of an experiment to show.

    Attributes
    ----------
    filter, order_by, lifecycle
        As in `RunSearch`.
    after
        The token of the page before.
    """

    filter: str = ""
    order_by: tuple[str, ...] = ()
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """A page of a table.

    Attributes
    ----------
    next
        Token of the next page; None at the end.
    total
        Runs that match; with `is_capped` there are more.
    """

    rows: tuple[RunCells, ...]
    next: str | None
    total: int
    is_capped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A metric within a group, of the runs where it is finite.

    Attributes
    ----------
    values
        In the order of the runs.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return math.fsum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroup:
    """Runs with one value of a param or tag.

    Attributes
    ----------
    value
        None for the runs that have none.
    spreads
        By metric; one that no run of the group has is left out.
    """

    value: str | None
    n_runs: int
    spreads: dict[str, Spread]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroups:
    """The groups of some runs, the largest first.

    Attributes
    ----------
    n_runs
        Runs in all groups together.
    is_capped
        Whether there are more runs than were grouped.
    n_left_out
        Groups that are not here, the smallest.
    """

    groups: tuple[RunGroup, ...]
    n_runs: int
    is_capped: bool
    n_left_out: int


class RunTables(Service):
    """Reads for pages; no operations: programs have `Runs` and `Experiments`."""

    def experiments(self, project: str, asked: ExperimentsAsked) -> ExperimentRows:
        """List experiments with what is known of their runs."""
        self._admit(project)
        with self.context.database.read() as connection:
            return list_experiments(connection, project_pk(connection, project), asked)

    def experiment(self, project: str, name: str) -> tuple[Experiment, RunTally, KnownKeys]:
        """Get an experiment, how many runs of which kind it has, and which keys they have."""
        self._admit(project)
        with self.context.database.read() as connection:
            row = get_experiment(connection, project_pk(connection, project), name)
            tally = tallies_of(connection, [row["pk"]])[row["pk"]]
            return experiments_of(connection, [row])[0], tally, keys_of_experiment(connection, row["pk"])

    def name_of(self, project: str, experiment_id: str) -> str | None:
        """Give the name of the experiment with an id, by which events call it; None where there is none."""
        self._admit(project)
        with self.context.database.read() as connection:
            name = sa.select(experiments.c.name).where(
                experiments.c.project_pk == project_pk(connection, project), experiments.c.id == experiment_id
            )
            return connection.execute(name).scalar_one_or_none()

    def values(
        self, project: str, experiment: str, kind: KeyKind, key: str, beginning: str = ""
    ) -> list[str]:
        """Give some values of a param or tag."""
        self._admit(project)
        if kind is KeyKind.METRICS:
            return []
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), experiment)
            return values_of_key(connection, found["pk"], kind, key, beginning=beginning)

    def varying(self, project: str, experiment: str, keys: KnownKeys) -> list[str]:
        """Give the first params that are not the same in all runs, out of the first few dozen."""
        self._admit(project)
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), experiment)["pk"]
            several = (
                key
                for key in keys.params[:MAX_TRIED]
                if len(values_of_key(connection, found, KeyKind.PARAMS, key, limit=2)) > 1
            )
            return list(islice(several, ENOUGH_VARYING))

    def page(self, project: str, experiment: str, asked: TableAsked, wanted: Wanted) -> RunTable:
        """Find a page of an experiment's runs, and read what is shown of them."""
        self._admit(project)
        query = parse_query(asked.filter, asked.order_by, asked.lifecycle)
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), experiment)["pk"]
            pks, following = search_runs(connection, [found], query, limit=asked.limit, after=asked.after)
            rows = load_cells(connection, pks, wanted)
            total, is_capped = self._count(connection, found, asked, len(pks), following)
        return RunTable(rows=tuple(rows), next=following, total=total, is_capped=is_capped)

    def children(self, project: str, run_id: str, wanted: Wanted, limit: int = 50) -> list[RunCells]:
        """Read the active runs inside a run, the first ones first."""
        self._admit(project)
        with self.context.database.read() as connection:
            parent = run_pk(connection, project, run_id)
            query = (
                sa.select(runs.c.pk)
                .where(runs.c.parent_pk == parent, runs.c.deleted_at.is_(None))
                .order_by(runs.c.started_at, runs.c.pk)
                .limit(limit)
            )
            return load_cells(connection, connection.execute(query).scalars().all(), wanted)

    def groups(
        self,
        project: str,
        experiment: str,
        asked: TableAsked,
        by: tuple[KeyKind, str],
        metrics: Sequence[str],
    ) -> RunGroups:
        """Put an experiment's runs together by the value of a param or tag."""
        self._admit(project)
        query = parse_query(asked.filter, asked.order_by, asked.lifecycle)
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), experiment)["pk"]
            pks, following = search_runs(connection, [found], query, limit=MAX_GROUPED)
            kind, key = by
            values = {run: value for run, _, value in read_texts(connection, kind, pks, [key])}
            numbers = read_numbers(connection, pks, metrics)
        return _grouped(pks, values, numbers, is_capped=following is not None)

    def cells(self, project: str, ids: Sequence[str], wanted: Wanted) -> list[RunCells]:
        """Read a few values of runs, in the order of the ids."""
        self._admit(project)
        with self.context.database.read() as connection:
            pks = run_pks(connection, project, dict.fromkeys(ids))
            return load_cells(connection, list(pks.values()), wanted, families=False)

    def tags(self, project: str, ids: Sequence[str], key: str) -> dict[str, str]:
        """Give a tag of those runs that have it, by id."""
        found = self.cells(project, ids, Wanted(tags=(key,)))
        return {run.id: run.tags[key] for run in found if key in run.tags}

    def whole(self, project: str, ids: Sequence[str]) -> list[Run]:
        """Read runs with all that they hold, deleted or not, in the order of the ids."""
        self._admit(project)
        with self.context.database.read() as connection:
            pks = run_pks(connection, project, dict.fromkeys(ids))
            return load_runs(connection, list(pks.values()))

    def matching(self, project: str, experiment: str, asked: TableAsked) -> tuple[list[Run], bool]:
        """Read the first runs that match with all that they hold; tell whether there are more."""
        self._admit(project)
        query = parse_query(asked.filter, asked.order_by, asked.lifecycle)
        with self.context.database.read() as connection:
            found = get_experiment(connection, project_pk(connection, project), experiment)["pk"]
            pks, following = search_runs(connection, [found], query, limit=asked.limit)
            return load_runs(connection, pks), following is not None

    def _count(
        self,
        connection: sa.Connection,
        experiment: int,
        asked: TableAsked,
        n_found: int,
        following: str | None,
    ) -> tuple[int, bool]:
        if following is None and asked.after is None:
            return n_found, False
        if not asked.filter.strip():
            tally = tallies_of(connection, [experiment])[experiment]
            counts = {Lifecycle.ACTIVE: tally.n_active, Lifecycle.DELETED: tally.n_deleted}
            return counts.get(asked.lifecycle, tally.n_active + tally.n_deleted), False
        query = parse_query(asked.filter, (), asked.lifecycle)
        n_matching = count_runs(connection, [experiment], query, MAX_COUNTED + 1)
        return min(n_matching, MAX_COUNTED), n_matching > MAX_COUNTED

    def _admit(self, project: str) -> None:
        admit(self.context.principal, READ_RUNS, project)


def _grouped(
    pks: Sequence[int],
    values: dict[int, str],
    numbers: Sequence[tuple[int, str, float]],
    *,
    is_capped: bool,
) -> RunGroups:
    counts: dict[str | None, int] = {}
    for pk in pks:
        value = values.get(pk)
        counts[value] = counts.get(value, 0) + 1
    order = sorted(counts, key=lambda value: (-counts[value], value is None, value or ""))
    shown = order[:MAX_SHOWN_GROUPS]
    spreads: dict[str | None, dict[str, list[float]]] = {value: {} for value in shown}
    of_run = {pk: spreads[value] for pk in pks if (value := values.get(pk)) in spreads}
    for pk, metric, number in numbers:
        if pk in of_run and math.isfinite(number):
            of_run[pk].setdefault(metric, []).append(number)
    groups = tuple(
        RunGroup(
            value=value,
            n_runs=counts[value],
            spreads={metric: Spread(values=tuple(found)) for metric, found in spreads[value].items()},
        )
        for value in shown
    )
    return RunGroups(groups=groups, n_runs=len(pks), is_capped=is_capped, n_left_out=len(order) - len(shown))
