"""Tables of experiments and runs.

What grows is kept narrow: keys of params, metrics and tags are interned in `tracking_keys`, and the tables below join
on integers. Metric points are clustered by run and key, so that a history is one range of one tree; many points of
one batch are one row of `metric_chunks`. What searches filter and order by repeats the experiment's key, so that each
search is a range of an index by value.
"""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, UtcMicros, metadata, partial_index, pk
from noria.tracking.entities import RunSource

HEAD_CHARS = 64
"""How much of a text stands in the column `head`: what is indexed, as PostgreSQL's indexes hold no long texts."""

_ACTIVE = "deleted_at is null"
_HEAD_OF_VALUE = sa.text(f"substr(value, 1, {HEAD_CHARS})")


def _index(name: str, *columns: str, where: str) -> sa.Index:
    return partial_index(name, *map(sa.text, columns), where=where)


def _key(name: str, target: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), primary_key=True, autoincrement=False)


experiments = sa.Table(
    "experiments",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("updated_at", UtcMicros, nullable=False, server_default=sa.text("0")),
    sa.Column("deleted_at", UtcMicros),
    sa.Column("artifact_location", sa.Text),
    sa.UniqueConstraint("project_pk", "name", name="experiments_by_name"),
    sa.Index("experiments_by_number", "project_pk", "number"),
)

# The last number given to an experiment. Whoever makes one holds this row until the commit.
experiment_numbers = sa.Table(
    "experiment_numbers",
    metadata,
    sa.Column("only", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
    sa.Column("parent_pk", sa.BigInteger, sa.ForeignKey("runs.pk")),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.Column("author", BytewiseText, nullable=False),
    sa.Column("source", JsonText(RunSource)),
    sa.Column("deleted_at", UtcMicros),
    sa.CheckConstraint(
        "status in ('running', 'finished', 'failed', 'killed', 'scheduled')", name="runs_status"
    ),
    sa.Index("runs_by_parent", "parent_pk", "started_at", "pk"),
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
run_counts = sa.Table(
    "run_counts",
    metadata,
    sa.Column("experiment_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("is_deleted", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("n_runs", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

tracking_keys = sa.Table(
    "tracking_keys",
    metadata,
    pk(),
    sa.Column("key", sa.Text, nullable=False, unique=True),
)

experiment_tags = sa.Table(
    "experiment_tags",
    metadata,
    _key("experiment_pk", "experiments.pk"),
    _key("key_pk", "tracking_keys.pk"),
    sa.Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

# `head` is a column, not an expression of the index: neither database reads an index of expressions without its rows.
run_params = sa.Table(
    "run_params",
    metadata,
    _key("run_pk", "runs.pk"),
    _key("key_pk", "tracking_keys.pk"),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Column("head", BytewiseText, nullable=False),
    sa.Index("run_params_by_value", "experiment_pk", "key_pk", "head", "run_pk"),
    sqlite_with_rowid=False,
)

run_tags = sa.Table(
    "run_tags",
    metadata,
    _key("run_pk", "runs.pk"),
    _key("key_pk", "tracking_keys.pk"),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Column("head", BytewiseText, nullable=False),
    sa.Index("run_tags_by_value", "experiment_pk", "key_pk", "head", "run_pk"),
    sqlite_with_rowid=False,
)

# No foreign keys: their checks would cost more than the insert itself, and only `points.py` and `compaction.py` write
# here, after they have found the run. SQLite has no NaN, so it is a column of its own beside the value 0.
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

# Many points of one metric, packed by `chunks.py`. The digest is of the content: a batch sent again changes nothing.
metric_chunks = sa.Table(
    "metric_chunks",
    metadata,
    sa.Column("run_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key_pk", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("first_step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    sa.Column("n_points", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
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
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Index("metric_latest_by_value", "experiment_pk", "key_pk", "is_nan", "value", "run_pk"),
    sqlite_with_rowid=False,
)

run_datasets = sa.Table(
    "run_datasets",
    metadata,
    pk(),
    sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("digest", BytewiseText, nullable=False),
    sa.Column("source_type", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("profile", sa.Text),
    sa.UniqueConstraint("experiment_pk", "name", "digest", name="run_datasets_by_name"),
)

run_dataset_uses = sa.Table(
    "run_dataset_uses",
    metadata,
    _key("run_pk", "runs.pk"),
    _key("dataset_pk", "run_datasets.pk"),
    sa.Index("run_dataset_uses_by_dataset", "dataset_pk", "run_pk"),
    sqlite_with_rowid=False,
)

run_dataset_tags = sa.Table(
    "run_dataset_tags",
    metadata,
    _key("run_pk", "runs.pk"),
    _key("dataset_pk", "run_datasets.pk"),
    sa.Column("key", BytewiseText, primary_key=True),
    sa.Column("value", BytewiseText, nullable=False),
    sa.Column("experiment_pk", sa.BigInteger, nullable=False),
    sa.Index("run_dataset_tags_by_value", "experiment_pk", "key", _HEAD_OF_VALUE, "run_pk"),
    sqlite_with_rowid=False,
)

run_links = sa.Table(
    "run_links",
    metadata,
    _key("run_pk", "runs.pk"),
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
    _key("run_pk", "runs.pk"),
    sa.Column("path", BytewiseText, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
