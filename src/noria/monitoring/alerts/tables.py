"""Tables of groups of alerts, silences and notices."""

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
    partial_index,
    pk,
)
from noria.monitoring.alerts.entities import Told

alert_groups = Table(
    "alert_groups",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("cause", Text, nullable=False),
    # Grows with each alert that joins: what closes the group makes sure that none joined meanwhile.
    Column("n_alerts", BigInteger, nullable=False),
    Column("opened_at", UtcMicros, nullable=False),
    Column("closed_at", UtcMicros),
    Index("alert_groups_by_project", "project_pk", "id"),
    partial_index("alert_groups_open", "project_pk", "cause", where="closed_at is null", unique=True),
)

alert_silences = Table(
    "alert_silences",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("endpoint", Text),
    Column("kind", Text),
    Column("why", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("ends_at", UtcMicros, nullable=False),
    Index("alert_silences_by_end", "project_pk", "ends_at"),
)

alert_notices = Table(
    "alert_notices",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("group_pk", BigInteger, ForeignKey("alert_groups.pk"), nullable=False),
    # A name in the settings, since an address may be a secret.
    Column("receiver", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # How many alerts the group had: a notice is written once however often it is planned.
    Column("n_alerts", BigInteger, nullable=False),
    Column("alert_ids", JsonText(list[str]), nullable=False),
    Column("subject", Text, nullable=False),
    Column("told", JsonText(Told), nullable=False),
    Column("status", Text, nullable=False),
    Column("n_attempts", BigInteger, nullable=False),
    Column("error", Text),
    Column("created_at", UtcMicros, nullable=False),
    Column("due_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    UniqueConstraint("group_pk", "receiver", "kind", "n_alerts", name="alert_notices_once"),
    Index("alert_notices_by_receiver", "receiver", "pk"),
)

alert_doubts = Table(
    "alert_doubts",
    # What may become an alert when it lasts, and between which instants it was seen without a pause.
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("first_at", UtcMicros, nullable=False),
    Column("last_at", UtcMicros, nullable=False),
)
