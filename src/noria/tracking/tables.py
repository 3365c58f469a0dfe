"""Tables of experiments and runs.

What grows is kept narrow: keys of params, metrics and tags are interned in `tracking_keys`, and the tables below join
on integers. Metric points are clustered by run and key, so that a history is one range of one tree; many points of
one batch are one row of `metric_chunks`. What searches filter and order by repeats the experiment's key, so that each
search is a range of an index by value.
"""

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
    JsonText,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    partial_index,
    pk,
    text,
)
from noria.tracking.entities import RunSource

HEAD_CHARS = 64
"""How much of a text stands in the column `head`: what is indexed, as PostgreSQL's indexes hold no long texts."""

_ACTIVE = "deleted_at is null"
_HEAD_OF_VALUE = text(f"substr(value, 1, {HEAD_CHARS})")


def _index(name: str, *columns: str, where: str) -> Any:
    return partial_index(name, *map(text, columns), where=where)


def _key(name: str, target: str) -> Any:
    return Column(name, BigInteger, ForeignKey(target), primary_key=True, autoincrement=False)


experiments = Table(
    "experiments",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("created_at", UtcMicros, nullable=False),
    Column("updated_at", UtcMicros, nullable=False, server_default=text("0")),
    Column("deleted_at", UtcMicros),
    Column("artifact_location", Text),
    UniqueConstraint("project_pk", "name", name="experiments_by_name"),
    Index("experiments_by_number", "project_pk", "number"),
)

# The last number given to an experiment. Whoever makes one holds this row until the commit.
experiment_numbers = Table(
    "experiment_numbers",
    Column("only", SmallInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("experiment_pk", BigInteger, ForeignKey("experiments.pk"), nullable=False),
    Column("parent_pk", BigInteger, ForeignKey("runs.pk")),
    Column("name", BytewiseText, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    Column("author", BytewiseText, nullable=False),
    Column("source", JsonText(RunSource)),
    Column("deleted_at", UtcMicros),
    CheckConstraint("status in ('running', 'finished', 'failed', 'killed', 'scheduled')", name="runs_status"),
    Index("runs_by_parent", "parent_pk", "started_at", "pk"),
    _index("runs_by_project", "project_pk", "started_at", "pk", where=_ACTIVE),
    _index("runs_by_status", "project_pk", "status", "started_at", "pk", where=_ACTIVE),
    _index("runs_by_experiment", "experiment_pk", "started_at desc", "id", "pk", where=_ACTIVE),
    _index(
        "runs_by_experiment_status", "experiment_pk", "status", "started_at desc", "id", "pk", where=_ACTIVE
    ),
    _index("runs_by_name", "experiment_pk", "name", "pk", where=_ACTIVE),
    _index("runs_by_end", "experiment_pk", "ended_at", "pk", where=_ACTIVE),
    _index("runs_by_author", "experiment_pk", "author", "started_at desc", "id", "pk", where=_ACTIVE),
    _index("runs_deleted", "experiment_pk", "started_at desc", "id", "pk", where="deleted_at is not null"),
)

# Kept with every change of a run, so that no page of the interface ever counts runs.
run_counts = Table(
    "run_counts",
    Column("experiment_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("is_deleted", SmallInteger, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("n_runs", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

tracking_keys = Table(
    "tracking_keys",
    pk(),
    Column("key", Text, nullable=False, unique=True),
)

experiment_tags = Table(
    "experiment_tags",
    _key("experiment_pk", "experiments.pk"),
    _key("key_pk", "tracking_keys.pk"),
    Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

# `head` is a column, not an expression of the index: neither database reads an index of expressions without its rows.
run_params = Table(
    "run_params",
    _key("run_pk", "runs.pk"),
    _key("key_pk", "tracking_keys.pk"),
    Column("value", BytewiseText, nullable=False),
    Column("experiment_pk", BigInteger, nullable=False),
    Column("head", BytewiseText, nullable=False),
    Index("run_params_by_value", "experiment_pk", "key_pk", "head", "run_pk"),
    sqlite_with_rowid=False,
)

run_tags = Table(
    "run_tags",
    _key("run_pk", "runs.pk"),
    _key("key_pk", "tracking_keys.pk"),
    Column("value", BytewiseText, nullable=False),
    Column("experiment_pk", BigInteger, nullable=False),
    Column("head", BytewiseText, nullable=False),
    Index("run_tags_by_value", "experiment_pk", "key_pk", "head", "run_pk"),
    sqlite_with_rowid=False,
)

# No foreign keys: their checks would cost more than the insert itself, and only `points.py` and `compaction.py` write
# here, after they have found the run. SQLite has no NaN, so it is a column of its own beside the value 0.
metric_points = Table(
    "metric_points",
    Column("run_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("key_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("is_nan", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", Double, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Many points of one metric, packed by `chunks.py`. The digest is of the content: a batch sent again changes nothing.
metric_chunks = Table(
    "metric_chunks",
    Column("run_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("key_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("first_step", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("last_step", BigInteger, nullable=False),
    Column("n_points", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

metric_latest = Table(
    "metric_latest",
    Column("run_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("key_pk", BigInteger, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("is_nan", SmallInteger, nullable=False),
    Column("value", Double, nullable=False),
    Column("experiment_pk", BigInteger, nullable=False),
    Index("metric_latest_by_value", "experiment_pk", "key_pk", "is_nan", "value", "run_pk"),
    sqlite_with_rowid=False,
)

run_datasets = Table(
    "run_datasets",
    pk(),
    Column("experiment_pk", BigInteger, ForeignKey("experiments.pk"), nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("digest", BytewiseText, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text),
    Column("profile", Text),
    UniqueConstraint("experiment_pk", "name", "digest", name="run_datasets_by_name"),
)

run_dataset_uses = Table(
    "run_dataset_uses",
    _key("run_pk", "runs.pk"),
    _key("dataset_pk", "run_datasets.pk"),
    Index("run_dataset_uses_by_dataset", "dataset_pk", "run_pk"),
    sqlite_with_rowid=False,
)

run_dataset_tags = Table(
    "run_dataset_tags",
    _key("run_pk", "runs.pk"),
    _key("dataset_pk", "run_datasets.pk"),
    Column("key", BytewiseText, primary_key=True),
    Column("value", BytewiseText, nullable=False),
    Column("experiment_pk", BigInteger, nullable=False),
    Index("run_dataset_tags_by_value", "experiment_pk", "key", _HEAD_OF_VALUE, "run_pk"),
    sqlite_with_rowid=False,
)

run_links = Table(
    "run_links",
    _key("run_pk", "runs.pk"),
    Column("direction", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("at", UtcMicros, nullable=False),
    CheckConstraint("direction in ('input', 'output')", name="run_links_direction"),
    Index("run_links_by_ref", "ref", "direction", "run_pk"),
    sqlite_with_rowid=False,
)

run_artifacts = Table(
    "run_artifacts",
    _key("run_pk", "runs.pk"),
    Column("path", BytewiseText, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
