"""Numbers of runs by experiment, deletion and status, kept in the transactions that change them.

Whoever changes a run holds its row first and its counts last, and counts in one order: so writers queue, and never
wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.tracking.tables import run_counts, runs

Change = tuple[int, int, str, int]
"""Experiment's integer key, 1 for deleted runs, status, how many more."""


def count(connection: sa.Connection, changes: Iterable[Change]) -> None:
    """Add to the counts."""
    _ADD.many_tuples(connection, sorted(changes))


def recount(connection: sa.Connection, experiment: int) -> None:
    """Count the runs of an experiment anew, after many of them changed at once."""
    connection.execute(sa.delete(run_counts).where(run_counts.c.experiment_pk == experiment))
    deleted = sa.case((runs.c.deleted_at.is_(None), 0), else_=1)
    groups = (
        sa.select(runs.c.experiment_pk, deleted, runs.c.status, sa.func.count())
        .where(runs.c.experiment_pk == experiment)
        .group_by(runs.c.experiment_pk, deleted, runs.c.status)
    )
    columns = ["experiment_pk", "is_deleted", "status", "n_runs"]
    connection.execute(sa.insert(run_counts).from_select(columns, groups))


def _add(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, run_counts).values({c.name: sa.bindparam(c.name) for c in run_counts.c})
    return insert.on_conflict_do_update(
        index_elements=["experiment_pk", "is_deleted", "status"],
        set_={"n_runs": run_counts.c.n_runs + insert.excluded.n_runs},
    )


_ADD = Prepared(_add)
