"""Tables of models.

A model that was deleted gives its name free: its row keeps the name with its id behind it, which no name can hold.
"""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    BytewiseText,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
)
from noria.registry.entities import ArtifactPlace, Holdout, Origin, Signature

models = Table(
    "models",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("latest", BigInteger, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    # The highest number that was given; `latest` is the newest version that is still there.
    Column("last_number", BigInteger, nullable=False, server_default="0"),
    Column("updated_at", UtcMicros, nullable=False, server_default="0"),
    Column("description", Text),
    Column("author", Text),
    Column("deleted_at", UtcMicros),
    UniqueConstraint("project_pk", "name", name="models_by_name"),
)

model_versions = Table(
    "model_versions",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("model_pk", BigInteger, ForeignKey("models.pk"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", Text),
    Column("format", Text),
    Column("task", Text),
    Column("signature", JsonText(Signature)),
    Column("classes", JsonText(list[Any])),
    Column("holdout", JsonText(Holdout)),
    Column("metrics", JsonText(dict[str, float]), nullable=False),
    Column("origin", JsonText(Origin), nullable=False),
    Column("message", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("updated_at", UtcMicros, nullable=False),
    Column("description", Text),
    Column("stage", Text, nullable=False),
    Column("source", Text),
    # Where the files lay at registration: an address, and the place in this workspace if it was one.
    Column("location", Text),
    Column("artifacts", JsonText(ArtifactPlace)),
    # Of `origin`, to search by.
    Column("run_id", Text),
    Column("run_link", Text),
    Column("model_id", Text),
    Column("flavor", Text),
    Column("pickled", Boolean, nullable=False),
    # The model's name then: what the run that made the version recorded.
    Column("registered_as", Text, nullable=False),
    Column("deleted_at", UtcMicros),
    UniqueConstraint("model_pk", "version", name="model_versions_by_version"),
    Index("model_versions_by_run", "run_id"),
    Index("model_versions_by_update", "updated_at"),
)

model_aliases = Table(
    "model_aliases",
    Column("model_pk", BigInteger, ForeignKey("models.pk"), primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("moved_at", UtcMicros, nullable=False),
)

model_tags = Table(
    "model_tags",
    Column("model_pk", BigInteger, ForeignKey("models.pk"), primary_key=True, autoincrement=False),
    Column("key", BytewiseText, primary_key=True),
    Column("value", BytewiseText, nullable=False),
    Index("model_tags_by_key", "key", "model_pk"),
    sqlite_with_rowid=False,
)

model_version_tags = Table(
    "model_version_tags",
    Column(
        "version_pk",
        BigInteger,
        ForeignKey("model_versions.pk"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("key", BytewiseText, primary_key=True),
    Column("value", BytewiseText, nullable=False),
    Index("model_version_tags_by_key", "key", "version_pk"),
    sqlite_with_rowid=False,
)

former_model_names = Table(
    "former_model_names",
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("name", BytewiseText, primary_key=True),
    Column("model_pk", BigInteger, ForeignKey("models.pk"), nullable=False),
    sqlite_with_rowid=False,
)

pickle_consents = Table(
    "pickle_consents",
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("digest", Text, primary_key=True),
    Column("ref", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("given_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)

packages = Table(
    "packages",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("version_pk", BigInteger, ForeignKey("model_versions.pk"), nullable=False),
    # Of the manifest, as OCI names it; and of the tree of the layout's files, as the object store does.
    Column("digest", Text, nullable=False),
    Column("layout", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("lock_incomplete", Text),
    Column("key_id", Text),
    Column("author", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    UniqueConstraint("version_pk", "digest", name="packages_by_version"),
    Index("packages_by_digest", "digest"),
)

model_validations = Table(
    "model_validations",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("version_pk", BigInteger, ForeignKey("model_versions.pk"), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("counts", Boolean, nullable=False),
    # Read by `noria.registry.validation`, which knows what a report is.
    Column("report", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Index("model_validations_by_version", "version_pk"),
)

model_approvals = Table(
    "model_approvals",
    Column(
        "version_pk",
        BigInteger,
        ForeignKey("model_versions.pk"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("alias", Text, primary_key=True),
    Column("given_by", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("report_id", Text),
    Column("given_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
