"""Tables of scorers, label schemas and review queues. All of them go with their experiment."""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    BytewiseText,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    pk,
    text,
)
from noria.tracking.reviewing.label_entities import LabelInput


def _of(name: str, target: str, *, key: bool = False) -> Any:
    foreign = ForeignKey(target, ondelete="CASCADE")
    if key:
        return Column(name, BigInteger, foreign, primary_key=True, autoincrement=False)
    return Column(name, BigInteger, foreign, nullable=False)


scorers = Table(
    "scorers",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    Column("name", BytewiseText, nullable=False),
    UniqueConstraint("experiment_pk", "name", name="scorers_by_name"),
)

scorer_versions = Table(
    "scorer_versions",
    _of("scorer_pk", "scorers.pk", key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

scorer_samplings = Table(
    "scorer_samplings",
    _of("scorer_pk", "scorers.pk", key=True),
    Column("id", BytewiseText, nullable=False),
    Column("sample_rate", Double, nullable=False),
    Column("filter", Text),
    CheckConstraint("sample_rate between 0 and 1", name="scorer_samplings_rate"),
)

label_schemas = Table(
    "label_schemas",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    Column("name", BytewiseText, nullable=False),
    Column("type", Text, nullable=False),
    Column("input", JsonText(LabelInput), nullable=False),
    Column("instruction", Text),
    Column("enable_comment", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    CheckConstraint("type in ('feedback', 'expectation')", name="label_schemas_type"),
    UniqueConstraint("experiment_pk", "name", name="label_schemas_by_name"),
    Index("label_schemas_in_order", "experiment_pk", text("created_ms desc"), "id"),
)

# `name_key` is the name in lower case: names that differ by case alone are one name.
review_queues = Table(
    "review_queues",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    _of("experiment_pk", "experiments.pk"),
    Column("name", BytewiseText, nullable=False),
    Column("name_key", BytewiseText, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_by", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    CheckConstraint("type in ('user', 'custom')", name="review_queues_type"),
    UniqueConstraint("experiment_pk", "name_key", name="review_queues_by_name"),
    Index("review_queues_in_order", "experiment_pk", text("created_ms desc"), "id"),
)

review_queue_users = Table(
    "review_queue_users",
    _of("queue_pk", "review_queues.pk", key=True),
    Column("user", BytewiseText, primary_key=True),
    Index("review_queue_users_by_user", "user", "queue_pk"),
    sqlite_with_rowid=False,
)

# A schema may be deleted while a queue asks it: the queue keeps the id, and the question is gone.
review_queue_schemas = Table(
    "review_queue_schemas",
    _of("queue_pk", "review_queues.pk", key=True),
    Column("schema_id", BytewiseText, primary_key=True),
    sqlite_with_rowid=False,
)

review_queue_items = Table(
    "review_queue_items",
    _of("queue_pk", "review_queues.pk", key=True),
    _of("trace_pk", "traces.pk", key=True),
    Column("status", Text, nullable=False),
    Column("completed_by", Text),
    Column("completed_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    CheckConstraint("status in ('pending', 'complete', 'declined')", name="review_queue_items_status"),
    Index("review_queue_items_by_trace", "trace_pk"),
    Index("review_queue_items_in_order", "queue_pk", text("created_ms desc")),
)
