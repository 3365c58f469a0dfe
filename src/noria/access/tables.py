"""Tables of projects."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import UtcMicros, metadata, pk

projects = sa.Table(
    "projects",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", UtcMicros, nullable=False),
)
