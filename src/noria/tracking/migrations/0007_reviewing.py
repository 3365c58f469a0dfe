"""Scorers, label schemas and review queues."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "tracking_0007"
down_revision = "tracking_0006"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _scorers()
    _label_schemas()
    _review_queues()
    _review_items()


def _own() -> list[sa.Column[Any]]:
    """Key, id and experiment of a row of its own."""
    return [
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", BYTEWISE, nullable=False, unique=True),
        sa.Column(
            "experiment_pk",
            sa.BigInteger,
            sa.ForeignKey("experiments.pk", ondelete="CASCADE"),
            nullable=False,
        ),
    ]


def _key(name: str, target: str) -> sa.Column[Any]:
    foreign = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger, foreign, primary_key=True, autoincrement=False)


def _times() -> list[sa.Column[Any]]:
    return [
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
    ]


def _scorers() -> None:
    op.create_table(
        "scorers",
        *_own(),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.UniqueConstraint("experiment_pk", "name", name="scorers_by_name"),
    )
    op.create_table(
        "scorer_versions",
        _key("scorer_pk", "scorers.pk"),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "scorer_samplings",
        _key("scorer_pk", "scorers.pk"),
        sa.Column("id", BYTEWISE, nullable=False),
        sa.Column("sample_rate", sa.Double, nullable=False),
        sa.Column("filter", sa.Text),
        sa.CheckConstraint("sample_rate between 0 and 1", name="scorer_samplings_rate"),
    )


def _label_schemas() -> None:
    op.create_table(
        "label_schemas",
        *_own(),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("instruction", sa.Text),
        sa.Column("enable_comment", sa.Boolean, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        *_times(),
        sa.CheckConstraint("type in ('feedback', 'expectation')", name="label_schemas_type"),
        sa.UniqueConstraint("experiment_pk", "name", name="label_schemas_by_name"),
    )
    newest = sa.text("created_ms desc")
    op.create_index("label_schemas_in_order", "label_schemas", ["experiment_pk", newest, "id"])


def _review_queues() -> None:
    op.create_table(
        "review_queues",
        *_own(),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("name_key", BYTEWISE, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text),
        *_times(),
        sa.CheckConstraint("type in ('user', 'custom')", name="review_queues_type"),
        sa.UniqueConstraint("experiment_pk", "name_key", name="review_queues_by_name"),
    )
    newest = sa.text("created_ms desc")
    op.create_index("review_queues_in_order", "review_queues", ["experiment_pk", newest, "id"])
    op.create_table(
        "review_queue_users",
        _key("queue_pk", "review_queues.pk"),
        sa.Column("user", BYTEWISE, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("review_queue_users_by_user", "review_queue_users", ["user", "queue_pk"])
    op.create_table(
        "review_queue_schemas",
        _key("queue_pk", "review_queues.pk"),
        sa.Column("schema_id", BYTEWISE, primary_key=True),
        sqlite_with_rowid=False,
    )


def _review_items() -> None:
    op.create_table(
        "review_queue_items",
        _key("queue_pk", "review_queues.pk"),
        _key("trace_pk", "traces.pk"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("completed_by", sa.Text),
        sa.Column("completed_ms", sa.BigInteger),
        *_times(),
        sa.CheckConstraint("status in ('pending', 'complete', 'declined')", name="review_queue_items_status"),
    )
    op.create_index("review_queue_items_by_trace", "review_queue_items", ["trace_pk"])
    newest = sa.text("created_ms desc")
    op.create_index("review_queue_items_in_order", "review_queue_items", ["queue_pk", newest])
