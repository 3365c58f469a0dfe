"""Tags and metadata of traces."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.tracking.keys import intern_keys
from noria.tracking.tables import tracking_keys
from noria.tracking.traces.rows import TraceRow
from noria.tracking.traces.tables import trace_values

Values = Mapping[str, str]


def set_many(connection: sa.Connection, sets: list[tuple[TraceRow, int, Values]]) -> None:
    """Set values of several traces, in one order for all writers, or two of them could wait for each other."""
    keys = intern_keys(connection, {key for _, _, values in sets for key in values})
    rows = sorted(
        (row.pk, kind, keys[key], value, row.experiment_pk)
        for row, kind, values in sets
        for key, value in values.items()
    )
    if rows:
        _SET.many_tuples(connection, rows)


def has_value(connection: sa.Connection, row: TraceRow, kind: int, key: str) -> bool:
    """Tell whether a tag or metadata is there."""
    return _HAS.first(connection, {"trace": row.pk, "kind": kind, "key": key}) is not None


def remove_value(connection: sa.Connection, trace: int, kind: int, key: str) -> bool:
    """Remove a tag or metadata; False if it was not there."""
    found = _HAS.first(connection, {"trace": trace, "kind": kind, "key": key})
    if found is None:
        return False
    return _REMOVE.run(connection, {"trace": trace, "kind": kind, "key": found[0]}) == 1


def move_values(connection: sa.Connection, row: TraceRow) -> None:
    """Follow a trace into another experiment."""
    _MOVE.run(connection, {"trace": row.pk, "experiment": row.experiment_pk})


_MOVE = Prepared(
    sa.update(trace_values)
    .where(trace_values.c.trace_pk == sa.bindparam("trace"))
    .values(experiment_pk=sa.bindparam("experiment"))
)
_SET = Prepared(
    lambda dialect: (
        insert := upsertable(dialect, trace_values).values(
            {
                name: sa.bindparam(name, required=True)
                for name in ("trace_pk", "kind", "key_pk", "value", "experiment_pk")
            }
        )
    ).on_conflict_do_update(
        index_elements=["trace_pk", "kind", "key_pk"], set_={"value": insert.excluded.value}
    )
)
_HAS = Prepared(
    sa.select(trace_values.c.key_pk)
    .join(tracking_keys, tracking_keys.c.pk == trace_values.c.key_pk)
    .where(
        trace_values.c.trace_pk == sa.bindparam("trace"),
        trace_values.c.kind == sa.bindparam("kind"),
        tracking_keys.c.key == sa.bindparam("key"),
    )
)
_REMOVE = Prepared(
    sa.delete(trace_values).where(
        trace_values.c.trace_pk == sa.bindparam("trace"),
        trace_values.c.kind == sa.bindparam("kind"),
        trace_values.c.key_pk == sa.bindparam("key"),
    )
)
