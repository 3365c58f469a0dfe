"""The table of what was found out about versions: checks, and comparisons with other versions."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk

dataset_reports = sa.Table(
    "dataset_reports",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column(
        "version_pk", sa.BigInteger, sa.ForeignKey("dataset_versions.pk", ondelete="cascade"), nullable=False
    ),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("against", sa.Text),
    sa.Column("passed", sa.Boolean),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("report", JsonText(dict), nullable=False),
    sa.CheckConstraint("kind in ('check', 'diff')", name="dataset_reports_kind"),
    sa.Index("dataset_reports_by_version", "version_pk", "kind", "pk"),
)
