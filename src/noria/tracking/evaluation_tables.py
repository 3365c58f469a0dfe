"""Tables of evaluation data sets: inputs and expectations that traces, people or code gave."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import BytewiseText, metadata, pk


def _key(name: str, target: str) -> sa.Column[int]:
    foreign = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger, foreign, primary_key=True, autoincrement=False)


evaluation_datasets = sa.Table(
    "evaluation_datasets",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", BytewiseText, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("n_records", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("created_by", BytewiseText),
    sa.Column("updated_by", BytewiseText),
    sa.Index("evaluation_datasets_by_time", "project_pk", sa.text("created_ms desc"), "id"),
    sa.Index("evaluation_datasets_by_name", "project_pk", "name"),
)

evaluation_dataset_tags = sa.Table(
    "evaluation_dataset_tags",
    metadata,
    _key("dataset_pk", "evaluation_datasets.pk"),
    sa.Column("key", BytewiseText, primary_key=True),
    sa.Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

evaluation_dataset_experiments = sa.Table(
    "evaluation_dataset_experiments",
    metadata,
    _key("dataset_pk", "evaluation_datasets.pk"),
    _key("experiment_pk", "experiments.pk"),
    sa.Index("evaluation_dataset_experiments_by_experiment", "experiment_pk", "dataset_pk"),
    sqlite_with_rowid=False,
)

# Records are told apart by what goes in: the digest of `inputs`.
evaluation_records = sa.Table(
    "evaluation_records",
    metadata,
    pk(),
    sa.Column("id", BytewiseText, nullable=False, unique=True),
    sa.Column(
        "dataset_pk",
        sa.BigInteger,
        sa.ForeignKey("evaluation_datasets.pk", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("input_digest", sa.Text, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("outputs", sa.Text),
    sa.Column("expectations", sa.Text),
    sa.Column("tags", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.UniqueConstraint("dataset_pk", "input_digest", name="evaluation_records_by_input"),
    sa.Index("evaluation_records_by_time", "dataset_pk", "created_ms", "id"),
)
