"""Table of repairs of inputs."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.serving.repairs.entities import ColumnRepair

input_repairs = sa.Table(
    "input_repairs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("columns", JsonText(list[ColumnRepair]), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decision_id", sa.Text),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    # Of the endpoint, from which and until which requests were repaired; captured rows carry theirs.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.Column("ended_by", sa.Text),
    sa.Column("ended_revision", sa.BigInteger),
    sa.Column("ended_why", sa.Text),
    sa.UniqueConstraint("endpoint_pk", "number", name="input_repairs_by_endpoint"),
    # One repair at a time, whoever writes at once.
    sa.Index(
        "input_repairs_under_way",
        "endpoint_pk",
        unique=True,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    ),
)
