"""Tables of datasets."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk

datasets = sa.Table(
    "datasets",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("latest", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("last_number", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.UniqueConstraint("project_pk", "name", name="datasets_by_name"),
)
"""`latest` is the newest version there is (0: none), `last_number` the highest number ever given."""

dataset_versions = sa.Table(
    "dataset_versions",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("dataset_pk", sa.BigInteger, sa.ForeignKey("datasets.pk"), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("parent", sa.BigInteger),
    sa.Column("n_files", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger),
    sa.Column("profile", JsonText(dict)),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("dataset_pk", "version", name="dataset_versions_by_version"),
)

dataset_tags = sa.Table(
    "dataset_tags",
    metadata,
    sa.Column("dataset_pk", sa.BigInteger, sa.ForeignKey("datasets.pk"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
)
