"""The table of comments."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UtcMicros,
    pk,
)

comments = Table(
    "comments",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    # Kind and id of what is spoken of, which stay as they are when it gets another name.
    Column("subject", BytewiseText, nullable=False),
    Column("author", Text, nullable=False),
    Column("text", Text, nullable=False),
    # Counts the texts that it had, from 1.
    Column("revision", BigInteger, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("edited_at", UtcMicros),
    Column("deleted_at", UtcMicros),
    Index("comments_by_subject", "subject", "id"),
    Index("comments_by_deletion", "deleted_at"),
)
