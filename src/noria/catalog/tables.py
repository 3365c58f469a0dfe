"""Tables of decision records."""

from __future__ import annotations

import sqlalchemy as sa

from noria.catalog.entities import DecisionRecord
from noria.core.database.schema import JsonText, UtcMicros, metadata, pk

decision_records = sa.Table(
    "decision_records",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("body", JsonText(DecisionRecord), nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("closed_at", UtcMicros),
    sa.UniqueConstraint("project_pk", "key", name="decision_records_by_key"),
    sa.Index("decision_records_by_subject", "project_pk", "subject", "id"),
)
