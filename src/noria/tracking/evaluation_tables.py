"""Tables of evaluation data sets: inputs and expectations that traces, people or code gave."""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    BytewiseText,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    pk,
    text,
)


def _key(name: str, target: str) -> Any:
    foreign = ForeignKey(target, ondelete="CASCADE")
    return Column(name, BigInteger, foreign, primary_key=True, autoincrement=False)


evaluation_datasets = Table(
    "evaluation_datasets",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", BytewiseText, nullable=False),
    Column("digest", Text, nullable=False),
    Column("schema", Text),
    Column("n_records", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("created_by", BytewiseText),
    Column("updated_by", BytewiseText),
    Index("evaluation_datasets_by_time", "project_pk", text("created_ms desc"), "id"),
    Index("evaluation_datasets_by_name", "project_pk", "name"),
)

evaluation_dataset_tags = Table(
    "evaluation_dataset_tags",
    _key("dataset_pk", "evaluation_datasets.pk"),
    Column("key", BytewiseText, primary_key=True),
    Column("value", BytewiseText, nullable=False),
    sqlite_with_rowid=False,
)

evaluation_dataset_experiments = Table(
    "evaluation_dataset_experiments",
    _key("dataset_pk", "evaluation_datasets.pk"),
    _key("experiment_pk", "experiments.pk"),
    Index("evaluation_dataset_experiments_by_experiment", "experiment_pk", "dataset_pk"),
    sqlite_with_rowid=False,
)

# Records are told apart by what goes in: the digest of `inputs`.
evaluation_records = Table(
    "evaluation_records",
    pk(),
    Column("id", BytewiseText, nullable=False, unique=True),
    Column(
        "dataset_pk",
        BigInteger,
        ForeignKey("evaluation_datasets.pk", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("input_digest", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("outputs", Text),
    Column("expectations", Text),
    Column("tags", Text),
    Column("source", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("created_by", Text),
    Column("updated_by", Text),
    UniqueConstraint("dataset_pk", "input_digest", name="evaluation_records_by_input"),
    Index("evaluation_records_by_time", "dataset_pk", "created_ms", "id"),
)
