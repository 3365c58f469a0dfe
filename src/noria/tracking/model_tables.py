"""Tables of logged models, and of the artifacts that belong to no run."""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Text,
    UtcMicros,
    pk,
)

# Empty text stands for what nobody told. `source_run` is an id as the client gave it: the run may be of another server.
logged_models = Table(
    "logged_models",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("experiment_pk", BigInteger, ForeignKey("experiments.pk"), nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_message", BytewiseText, nullable=False),
    Column("model_type", BytewiseText, nullable=False),
    Column("source_run", BytewiseText, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("updated_at", UtcMicros, nullable=False),
    Column("deleted_at", UtcMicros),
    CheckConstraint("status in ('unspecified', 'pending', 'ready', 'failed')", name="logged_models_status"),
    Index("logged_models_by_experiment", "experiment_pk", "created_at", "pk"),
    Index("logged_models_by_source_run", "source_run"),
)


def _model_key() -> Any:
    return Column(
        "model_pk", BigInteger, ForeignKey("logged_models.pk"), primary_key=True, autoincrement=False
    )


def _key_key() -> Any:
    return Column("key_pk", BigInteger, ForeignKey("tracking_keys.pk"), primary_key=True, autoincrement=False)


def _run_key() -> Any:
    return Column("run_pk", BigInteger, ForeignKey("runs.pk"), primary_key=True, autoincrement=False)


logged_model_params = Table(
    "logged_model_params",
    _model_key(),
    _key_key(),
    Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_tags = Table(
    "logged_model_tags",
    _model_key(),
    _key_key(),
    Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

# A point belongs to the run that logged it too; here it says of which model it tells, on which data. Empty text stands
# for no data set. As with the points of runs, NaN is a column of its own beside the value 0.
logged_model_metrics = Table(
    "logged_model_metrics",
    _model_key(),
    _key_key(),
    _run_key(),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("dataset_name", BytewiseText, primary_key=True),
    Column("dataset_digest", BytewiseText, primary_key=True),
    Column("is_nan", SmallInteger, nullable=False),
    Column("value", Double, nullable=False),
    Index("logged_model_metrics_by_run", "run_pk"),
    sqlite_with_rowid=False,
)

run_models = Table(
    "run_models",
    _run_key(),
    Column("direction", Text, primary_key=True),
    _model_key(),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    CheckConstraint("direction in ('input', 'output')", name="run_models_direction"),
    Index("run_models_by_model", "model_pk"),
    sqlite_with_rowid=False,
)

logged_model_artifacts = Table(
    "logged_model_artifacts",
    _model_key(),
    Column("path", BytewiseText, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)

loose_artifacts = Table(
    "loose_artifacts",
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("path", BytewiseText, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
    Index("loose_artifacts_by_digest", "project_pk", "digest"),
    sqlite_with_rowid=False,
)
