"""Tables of batch runs and named batches."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
    text,
)
from noria.core.errors import ErrorBody
from noria.serving.batch.entities import BatchOptions
from noria.serving.batch.slot_entities import Comparison, Filled, Rule, Slot

batches = Table(
    "batches",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("live", Text, nullable=False),
    # Of a stable name outside the workspace: where it was last seen to lead.
    Column("pointed", Text),
    Column("slots", JsonText(dict[Slot, Filled]), nullable=False),
    Column("comparison", JsonText(Comparison)),
    Column("rule", JsonText(Rule)),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("switched_at", UtcMicros),
    Column("switched_by", Text),
    Column("reason", Text),
    UniqueConstraint("project_pk", "name", name="batches_by_name"),
)

batch_runs = Table(
    "batch_runs",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("batch_pk", BigInteger, ForeignKey("batches.pk")),
    Column("slot", Text),
    Column("model", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("identity", Text, nullable=False),
    Column("once", Text),
    Column("status", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("input_digest", Text),
    Column("output", Text, nullable=False),
    Column("options", JsonText(BatchOptions), nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("n_rows", BigInteger),
    Column("n_done", BigInteger, nullable=False),
    Column("n_unfit", BigInteger, nullable=False),
    Column("n_duplicates", BigInteger),
    Column("chunk_rows", BigInteger),
    Column("n_workers", BigInteger, nullable=False),
    Column("engine", Text),
    Column("predict_s", Float),
    Column("written", Text),
    Column("error", JsonText(ErrorBody)),
    Column("started_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("updated_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    # Two attempts at the same rows to the same place are one run, whoever begins them at once.
    Index(
        "batch_runs_unfinished",
        "project_pk",
        "identity",
        unique=True,
        sqlite_where=text("status <> 'succeeded'"),
        postgresql_where=text("status <> 'succeeded'"),
    ),
    UniqueConstraint("project_pk", "once", name="batch_runs_once"),
    Index("batch_runs_by_project", "project_pk", "pk"),
    Index("batch_runs_by_batch", "batch_pk", "pk"),
    Index("batch_runs_by_model", "project_pk", "model", "pk"),
)
