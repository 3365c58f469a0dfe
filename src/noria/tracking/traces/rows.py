"""The row of a trace, as what writes it keeps it in hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.tracking.traces.entities import TraceState
from noria.tracking.traces.places import TraceNotFound, trace_pk
from noria.tracking.traces.sums import COSTS, TOKENS
from noria.tracking.traces.tables import traces

SUMS = (*TOKENS, *COSTS)


@dataclass(slots=True, kw_only=True)
class TraceRow:
    """A trace that is being written; `pk` is 0 before it has a row."""

    id: str
    experiment_pk: int
    started_ms: int
    pk: int = 0
    duration_ms: int | None = None
    state: str = TraceState.UNSPECIFIED.value
    name: str | None = None
    client_request_id: str | None = None
    session: str | None = None
    request: str | None = None
    response: str | None = None
    is_final: int = 0
    n_spans: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation_input_tokens_above_1hr: int | None = None
    input_cost: float | None = None
    output_cost: float | None = None
    total_cost: float | None = None

    def tells(self, names: tuple[str, ...]) -> bool:
        """Whether any of these sums is known."""
        return any(getattr(self, name) is not None for name in names)

    def values(self) -> dict[str, Any]:
        """Give the columns by name."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = tuple(column.name for column in traces.c if column.name != "pk")
_COLUMNS = [traces.c[name] for name in ("pk", *_NAMES)]


def find_row(connection: sa.Connection, trace_id: str) -> TraceRow | None:
    """Find a trace, and hold its row against other writers until the commit."""
    row = _FIND.first(connection, {"trace": trace_id})
    if row is None:
        return None
    return TraceRow(**dict(zip(("pk", *_NAMES), row, strict=True)))


def held_row(connection: sa.Connection, project: str, trace_id: str) -> TraceRow:
    """Find a trace of a project, and hold its row against other writers until the commit.

    Raises
    ------
    TraceNotFound
        If the project has none of this id.
    """
    trace_pk(connection, project, trace_id)
    row = find_row(connection, trace_id)
    if row is None:  # deleted since
        raise TraceNotFound(trace_id)
    return row


def insert_row(connection: sa.Connection, row: TraceRow) -> bool:
    """Insert a trace and give it its key; False if another writer has made one of the same id meanwhile."""
    made = _INSERT.first(connection, row.values())
    if made is None:
        return False
    row.pk = made[0]
    return True


def update_row(connection: sa.Connection, row: TraceRow) -> None:
    """Write what has changed of a trace that is held."""
    _UPDATE.run(connection, {**row.values(), "trace": row.pk})


_FIND = Prepared(sa.select(*_COLUMNS).where(traces.c.id == sa.bindparam("trace")).with_for_update())
_INSERT = Prepared(
    lambda dialect: (
        upsertable(dialect, traces)
        .values({name: sa.bindparam(name, required=True) for name in _NAMES})
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(traces.c.pk)
    )
)
_UPDATE = Prepared(
    sa.update(traces)
    .where(traces.c.pk == sa.bindparam("trace"))
    .values({name: sa.bindparam(name, required=True) for name in _NAMES})
)
