"""Tables of scorers, label schemas and review queues. All of them go with their experiment."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, JsonText, metadata, pk
from noria.tracking.reviewing.label_entities import LabelInput


def _of(name: str, target: str, *, key: bool = False) -> sa.Column[int]:
    foreign = sa.ForeignKey(target, ondelete="CASCADE")
    if key:
        return sa.Column(name, sa.BigInteger, foreign, primary_key=True, autoincrement=False)
    return sa.Column(name, sa.BigInteger, foreign, nullable=False)


scorers = sa.Table(
    "scorers",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    sa.Column("name", BytewiseText, nullable=False),
    sa.UniqueConstraint("experiment_pk", "name", name="scorers_by_name"),
)

scorer_versions = sa.Table(
    "scorer_versions",
    metadata,
    _of("scorer_pk", "scorers.pk", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)

scorer_samplings = sa.Table(
    "scorer_samplings",
    metadata,
    _of("scorer_pk", "scorers.pk", key=True),
    sa.Column("id", BytewiseText, nullable=False),
    sa.Column("sample_rate", sa.Double, nullable=False),
    sa.Column("filter", sa.Text),
    sa.CheckConstraint("sample_rate between 0 and 1", name="scorer_samplings_rate"),
)

label_schemas = sa.Table(
    "label_schemas",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("input", JsonText(LabelInput), nullable=False),
    sa.Column("instruction", sa.Text),
    sa.Column("enable_comment", sa.Boolean, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("type in ('feedback', 'expectation')", name="label_schemas_type"),
    sa.UniqueConstraint("experiment_pk", "name", name="label_schemas_by_name"),
    sa.Index("label_schemas_in_order", "experiment_pk", sa.text("created_ms desc"), "id"),
)

# `name_key` is the name in lower case: names that differ by case alone are one name.
review_queues = sa.Table(
    "review_queues",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("name_key", BytewiseText, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("type in ('user', 'custom')", name="review_queues_type"),
    sa.UniqueConstraint("experiment_pk", "name_key", name="review_queues_by_name"),
    sa.Index("review_queues_in_order", "experiment_pk", sa.text("created_ms desc"), "id"),
)

review_queue_users = sa.Table(
    "review_queue_users",
    metadata,
    _of("queue_pk", "review_queues.pk", key=True),
    sa.Column("user", BytewiseText, primary_key=True),
    sa.Index("review_queue_users_by_user", "user", "queue_pk"),
    sqlite_with_rowid=False,
)

# A schema may be deleted while a queue asks it: the queue keeps the id, and the question is gone.
review_queue_schemas = sa.Table(
    "review_queue_schemas",
    metadata,
    _of("queue_pk", "review_queues.pk", key=True),
    sa.Column("schema_id", BytewiseText, primary_key=True),
    sqlite_with_rowid=False,
)

review_queue_items = sa.Table(
    "review_queue_items",
    metadata,
    _of("queue_pk", "review_queues.pk", key=True),
    _of("trace_pk", "traces.pk", key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("completed_by", sa.Text),
    sa.Column("completed_ms", sa.BigInteger),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("status in ('pending', 'complete', 'declined')", name="review_queue_items_status"),
    sa.Index("review_queue_items_by_trace", "trace_pk"),
    sa.Index("review_queue_items_in_order", "queue_pk", sa.text("created_ms desc")),
)
