"""Tables of groups of alerts, silences and notices."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, partial_index, pk
from noria.monitoring.alerts.entities import Told

alert_groups = sa.Table(
    "alert_groups",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    # Grows with each alert that joins: what closes the group makes sure that none joined meanwhile.
    sa.Column("n_alerts", sa.BigInteger, nullable=False),
    sa.Column("opened_at", UtcMicros, nullable=False),
    sa.Column("closed_at", UtcMicros),
    sa.Index("alert_groups_by_project", "project_pk", "id"),
    partial_index("alert_groups_open", "project_pk", "cause", where="closed_at is null", unique=True),
)

alert_silences = sa.Table(
    "alert_silences",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("endpoint", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("ends_at", UtcMicros, nullable=False),
    sa.Index("alert_silences_by_end", "project_pk", "ends_at"),
)

alert_notices = sa.Table(
    "alert_notices",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("group_pk", sa.BigInteger, sa.ForeignKey("alert_groups.pk"), nullable=False),
    # A name in the settings, since an address may be a secret.
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    # How many alerts the group had: a notice is written once however often it is planned.
    sa.Column("n_alerts", sa.BigInteger, nullable=False),
    sa.Column("alert_ids", JsonText(list[str]), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("told", JsonText(Told), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("n_attempts", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("due_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.UniqueConstraint("group_pk", "receiver", "kind", "n_alerts", name="alert_notices_once"),
    sa.Index("alert_notices_by_receiver", "receiver", "pk"),
)

alert_doubts = sa.Table(
    "alert_doubts",
    metadata,
    # What may become an alert when it lasts, and between which instants it was seen without a pause.
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("first_at", UtcMicros, nullable=False),
    sa.Column("last_at", UtcMicros, nullable=False),
)
