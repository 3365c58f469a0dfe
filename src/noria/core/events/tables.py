"""Tables of the event log."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata

events = sa.Table(
    "events",
    metadata,
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    ),
    # Order of commit. On SQLite given with the insert (one writer); on PostgreSQL by the sealer, see `chain.py`.
    sa.Column("position", sa.BigInteger, unique=True),
    # PostgreSQL: the writing transaction, so that the sealer never passes one that is still open.
    sa.Column("transaction_id", sa.BigInteger),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("project", sa.Text),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("payload", JsonText(dict), nullable=False),
    # Hash chain over the events in order of position; null until sealed.
    sa.Column("hash", sa.Text),
    sa.Index("events_by_subject", "subject", "position"),
    sa.Index("events_by_type", "type", "position"),
    sa.Index("events_by_project", "project", "position"),
    sqlite_autoincrement=True,
)

event_cursors = sa.Table(
    "event_cursors",
    metadata,
    sa.Column("reader", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
)
