"""Table of decisions."""

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
from noria.decisions.entities import Decision

decisions = Table(
    "decisions",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("alert_id", Text, unique=True),
    # The endpoint's name while the decision is open, null afterwards: one open decision per endpoint.
    Column("open_endpoint", Text),
    Column("body", JsonText(Decision), nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    UniqueConstraint("project_pk", "open_endpoint", name="decisions_open"),
    Index("decisions_by_endpoint", "project_pk", "endpoint", "id"),
)
