"""Tables of the event log."""

from __future__ import annotations

from noria.core.database.schema import BigInteger, Column, Index, JsonText, Table, Text, UtcMicros, pk

events = Table(
    "events",
    pk("seq"),
    # Order of commit. On SQLite given with the insert (one writer); on PostgreSQL by the sealer, see `chain.py`.
    Column("position", BigInteger, unique=True),
    # PostgreSQL: the writing transaction, so that the sealer never passes one that is still open.
    Column("transaction_id", BigInteger),
    Column("at", UtcMicros, nullable=False),
    Column("actor", Text, nullable=False),
    Column("project", Text),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", JsonText(dict), nullable=False),
    # Hash chain over the events in order of position; null until sealed.
    Column("hash", Text),
    Index("events_by_subject", "subject", "position"),
    Index("events_by_type", "type", "position"),
    Index("events_by_project", "project", "position"),
    sqlite_autoincrement=True,
)

event_cursors = Table(
    "event_cursors",
    Column("reader", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
