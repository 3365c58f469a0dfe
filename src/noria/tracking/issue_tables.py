"""The table of issues. They go with their experiment, and forget a run that goes."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, metadata, pk
from noria.tracking.issue_entities import IssueSeverity

SEVERITIES = (None, *IssueSeverity)
"""The severity of each number in the column."""

# `severity` is a number, so that an index has the order in which issues are listed.
issues = sa.Table(
    "issues",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    sa.Column(
        "experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("source_run_pk", sa.BigInteger, sa.ForeignKey("runs.pk", ondelete="SET NULL")),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.SmallInteger, nullable=False),
    sa.Column("root_causes", JsonText(list[str]), nullable=False),
    sa.Column("categories", JsonText(list[str]), nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("seen_ms", sa.BigInteger),
    sa.Column("updated_by", sa.Text),
    sa.Column("metadata", JsonText(dict[str, str])),
    sa.CheckConstraint("status in ('pending', 'rejected', 'resolved')", name="issues_status"),
    sa.CheckConstraint("severity between 0 and 4", name="issues_severity"),
    sa.Index(
        "issues_in_order",
        "experiment_pk",
        sa.text("severity desc"),
        sa.text("created_ms desc"),
        sa.text("id desc"),
    ),
    sa.Index("issues_by_run", "source_run_pk"),
)

# Categories as a search compares them, whatever their case and the space around them.
issue_categories = sa.Table(
    "issue_categories",
    metadata,
    sa.Column(
        "issue_pk",
        sa.BigInteger,
        sa.ForeignKey("issues.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("folded", BytewiseText, primary_key=True),
    sa.Index("issue_categories_by_name", "folded", "issue_pk"),
    sqlite_with_rowid=False,
)
