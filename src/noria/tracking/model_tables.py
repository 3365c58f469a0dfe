"""Tables of logged models, and of the artifacts that belong to no run."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, UtcMicros, metadata, pk

# Empty text stands for what nobody told. `source_run` is an id as the client gave it: the run may be of another server.
logged_models = sa.Table(
    "logged_models",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_message", BytewiseText, nullable=False),
    sa.Column("model_type", BytewiseText, nullable=False),
    sa.Column("source_run", BytewiseText, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("updated_at", UtcMicros, nullable=False),
    sa.Column("deleted_at", UtcMicros),
    sa.CheckConstraint(
        "status in ('unspecified', 'pending', 'ready', 'failed')", name="logged_models_status"
    ),
    sa.Index("logged_models_by_experiment", "experiment_pk", "created_at", "pk"),
    sa.Index("logged_models_by_source_run", "source_run"),
)


def _model_key() -> sa.Column[int]:
    return sa.Column(
        "model_pk", sa.BigInteger, sa.ForeignKey("logged_models.pk"), primary_key=True, autoincrement=False
    )


def _key_key() -> sa.Column[int]:
    return sa.Column(
        "key_pk", sa.BigInteger, sa.ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False
    )


def _run_key() -> sa.Column[int]:
    return sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("runs.pk"), primary_key=True, autoincrement=False)


logged_model_params = sa.Table(
    "logged_model_params",
    metadata,
    _model_key(),
    _key_key(),
    sa.Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_tags = sa.Table(
    "logged_model_tags",
    metadata,
    _model_key(),
    _key_key(),
    sa.Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

# A point belongs to the run that logged it too; here it says of which model it tells, on which data. Empty text stands
# for no data set. As with the points of runs, NaN is a column of its own beside the value 0.
logged_model_metrics = sa.Table(
    "logged_model_metrics",
    metadata,
    _model_key(),
    _key_key(),
    _run_key(),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("dataset_name", BytewiseText, primary_key=True),
    sa.Column("dataset_digest", BytewiseText, primary_key=True),
    sa.Column("is_nan", sa.SmallInteger, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Index("logged_model_metrics_by_run", "run_pk"),
    sqlite_with_rowid=False,
)

run_models = sa.Table(
    "run_models",
    metadata,
    _run_key(),
    sa.Column("direction", sa.Text, primary_key=True),
    _model_key(),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.CheckConstraint("direction in ('input', 'output')", name="run_models_direction"),
    sa.Index("run_models_by_model", "model_pk"),
    sqlite_with_rowid=False,
)

logged_model_artifacts = sa.Table(
    "logged_model_artifacts",
    metadata,
    _model_key(),
    sa.Column("path", BytewiseText, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)

loose_artifacts = sa.Table(
    "loose_artifacts",
    metadata,
    sa.Column(
        "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("path", BytewiseText, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Index("loose_artifacts_by_digest", "project_pk", "digest"),
    sqlite_with_rowid=False,
)
