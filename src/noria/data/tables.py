"""Tables of datasets."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Column,
    ForeignKey,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
    text,
)

datasets = Table(
    "datasets",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", Text, nullable=False),
    Column("latest", BigInteger, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("last_number", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("project_pk", "name", name="datasets_by_name"),
)
"""`latest` is the newest version there is (0: none), `last_number` the highest number ever given."""

dataset_versions = Table(
    "dataset_versions",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("dataset_pk", BigInteger, ForeignKey("datasets.pk"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("parent", BigInteger),
    Column("n_files", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("n_rows", BigInteger),
    Column("profile", JsonText(dict)),
    Column("created_at", UtcMicros, nullable=False),
    UniqueConstraint("dataset_pk", "version", name="dataset_versions_by_version"),
)

dataset_tags = Table(
    "dataset_tags",
    Column("dataset_pk", BigInteger, ForeignKey("datasets.pk"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", UtcMicros, nullable=False),
)
