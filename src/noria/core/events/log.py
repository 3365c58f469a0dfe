"""Append to the event log and read from it.

An event is appended in the transaction of the change it tells of, so one exists exactly when the other does.
Readers keep a cursor on `position`, the order of commit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import Database
from noria.core.database.prepared import Prepared
from noria.core.database.schema import to_micros
from noria.core.events.tables import event_cursors, events


class EventType(str):
    """A type of event, with the sentence that documents it.

    A capability lists its types in its `events.py`::

        RUN_FINISHED = EventType("run.finished", "A run ended; the payload has its status")
    """

    doc: str

    def __new__(cls, name: str, doc: str) -> EventType:
        """Make the name itself carry its documentation."""
        made = super().__new__(cls, name)
        made.doc = doc
        return made


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changed.

    Attributes
    ----------
    position
        Place in the order of commit, from 1.
    subject
        What it happened to: `run:<id>`, `model:digits@3`.
    payload
        References and figures; never personal data, secrets or rows.
    """

    position: int
    at: datetime
    actor: str
    project: str | None
    type: str
    subject: str
    payload: dict[str, Any]
    hash: str | None = None


def append(
    connection: sa.Connection,
    clock: Clock,
    *,
    actor: str,
    type: EventType,  # noqa: A002 - the field's name
    subject: str,
    project: str | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Append an event in the transaction of `connection`."""
    values: dict[str, Any] = {
        "at": to_micros(clock.now()),
        "actor": actor,
        "project": project,
        "type": str(type),
        "subject": subject,
        "payload": _payload.encode(payload or {}).decode(),
    }
    _INSERT.run(connection, values)


_payload = msgspec.json.Encoder()


def _insert(dialect: str) -> sa.Executable:
    given = ("at", "actor", "project", "type", "subject", "payload")
    insert = sa.insert(events).values({name: sa.bindparam(name) for name in given}).inline()
    if dialect == "sqlite":
        last = sa.select(sa.func.coalesce(sa.func.max(events.c.position), sa.literal_column("0")))
        return insert.values(position=last.scalar_subquery() + sa.literal_column("1"))
    return insert.values(transaction_id=sa.text("pg_current_xact_id()::text::bigint"))


_INSERT = Prepared(_insert)


class EventLog:
    """Reads the log in order of commit and keeps readers' cursors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self,
        after: int,
        *,
        limit: int = 100,
        types: list[str] | None = None,
        subject: str | None = None,
        project: str | None = None,
    ) -> list[Event]:
        """List events with a position greater than `after`, oldest first.

        Parameters
        ----------
        limit
            At most this many, 1 to 1000.
        """
        query = _select(types, subject, project, limit)
        return self._fetch(query.where(events.c.position > after).order_by(events.c.position))

    def latest(
        self,
        *,
        limit: int = 100,
        types: list[str] | None = None,
        subject: str | None = None,
        project: str | None = None,
    ) -> list[Event]:
        """List the newest events, newest first; at most `limit`, 1 to 1000."""
        query = _select(types, subject, project, limit).where(events.c.position.is_not(None))
        return self._fetch(query.order_by(events.c.position.desc()))

    def _fetch(self, query: sa.Select[Any]) -> list[Event]:
        with self._database.read() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def last_position(self) -> int:
        """Give the position of the newest event, 0 when there is none."""
        with self._database.read() as connection:
            newest = _NEWEST.first(connection, {})
        return 0 if newest is None else int(newest[0])

    def cursor(self, reader: str) -> int:
        """Give the position up to which `reader` has read, 0 at first."""
        query = sa.select(event_cursors.c.position).where(event_cursors.c.reader == reader)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one_or_none() or 0)

    def advance(self, reader: str, position: int) -> None:
        """Move a reader's cursor forward; never backward."""
        insert = self._database.insert(event_cursors).values(reader=reader, position=position)
        with self._database.write() as connection:
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["reader"],
                    set_={"position": position},
                    where=event_cursors.c.position < position,
                )
            )


_NEWEST = Prepared(
    sa.select(events.c.position)
    .where(events.c.position.is_not(None))
    .order_by(events.c.position.desc())
    .limit(sa.literal_column("1"))
)
_COLUMNS = [events.c[name] for name in Event.__struct_fields__]


def _select(types: list[str] | None, subject: str | None, project: str | None, limit: int) -> sa.Select[Any]:
    query = sa.select(*_COLUMNS).limit(max(1, min(limit, 1000)))
    if types is not None:
        query = query.where(events.c.type.in_(types))
    if subject is not None:
        query = query.where(events.c.subject == subject)
    if project is not None:
        query = query.where(events.c.project == project)
    return query
