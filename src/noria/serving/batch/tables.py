"""Tables of batch runs and named batches."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.core.errors import ErrorBody
from noria.serving.batch.entities import BatchOptions
from noria.serving.batch.slot_entities import Comparison, Filled, Rule, Slot

batches = sa.Table(
    "batches",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("live", sa.Text, nullable=False),
    # Of a stable name outside the workspace: where it was last seen to lead.
    sa.Column("pointed", sa.Text),
    sa.Column("slots", JsonText(dict[Slot, Filled]), nullable=False),
    sa.Column("comparison", JsonText(Comparison)),
    sa.Column("rule", JsonText(Rule)),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("switched_at", UtcMicros),
    sa.Column("switched_by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("project_pk", "name", name="batches_by_name"),
)

batch_runs = sa.Table(
    "batch_runs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("batch_pk", sa.BigInteger, sa.ForeignKey("batches.pk")),
    sa.Column("slot", sa.Text),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("once", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("input_digest", sa.Text),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("options", JsonText(BatchOptions), nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("n_rows", sa.BigInteger),
    sa.Column("n_done", sa.BigInteger, nullable=False),
    sa.Column("n_unfit", sa.BigInteger, nullable=False),
    sa.Column("n_duplicates", sa.BigInteger),
    sa.Column("chunk_rows", sa.BigInteger),
    sa.Column("n_workers", sa.BigInteger, nullable=False),
    sa.Column("engine", sa.Text),
    sa.Column("predict_s", sa.Float),
    sa.Column("written", sa.Text),
    sa.Column("error", JsonText(ErrorBody)),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("updated_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    # Two attempts at the same rows to the same place are one run, whoever begins them at once.
    sa.Index(
        "batch_runs_unfinished",
        "project_pk",
        "identity",
        unique=True,
        sqlite_where=sa.text("status <> 'succeeded'"),
        postgresql_where=sa.text("status <> 'succeeded'"),
    ),
    sa.UniqueConstraint("project_pk", "once", name="batch_runs_once"),
    sa.Index("batch_runs_by_project", "project_pk", "pk"),
    sa.Index("batch_runs_by_batch", "batch_pk", "pk"),
    sa.Index("batch_runs_by_model", "project_pk", "model", "pk"),
)
