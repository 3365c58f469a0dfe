"""The table of what was found out about versions: checks, and comparisons with other versions."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UtcMicros,
    pk,
)

dataset_reports = Table(
    "dataset_reports",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("version_pk", BigInteger, ForeignKey("dataset_versions.pk", ondelete="cascade"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("against", Text),
    Column("passed", Boolean),
    Column("author", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("report", JsonText(dict), nullable=False),
    CheckConstraint("kind in ('check', 'diff')", name="dataset_reports_kind"),
    Index("dataset_reports_by_version", "version_pk", "kind", "pk"),
)
