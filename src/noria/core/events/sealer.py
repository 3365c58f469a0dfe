"""Give events their position in the order of commit, and seal them into the chain.

On SQLite an event has its position from the start, since there is one writer at a time. On PostgreSQL transactions
overlap: a position may be given only once no transaction that began earlier can still bring an event, or a reader
whose cursor has passed would never see it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import Database
from noria.core.database.prepared import Prepared
from noria.core.database.schema import from_micros
from noria.core.events.chain import GENESIS, seal
from noria.core.events.checkpoints import Checkpoint, Checkpoints
from noria.core.events.log import Event
from noria.core.events.tables import events

CHECKPOINT_EVERY = timedelta(minutes=1)
CHECKPOINT_AFTER_N = 1000
_BATCH = 500
_BATCHES_A_TICK = 10
"""Other work of the control loop waits for a tick, so a long backlog is sealed over several."""

_ADVISORY_KEY = 0x4E4F5249415F4556
"""The sealer's among the advisory locks of a database: `NORIA_EV` in ASCII."""

_ASSIGN = sa.text(
    """
    update events
    set position = numbered.position
    from (
        select
            seq,
            (select coalesce(max(position), 0) from events)
                + row_number() over (order by transaction_id, seq) as position
        from events
        where position is null
          and transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ) as numbered
    where events.seq = numbered.seq
    """
)
"""Events whose transaction began before every transaction that is open now; those are all committed."""


def assign_positions(database: Database) -> int:
    """On PostgreSQL, give a position to the events that cannot be overtaken any more.

    Safe to call from any process at any time; of two at once, one does the work.

    Returns
    -------
    int
        How many events got their position; always 0 on SQLite, where they have it.
    """
    if database.is_sqlite or not _any_without_position(database):
        return 0
    with database.write() as connection:
        _take_turns(connection)
        # The statement's own snapshot is taken after the turn is ours, so it sees the positions given before.
        return int(connection.execute(_ASSIGN).rowcount)


_SEAL = Prepared(
    sa.update(events)
    .where(events.c.position == sa.bindparam("at_position"))
    .values(hash=sa.bindparam("link"))
)


class Sealer:
    """Seals a workspace's log; one at a time works, others wait.

    Parameters
    ----------
    folder
        Of the workspace, where the checkpoints are kept.
    """

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self._database = database
        self._clock = clock
        self._checkpoints = Checkpoints(folder)
        self._noted = 0  # the position up to which nothing is left to seal or to note

    def is_of(self, database: Database) -> bool:
        """Tell whether it seals the log of a database."""
        return self._database is database

    def tick(self) -> int:
        """Give positions, seal what is unsealed, and note the head from time to time.

        Returns
        -------
        int
            How many events were sealed.
        """
        assign_positions(self._database)
        with self._database.glance() as connection:
            newest = _NEWEST.first(connection, {})
        if newest is None or (newest[0] == self._noted and newest[1] is not None):
            return 0
        n_sealed = 0
        # Events are sealed in their order: where the newest is, all are.
        while newest[1] is None and n_sealed < _BATCHES_A_TICK * _BATCH:
            n = self._seal_batch()
            n_sealed += n
            if n < _BATCH:
                break
        self.checkpoint()
        return n_sealed

    def checkpoint(self, *, at_once: bool = False) -> Checkpoint | None:
        """Note the chain's head if it moved far enough or long enough ago since the last note.

        Parameters
        ----------
        at_once
            Do not wait for that: the server is about to stop.
        """
        position, head = _head(self._database)
        last = self._checkpoints.last()
        if position == 0 or (last is not None and position <= last.position):
            self._noted = position
            return None
        now = self._clock.now()
        due = last is None or now - last.at >= CHECKPOINT_EVERY
        if not (due or at_once or (last and position - last.position >= CHECKPOINT_AFTER_N)):
            return None
        made = Checkpoint(position=position, hash=head, at=now)
        self._checkpoints.append(made)
        self._noted = position
        return made

    def _seal_batch(self) -> int:
        with self._database.write() as connection:
            _take_turns(connection)
            position, head = _head_of(connection)
            batch = _read_after(connection, position)
            links = zip(batch, seal(head, batch), strict=True)
            _SEAL.many(connection, [{"at_position": event.position, "link": link} for event, link in links])
            return len(batch)


def _any_without_position(database: Database) -> bool:
    with database.read() as connection:
        return _WITHOUT_POSITION.first(connection, {}) is not None


def _take_turns(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})


def _head(database: Database) -> tuple[int, str]:
    with database.read() as connection:
        return _head_of(connection)


def _head_of(connection: sa.Connection) -> tuple[int, str]:
    position, hash_ = _HEAD.first(connection, {}) or (0, GENESIS)
    return int(position), str(hash_)


def _read_after(connection: sa.Connection, position: int) -> list[Event]:
    return [
        Event(
            position=row[0],
            at=from_micros(row[1]),
            actor=row[2],
            project=row[3],
            type=row[4],
            subject=row[5],
            payload=_payload.decode(row[6]),
        )
        for row in _UNSEALED.all(connection, {"after": position})
    ]


_WITHOUT_POSITION = Prepared(
    sa.select(events.c.seq).where(events.c.position.is_(None)).limit(sa.literal_column("1"))
)
_payload = msgspec.json.Decoder(dict[str, Any])
_NEWEST = Prepared(
    sa.select(events.c.position, events.c.hash)
    .where(events.c.position.is_not(None))
    .order_by(events.c.position.desc())
    .limit(sa.literal_column("1"))
)
_HEAD = Prepared(
    sa.select(events.c.position, events.c.hash)
    .where(events.c.hash.is_not(None))
    .order_by(events.c.position.desc())
    .limit(sa.literal_column("1"))
)
_UNSEALED = Prepared(
    sa.select(
        events.c.position,
        events.c.at,
        events.c.actor,
        events.c.project,
        events.c.type,
        events.c.subject,
        events.c.payload,
    )
    .where(events.c.position > sa.bindparam("after"))
    .order_by(events.c.position)
    .limit(sa.literal_column(str(_BATCH)))
)
