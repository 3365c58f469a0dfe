"""Numbers of runs by experiment, deletion and status, kept in the transactions that change them.

Whoever changes a run holds its row first and its counts last, and counts in one order: so writers queue, and never
wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.tracking.tables import run_counts

Change = tuple[int, int, str, int]
"""Experiment's integer key, 1 for deleted runs, status, how many more."""


def count(connection: sa.Connection, changes: Iterable[Change]) -> None:
    """Add to the counts."""
    _ADD.many_tuples(connection, sorted(changes))


def count_marked(
    connection: sa.Connection, experiment: int, statuses: Iterable[str], *, deleted: bool
) -> None:
    """Count runs of these statuses as deleted, or as active again."""
    moved = Counter(statuses)
    sign = 1 if deleted else -1
    active = [(experiment, 0, status, -sign * n) for status, n in moved.items()]
    count(connection, [*active, *((experiment, 1, status, sign * n) for status, n in moved.items())])


def _add(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, run_counts).values({c.name: sa.bindparam(c.name) for c in run_counts.c})
    return insert.on_conflict_do_update(
        index_elements=["experiment_pk", "is_deleted", "status"],
        set_={"n_runs": run_counts.c.n_runs + insert.excluded.n_runs},
    )


_ADD = Prepared(_add)
