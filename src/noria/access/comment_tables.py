"""The table of comments."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, UtcMicros, metadata, pk

comments = sa.Table(
    "comments",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    # Kind and id of what is spoken of, which stay as they are when it gets another name.
    sa.Column("subject", BytewiseText, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    # Counts the texts that it had, from 1.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("edited_at", UtcMicros),
    sa.Column("deleted_at", UtcMicros),
    sa.Index("comments_by_subject", "subject", "id"),
    sa.Index("comments_by_deletion", "deleted_at"),
)
