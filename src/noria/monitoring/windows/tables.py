"""Tables of counters, of their history, and of quality by segment."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, metadata
from noria.monitoring.entities import SegmentQuality

monitor_counts = sa.Table(
    "monitor_counts",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

monitor_history = sa.Table(
    "monitor_history",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True),
    sa.Column("psi", JsonText(dict[str, dict[str, float]]), nullable=False),
)

monitor_segments = sa.Table(
    "monitor_segments",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("body", JsonText(SegmentQuality), nullable=False),
)
