"""The table of issues. They go with their experiment, and forget a run that goes."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    JsonText,
    SmallInteger,
    Table,
    Text,
    pk,
    text,
)
from noria.tracking.issue_entities import IssueSeverity

SEVERITIES = (None, *IssueSeverity)
"""The severity of each number in the column."""

# `severity` is a number, so that an index has the order in which issues are listed.
issues = Table(
    "issues",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    Column("experiment_pk", BigInteger, ForeignKey("experiments.pk", ondelete="CASCADE"), nullable=False),
    Column("source_run_pk", BigInteger, ForeignKey("runs.pk", ondelete="SET NULL")),
    Column("name", BytewiseText, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("root_causes", JsonText(list[str]), nullable=False),
    Column("categories", JsonText(list[str]), nullable=False),
    Column("created_by", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger),
    Column("updated_by", Text),
    Column("metadata", JsonText(dict[str, str])),
    CheckConstraint("status in ('pending', 'rejected', 'resolved')", name="issues_status"),
    CheckConstraint("severity between 0 and 4", name="issues_severity"),
    Index(
        "issues_in_order",
        "experiment_pk",
        text("severity desc"),
        text("created_ms desc"),
        text("id desc"),
    ),
    Index("issues_by_run", "source_run_pk"),
)

# Categories as a search compares them, whatever their case and the space around them.
issue_categories = Table(
    "issue_categories",
    Column(
        "issue_pk",
        BigInteger,
        ForeignKey("issues.pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("folded", BytewiseText, primary_key=True),
    Index("issue_categories_by_name", "folded", "issue_pk"),
    sqlite_with_rowid=False,
)
