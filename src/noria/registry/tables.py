"""Tables of models.

A model that was deleted gives its name free: its row keeps the name with its id behind it, which no name can hold.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, UtcMicros, metadata, pk
from noria.registry.entities import ArtifactPlace, Holdout, Origin, Signature

models = sa.Table(
    "models",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("latest", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    # The highest number that was given; `latest` is the newest version that is still there.
    sa.Column("last_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("updated_at", UtcMicros, nullable=False, server_default="0"),
    sa.Column("description", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("deleted_at", UtcMicros),
    sa.UniqueConstraint("project_pk", "name", name="models_by_name"),
)

model_versions = sa.Table(
    "model_versions",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text),
    sa.Column("format", sa.Text),
    sa.Column("task", sa.Text),
    sa.Column("signature", JsonText(Signature)),
    sa.Column("classes", JsonText(list[Any])),
    sa.Column("holdout", JsonText(Holdout)),
    sa.Column("metrics", JsonText(dict[str, float]), nullable=False),
    sa.Column("origin", JsonText(Origin), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("updated_at", UtcMicros, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("source", sa.Text),
    # Where the files lay at registration: an address, and the place in this workspace if it was one.
    sa.Column("location", sa.Text),
    sa.Column("artifacts", JsonText(ArtifactPlace)),
    # Of `origin`, to search by.
    sa.Column("run_id", sa.Text),
    sa.Column("run_link", sa.Text),
    sa.Column("model_id", sa.Text),
    sa.Column("flavor", sa.Text),
    sa.Column("pickled", sa.Boolean, nullable=False),
    # The model's name then: what the run that made the version recorded.
    sa.Column("registered_as", sa.Text, nullable=False),
    sa.Column("deleted_at", UtcMicros),
    sa.UniqueConstraint("model_pk", "version", name="model_versions_by_version"),
    sa.Index("model_versions_by_run", "run_id"),
    sa.Index("model_versions_by_update", "updated_at"),
)

model_aliases = sa.Table(
    "model_aliases",
    metadata,
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("moved_at", UtcMicros, nullable=False),
)

model_tags = sa.Table(
    "model_tags",
    metadata,
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), primary_key=True, autoincrement=False),
    sa.Column("key", BytewiseText, primary_key=True),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Index("model_tags_by_key", "key", "model_pk"),
    sqlite_with_rowid=False,
)

model_version_tags = sa.Table(
    "model_version_tags",
    metadata,
    sa.Column(
        "version_pk",
        sa.BigInteger,
        sa.ForeignKey("model_versions.pk"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("key", BytewiseText, primary_key=True),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Index("model_version_tags_by_key", "key", "version_pk"),
    sqlite_with_rowid=False,
)

former_model_names = sa.Table(
    "former_model_names",
    metadata,
    sa.Column(
        "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("name", BytewiseText, primary_key=True),
    sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
    sqlite_with_rowid=False,
)

pickle_consents = sa.Table(
    "pickle_consents",
    metadata,
    sa.Column(
        "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("given_by", sa.Text, nullable=False),
    sa.Column("given_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)

packages = sa.Table(
    "packages",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("version_pk", sa.BigInteger, sa.ForeignKey("model_versions.pk"), nullable=False),
    # Of the manifest, as OCI names it; and of the tree of the layout's files, as the object store does.
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("layout", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("lock_incomplete", sa.Text),
    sa.Column("key_id", sa.Text),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("version_pk", "digest", name="packages_by_version"),
    sa.Index("packages_by_digest", "digest"),
)

model_validations = sa.Table(
    "model_validations",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("version_pk", sa.BigInteger, sa.ForeignKey("model_versions.pk"), nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("counts", sa.Boolean, nullable=False),
    # Read by `noria.registry.validation`, which knows what a report is.
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Index("model_validations_by_version", "version_pk"),
)

model_approvals = sa.Table(
    "model_approvals",
    metadata,
    sa.Column(
        "version_pk",
        sa.BigInteger,
        sa.ForeignKey("model_versions.pk"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("given_by", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("report_id", sa.Text),
    sa.Column("given_at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
