"""Logged models with what they hold, and artifacts that belong to no run."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "tracking_0003"
down_revision = "tracking_0002"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # Folders are ranges of paths, which only bytes put in an order that the code knows.
        op.execute('alter table run_artifacts alter column path type text collate "C"')
    _create_models()
    _create_values()
    _create_links()
    _create_artifacts()


def _create_models() -> None:
    op.create_table(
        "logged_models",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_message", BYTEWISE, nullable=False),
        sa.Column("model_type", BYTEWISE, nullable=False),
        sa.Column("source_run", BYTEWISE, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.CheckConstraint(
            "status in ('unspecified', 'pending', 'ready', 'failed')", name="logged_models_status"
        ),
    )
    op.create_index("logged_models_by_experiment", "logged_models", ["experiment_pk", "created_at", "pk"])
    op.create_index("logged_models_by_source_run", "logged_models", ["source_run"])


def _create_values() -> None:
    for table in ("logged_model_params", "logged_model_tags"):
        op.create_table(
            table,
            _key("model_pk", "logged_models.pk"),
            _key("key_pk", "tracking_keys.pk"),
            sa.Column("value", BYTEWISE, nullable=False),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "logged_model_metrics",
        _key("model_pk", "logged_models.pk"),
        _key("key_pk", "tracking_keys.pk"),
        _key("run_pk", "runs.pk"),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("dataset_name", BYTEWISE, primary_key=True),
        sa.Column("dataset_digest", BYTEWISE, primary_key=True),
        sa.Column("is_nan", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("logged_model_metrics_by_run", "logged_model_metrics", ["run_pk"])


def _create_links() -> None:
    op.create_table(
        "run_models",
        _key("run_pk", "runs.pk"),
        sa.Column("direction", sa.Text, primary_key=True),
        _key("model_pk", "logged_models.pk"),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.CheckConstraint("direction in ('input', 'output')", name="run_models_direction"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_models_by_model", "run_models", ["model_pk"])


def _create_artifacts() -> None:
    for table, key, target in (
        ("logged_model_artifacts", "model_pk", "logged_models.pk"),
        ("loose_artifacts", "project_pk", "projects.pk"),
    ):
        op.create_table(
            table,
            _key(key, target),
            sa.Column("path", BYTEWISE, primary_key=True),
            sa.Column("digest", sa.Text, nullable=False),
            sa.Column("size_bytes", sa.BigInteger, nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            sqlite_with_rowid=False,
        )
    op.create_index("loose_artifacts_by_digest", "loose_artifacts", ["project_pk", "digest"])


def _key(name: str, target: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), primary_key=True, autoincrement=False)
