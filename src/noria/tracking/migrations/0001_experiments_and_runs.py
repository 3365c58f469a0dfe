"""Experiments and runs, with the experiment `Default` of the project `default`."""

import sqlalchemy as sa
from alembic import op

from noria.core.ids import new_id

revision = "tracking_0001"
down_revision = None
branch_labels = ("tracking",)
depends_on = ("access_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_experiments_and_runs()
    _create_values()
    _create_metrics()
    _create_links_and_artifacts()
    _add_default_experiment()


def _create_experiments_and_runs() -> None:
    op.create_table(
        "experiments",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("project_pk", "name", name="experiments_by_name"),
    )
    op.create_index("experiments_by_number", "experiments", ["project_pk", "number"])
    op.create_table(
        "runs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
        sa.Column("parent_pk", sa.BigInteger, sa.ForeignKey("runs.pk")),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.CheckConstraint("status in ('running', 'finished', 'failed', 'killed')", name="runs_status"),
    )
    op.create_index("runs_by_project", "runs", ["project_pk", "started_at", "pk"])
    op.create_index("runs_by_experiment", "runs", ["experiment_pk", "started_at", "pk"])
    op.create_index("runs_by_status", "runs", ["project_pk", "status", "started_at", "pk"])
    op.create_index("runs_by_experiment_status", "runs", ["experiment_pk", "status", "started_at", "pk"])
    op.create_index("runs_by_parent", "runs", ["parent_pk", "started_at", "pk"])


def _create_values() -> None:
    op.create_table(
        "tracking_keys",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
    )
    for table in ("run_params", "run_tags"):
        op.create_table(
            table,
            sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), nullable=False),
            sa.Column("key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), nullable=False),
            sa.Column("value", sa.Text, nullable=False),
            sa.PrimaryKeyConstraint("run_pk", "key_pk"),
            sqlite_with_rowid=False,
        )


def _create_metrics() -> None:
    op.create_table(
        "metric_points",
        sa.Column("run_pk", sa.BigInteger, nullable=False),
        sa.Column("key_pk", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("is_nan", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "key_pk", "step", "at", "is_nan", "value"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_latest",
        sa.Column("run_pk", sa.BigInteger, nullable=False),
        sa.Column("key_pk", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("is_nan", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "key_pk"),
        sqlite_with_rowid=False,
    )


def _create_links_and_artifacts() -> None:
    op.create_table(
        "run_links",
        sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "direction", "ref", "digest"),
        sa.CheckConstraint("direction in ('input', 'output')", name="run_links_direction"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_links_by_ref", "run_links", ["ref", "direction", "run_pk"])
    op.create_table(
        "run_artifacts",
        sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_pk", "path"),
        sqlite_with_rowid=False,
    )


def _add_default_experiment() -> None:
    op.execute(
        sa.text(
            "insert into experiments (id, project_pk, name, number, created_at)"
            " select :id, pk, 'Default', 0, created_at from projects where name = 'default'"
        ).bindparams(id=new_id())
    )
