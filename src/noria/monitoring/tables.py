"""Tables of monitors, windows and alerts."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import Cutting, QualityReport, Window

monitors = sa.Table(
    "monitors",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("label_position", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("n_windows", sa.BigInteger, nullable=False),
    sa.Column("detector", JsonText(DropDetector)),
    sa.Column("quality", JsonText(QualityReport)),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("looked_at", UtcMicros),
    sa.Column("cutting", JsonText(Cutting)),
    sa.UniqueConstraint("project_pk", "endpoint", name="monitors_by_endpoint"),
)

monitor_windows = sa.Table(
    "monitor_windows",
    metadata,
    sa.Column("monitor_pk", sa.BigInteger, sa.ForeignKey("monitors.pk"), primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True),
    sa.Column("body", JsonText(Window), nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("figures", JsonText(dict[str, float]), nullable=False),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("onset_position", sa.BigInteger, nullable=False),
    sa.Column("last_position", sa.BigInteger, nullable=False),
    sa.Column("opened_at", UtcMicros, nullable=False),
    sa.Column("closed_at", UtcMicros),
    sa.Column("closed_why", sa.Text),
    # When the trouble is estimated to begin.
    sa.Column("since", UtcMicros),
    # None for those raised before alerts were grouped.
    sa.Column("group_pk", sa.BigInteger),
    # None where the trouble is not in one segment alone.
    sa.Column("segment", sa.Text),
    sa.Index("alerts_by_endpoint", "project_pk", "endpoint", "id"),
    sa.Index("alerts_by_group", "group_pk"),
)
