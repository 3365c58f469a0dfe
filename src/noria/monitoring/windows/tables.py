"""Tables of counters, of their history, and of quality by segment."""

from __future__ import annotations

from noria.core.database.schema import BigInteger, Column, ForeignKey, JsonText, LargeBinary, Table, Text
from noria.monitoring.entities import SegmentQuality

monitor_counts = Table(
    "monitor_counts",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

monitor_history = Table(
    "monitor_history",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("psi", JsonText(dict[str, dict[str, float]]), nullable=False),
)

monitor_segments = Table(
    "monitor_segments",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("body", JsonText(SegmentQuality), nullable=False),
)
