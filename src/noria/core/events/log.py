"""Append to the event log and read from it.

An event is appended in the transaction of the change it tells of, so one exists exactly when the other does.
Readers keep a cursor on `position`, the order of commit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from noria.core.clock import Clock
from noria.core.database.alchemy import sa
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


REACH: Final = 20_000
"""Events that one look back reads at most."""

SKEW: Final = timedelta(minutes=5)
"""By how much clocks of those who write may differ: positions follow commits, not clocks."""


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to look back for; what is None passes everything.

    Attributes
    ----------
    type
        A type, or the beginning of several that ends with a point: `model.`.
    since, until
        Moments, the first included and the last not.
    """

    project: str | None = None
    type: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class LookBack(msgspec.Struct, frozen=True, kw_only=True):
    """Events, newest first; `next` is the position before which to look on, None at the end."""

    items: list[Event]
    next: int | None


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

    def look_back(self, asked: EventFilter, *, before: int | None = None, limit: int = 50) -> LookBack:
        """List events that pass a filter, newest first.

        At most `REACH` events are looked at, so that a filter that few events pass takes no longer than another; the
        answer says where to look on.

        Parameters
        ----------
        before
            Begin with the event that precedes this position; with the newest when left out.
        """
        near = self.window(asked)
        with self._database.read() as connection:
            start = self._start(connection, asked.until)
            for bound in (before, start):
                if bound is not None:
                    near = near.where(events.c.position < bound)
            window = near.limit(REACH).subquery()
            query = sa.select(window).where(*_passes(window, asked)).order_by(window.c.position.desc())
            found = [Event(**row) for row in connection.execute(query.limit(limit + 1)).mappings()]
            end = None
            if len(found) <= limit:
                last = near.offset(REACH - 1).limit(1)
                row = connection.execute(last.with_only_columns(events.c.position, events.c.at)).first()
                end = None if row is None or _is_before(row.at, asked.since) else int(row.position)
        items = found[:limit]
        return LookBack(items=items, next=items[-1].position if len(found) > limit else end)

    def window(self, asked: EventFilter) -> sa.Select[Any]:
        """Select the events that a look back goes over, as an index gives them: by subject and project."""
        query = sa.select(*_columns()).where(events.c.position.is_not(None), *_places(asked))
        return query.order_by(events.c.position.desc())

    def _start(self, connection: sa.Connection, until: datetime | None) -> int | None:
        """Find, by halving, a position that only events after a moment follow; None for no moment."""
        if until is None:
            return None
        latest = until + SKEW
        low, high = 0, _last(connection) + 1
        while low + 1 < high:
            middle = (low + high) // 2
            at = connection.execute(sa.select(events.c.at).where(events.c.position == middle)).scalar()
            low, high = (middle, high) if at is not None and at <= latest else (low, middle)
        return high

    def _fetch(self, query: sa.Select[Any]) -> list[Event]:
        with self._database.read() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def last_position(self) -> int:
        """Give the position of the newest event, 0 when there is none."""
        with self._database.glance() as connection:
            return _last(connection)

    def newest_by_type(self, after: int) -> dict[str, int]:
        """Give the position of the newest event of each type that occurs after a position."""
        with self._database.glance() as connection:
            return {type_: int(newest) for type_, newest in _NEWEST_BY_TYPE.all(connection, {"after": after})}

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
    lambda _: (
        sa.select(events.c.position)
        .where(events.c.position.is_not(None))
        .order_by(events.c.position.desc())
        .limit(sa.literal_column("1"))
    )
)


_NEWEST_BY_TYPE = Prepared(
    lambda _: (
        sa.select(events.c.type, sa.func.max(events.c.position))
        .where(events.c.position > sa.bindparam("after"))
        .group_by(events.c.type)
    )
)


def _last(connection: sa.Connection) -> int:
    newest = _NEWEST.first(connection, {})
    return 0 if newest is None else int(newest[0])


def _columns() -> list[sa.Column[Any]]:
    return [events.c[name] for name in Event.__struct_fields__]


def _select(types: list[str] | None, subject: str | None, project: str | None, limit: int) -> sa.Select[Any]:
    query = sa.select(*_columns()).limit(max(1, min(limit, 1000)))
    if types is not None:
        query = query.where(events.c.type.in_(types))
    if subject is not None:
        query = query.where(events.c.subject == subject)
    if project is not None:
        query = query.where(events.c.project == project)
    return query


def _places(asked: EventFilter) -> list[sa.ColumnElement[bool]]:
    """Give what an index of events leads to."""
    found: list[sa.ColumnElement[bool]] = []
    if asked.subject is not None:
        found.append(events.c.subject == asked.subject)
    if asked.project is not None:
        found.append(events.c.project == asked.project)
    return found


def _passes(window: sa.Subquery, asked: EventFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if asked.type is not None:
        is_group = asked.type.endswith(".")
        kind = window.c.type
        found.append(kind.startswith(asked.type, autoescape=True) if is_group else kind == asked.type)
    if asked.actor is not None:
        found.append(window.c.actor == asked.actor)
    if asked.since is not None:
        found.append(window.c.at >= asked.since)
    if asked.until is not None:
        found.append(window.c.at < asked.until)
    return found


def _is_before(at: datetime, since: datetime | None) -> bool:
    return since is not None and at < since - SKEW
