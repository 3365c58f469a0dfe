"""Tables of experiments and runs.

What grows is kept narrow: keys of params, metrics and tags are interned in `tracking_keys`, and the tables below join
on integers. Metric points are clustered by run and key, so that a history is one range of one tree.
"""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.tracking.entities import RunSource

experiments = sa.Table(
    "experiments",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("project_pk", "name", name="experiments_by_name"),
    sa.Index("experiments_by_number", "project_pk", "number"),
)

runs = sa.Table(
    "runs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
    sa.Column("parent_pk", sa.BigInteger, sa.ForeignKey("runs.pk")),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("source", JsonText(RunSource)),
    sa.CheckConstraint("status in ('running', 'finished', 'failed', 'killed')", name="runs_status"),
    sa.Index("runs_by_project", "project_pk", "started_at", "pk"),
    sa.Index("runs_by_experiment", "experiment_pk", "started_at", "pk"),
    sa.Index("runs_by_status", "project_pk", "status", "started_at", "pk"),
    sa.Index("runs_by_experiment_status", "experiment_pk", "status", "started_at", "pk"),
    sa.Index("runs_by_parent", "parent_pk", "started_at", "pk"),
)

tracking_keys = sa.Table(
    "tracking_keys",
    metadata,
    pk(),
    sa.Column("key", sa.Text, nullable=False, unique=True),
)

run_params = sa.Table(
    "run_params",
    metadata,
    sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), primary_key=True, autoincrement=False),
    sa.Column(
        "key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

run_tags = sa.Table(
    "run_tags",
    metadata,
    sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), primary_key=True, autoincrement=False),
    sa.Column(
        "key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# No foreign keys: their checks would cost more than the insert itself, and only `batches.py` writes here, after it
# has found the run. SQLite has no NaN, so it is a column of its own beside the value 0.
metric_points = sa.Table(
    "metric_points",
    metadata,
    sa.Column("run_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("is_nan", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

metric_latest = sa.Table(
    "metric_latest",
    metadata,
    sa.Column("run_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("is_nan", sa.SmallInteger, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

run_links = sa.Table(
    "run_links",
    metadata,
    sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), primary_key=True, autoincrement=False),
    sa.Column("direction", sa.Text, primary_key=True),
    sa.Column("ref", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("at", UtcMicros, nullable=False),
    sa.CheckConstraint("direction in ('input', 'output')", name="run_links_direction"),
    sa.Index("run_links_by_ref", "ref", "direction", "run_pk"),
    sqlite_with_rowid=False,
)

run_artifacts = sa.Table(
    "run_artifacts",
    metadata,
    sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), primary_key=True, autoincrement=False),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
