"""Tables of models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.registry.entities import Holdout, Origin, Signature

models = sa.Table(
    "models",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("latest", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("project_pk", "name", name="models_by_name"),
)

model_versions = sa.Table(
    "model_versions",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("signature", JsonText(Signature), nullable=False),
    sa.Column("classes", JsonText(list[Any])),
    sa.Column("holdout", JsonText(Holdout)),
    sa.Column("metrics", JsonText(dict[str, float]), nullable=False),
    sa.Column("origin", JsonText(Origin), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("model_pk", "version", name="model_versions_by_version"),
)

model_aliases = sa.Table(
    "model_aliases",
    metadata,
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("moved_at", UtcMicros, nullable=False),
)
