"""Tables of decision records."""

from __future__ import annotations

from noria.catalog.entities import DecisionRecord
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

decision_records = Table(
    "decision_records",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("key", Text),
    Column("body", JsonText(DecisionRecord), nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("closed_at", UtcMicros),
    UniqueConstraint("project_pk", "key", name="decision_records_by_key"),
    Index("decision_records_by_subject", "project_pk", "subject", "id"),
)
