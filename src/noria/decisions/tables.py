"""Table of decisions."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.decisions.entities import Decision

decisions = sa.Table(
    "decisions",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("alert_id", sa.Text, unique=True),
    # The endpoint's name while the decision is open, null afterwards: one open decision per endpoint.
    sa.Column("open_endpoint", sa.Text),
    sa.Column("body", JsonText(Decision), nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("project_pk", "open_endpoint", name="decisions_open"),
    sa.Index("decisions_by_endpoint", "project_pk", "endpoint", "id"),
)
