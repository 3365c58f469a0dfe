"""Tables of monitors, windows and alerts."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
)
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import Cutting, QualityReport, Window

monitors = Table(
    "monitors",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("label_position", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("n_windows", BigInteger, nullable=False),
    Column("detector", JsonText(DropDetector)),
    Column("quality", JsonText(QualityReport)),
    Column("created_at", UtcMicros, nullable=False),
    Column("looked_at", UtcMicros),
    Column("cutting", JsonText(Cutting)),
    UniqueConstraint("project_pk", "endpoint", name="monitors_by_endpoint"),
)

monitor_windows = Table(
    "monitor_windows",
    Column("monitor_pk", BigInteger, ForeignKey("monitors.pk"), primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("body", JsonText(Window), nullable=False),
)

alerts = Table(
    "alerts",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("figures", JsonText(dict[str, float]), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("onset_position", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("opened_at", UtcMicros, nullable=False),
    Column("closed_at", UtcMicros),
    Column("closed_why", Text),
    # When the trouble is estimated to begin.
    Column("since", UtcMicros),
    # None for those raised before alerts were grouped.
    Column("group_pk", BigInteger),
    # None where the trouble is not in one segment alone.
    Column("segment", Text),
    Index("alerts_by_endpoint", "project_pk", "endpoint", "id"),
    Index("alerts_by_group", "group_pk"),
)
