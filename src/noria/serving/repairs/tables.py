"""Table of repairs of inputs."""

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
    text,
)
from noria.serving.repairs.entities import ColumnRepair

input_repairs = Table(
    "input_repairs",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("endpoint_pk", BigInteger, ForeignKey("endpoints.pk"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("columns", JsonText(list[ColumnRepair]), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision_id", Text),
    Column("started_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    # Of the endpoint, from which and until which requests were repaired; captured rows carry theirs.
    Column("revision", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("ended_at", UtcMicros),
    Column("ended_by", Text),
    Column("ended_revision", BigInteger),
    Column("ended_why", Text),
    UniqueConstraint("endpoint_pk", "number", name="input_repairs_by_endpoint"),
    # One repair at a time, whoever writes at once.
    Index(
        "input_repairs_under_way",
        "endpoint_pk",
        unique=True,
        sqlite_where=text("ended_at is null"),
        postgresql_where=text("ended_at is null"),
    ),
)
