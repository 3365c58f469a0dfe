"""Let the parent of a run follow the tag by which MLflow's clients name it."""

from __future__ import annotations

from typing import Final

from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.core.ids import is_id
from noria.tracking.run_keys import RunKey
from noria.tracking.tables import runs

PARENT_TAG: Final = "mlflow.parentRunId"
"""The id of a run's parent as MLflow's clients know it: a tag, which is not kept apart from the parent."""


def follow_parent_tag(connection: sa.Connection, project: str, run: RunKey, value: str | None) -> None:
    """Give a run the parent that its tag names, or none.

    The tag may say anything. One that names no other run of the project, or a run that was itself started inside this
    one, leaves the run without a parent.

    Parameters
    ----------
    value
        Of the tag; None when it was removed.
    """
    parent = None
    if value is not None and is_id(value):
        # Two that become each other's parents at once would both find no circle: one of them waits here.
        _HOLD_PROJECT.all(connection, {"project": project})
        parent = _FIND.first(connection, {"parent": value, "project": project})
    above = None if parent is None else parent[0]
    if above is not None and _INSIDE.first(connection, {"above": above, "run": run.pk}) is not None:
        above = None
    _SET.run(connection, {"run": run.pk, "above": above})


_HOLD_PROJECT = Prepared(
    lambda _: (
        sa.select(projects.c.pk)
        .where(projects.c.name == sa.bindparam("project"))
        .with_for_update(key_share=True)
    )
)
_FIND = Prepared(
    lambda _: (
        sa.select(runs.c.pk)
        .join(projects, projects.c.pk == runs.c.project_pk)
        .where(runs.c.id == sa.bindparam("parent"), projects.c.name == sa.bindparam("project"))
    )
)


def _inside() -> sa.Select[tuple[int]]:
    """Find a run among another one and all those above it."""
    first = sa.select(runs.c.pk, runs.c.parent_pk).where(
        runs.c.pk == sa.bindparam("above", type_=sa.BigInteger)
    )
    chain = first.cte("chain", recursive=True)
    next_ = sa.select(runs.c.pk, runs.c.parent_pk).join(chain, runs.c.pk == chain.c.parent_pk)
    chain = chain.union(next_)
    return sa.select(chain.c.pk).where(chain.c.pk == sa.bindparam("run", type_=sa.BigInteger))


_INSIDE = Prepared(lambda _: _inside())
_SET = Prepared(
    lambda _: (
        sa.update(runs)
        .where(runs.c.pk == sa.bindparam("run"))
        .where(runs.c.parent_pk.is_distinct_from(sa.bindparam("above", type_=sa.BigInteger)))
        .values(parent_pk=sa.bindparam("above", type_=sa.BigInteger))
    )
)
