"""What searches need in the rows of values, packed points, counts, data sets, tags of experiments, and deletion.

SQLite cannot change a check, nor add a column that must not be null: there the tables are made anew and filled from
the old ones. `runs` goes with everything that refers to it, since renaming it takes their foreign keys along.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "tracking_0002"
down_revision = "tracking_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STATUSES = "status in ('running', 'finished', 'failed', 'killed', 'scheduled')"
ACTIVE, DELETED = "deleted_at is null", "deleted_at is not null"
HEAD = "substr(value, 1, 64)"

OLD_INDEXES = (
    "runs_by_project",
    "runs_by_experiment",
    "runs_by_status",
    "runs_by_experiment_status",
    "runs_by_parent",
    "run_links_by_ref",
)
REMADE = ("run_params", "run_tags", "metric_latest", "run_links", "run_artifacts", "runs")
"""In the order in which the old ones can be dropped."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _remake()
    else:
        _alter()
    _change_experiments()
    _index_runs()
    _index_values()
    _create_counts()
    _create_chunks()
    _create_datasets()


def _remake() -> None:
    for index in OLD_INDEXES:
        op.execute(f"drop index {index}")
    for table in REMADE:
        op.execute(f"alter table {table} rename to {table}_0001")
    _create_runs()
    _create_values()
    _create_links_and_artifacts()
    op.execute("insert into runs select *, null from runs_0001 order by pk")
    for table in ("run_params", "run_tags"):
        op.execute(
            f"insert into {table} select old.run_pk, old.key_pk, old.value, runs.experiment_pk, {HEAD}"  # noqa: S608 - constants
            f" from {table}_0001 as old join runs on runs.pk = old.run_pk"
        )
    op.execute(
        "insert into metric_latest"
        " select old.run_pk, old.key_pk, old.step, old.at, old.is_nan, old.value, runs.experiment_pk"
        " from metric_latest_0001 as old join runs on runs.pk = old.run_pk"
    )
    for table in ("run_links", "run_artifacts"):
        op.execute(f"insert into {table} select * from {table}_0001")  # noqa: S608 - constants
    for table in REMADE:
        op.execute(f"drop table {table}_0001")


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
        sa.Column("parent_pk", sa.BigInteger, sa.ForeignKey("runs.pk")),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("deleted_at", sa.BigInteger),
        sa.CheckConstraint(STATUSES, name="runs_status"),
    )


def _create_values() -> None:
    for table in ("run_params", "run_tags"):
        op.create_table(
            table,
            _key("run_pk", "runs.pk"),
            _key("key_pk", "tracking_keys.pk"),
            sa.Column("value", sa.Text, nullable=False),
            sa.Column("experiment_pk", sa.BigInteger, nullable=False),
            sa.Column("head", sa.Text, nullable=False),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "metric_latest",
        _bare_key("run_pk"),
        _bare_key("key_pk"),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("is_nan", sa.SmallInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_links_and_artifacts() -> None:
    op.create_table(
        "run_links",
        _key("run_pk", "runs.pk"),
        sa.Column("direction", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("direction in ('input', 'output')", name="run_links_direction"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_links_by_ref", "run_links", ["ref", "direction", "run_pk"])
    op.create_table(
        "run_artifacts",
        _key("run_pk", "runs.pk"),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _alter() -> None:
    for index in OLD_INDEXES[:5]:
        op.execute(f"drop index {index}")
    op.add_column("runs", sa.Column("deleted_at", sa.BigInteger))
    op.drop_constraint("runs_status", "runs")
    op.create_check_constraint("runs_status", "runs", STATUSES)
    for table, column in (
        ("runs", "name"),
        ("runs", "author"),
        ("experiments", "name"),
        ("run_params", "value"),
        ("run_tags", "value"),
    ):
        op.execute(f'alter table {table} alter column {column} type text collate "C"')
    for table in ("run_params", "run_tags", "metric_latest"):
        _add_from_runs(table, "experiment_pk")
    for table in ("run_params", "run_tags"):
        op.add_column(table, sa.Column("head", BYTEWISE))
        op.execute(f"update {table} set head = {HEAD}")  # noqa: S608 - constants
        op.alter_column(table, "head", nullable=False)


def _add_from_runs(table: str, column: str) -> None:
    op.add_column(table, sa.Column(column, sa.BigInteger))
    op.execute(f"update {table} set {column} = runs.{column} from runs where runs.pk = {table}.run_pk")  # noqa: S608 - constants
    op.alter_column(table, column, nullable=False)


def _change_experiments() -> None:
    op.add_column(
        "experiments", sa.Column("updated_at", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("experiments", sa.Column("deleted_at", sa.BigInteger))
    op.add_column("experiments", sa.Column("artifact_location", sa.Text))
    op.execute("update experiments set updated_at = created_at")
    op.create_table(
        "experiment_tags",
        _key("experiment_pk", "experiments.pk"),
        _key("key_pk", "tracking_keys.pk"),
        sa.Column("value", BYTEWISE, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "experiment_numbers",
        _bare_key("only", sa.SmallInteger),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.execute("insert into experiment_numbers select 1, coalesce(max(number), -1) from experiments")


def _index_runs() -> None:
    op.create_index("runs_by_parent", "runs", ["parent_pk", "started_at", "pk"])
    order = ("started_at desc", "id", "pk")
    _partial_index("runs_by_project", ACTIVE, "project_pk", "started_at", "pk")
    _partial_index("runs_by_status", ACTIVE, "project_pk", "status", "started_at", "pk")
    _partial_index("runs_by_experiment", ACTIVE, "experiment_pk", *order)
    _partial_index("runs_by_experiment_status", ACTIVE, "experiment_pk", "status", *order)
    _partial_index("runs_by_name", ACTIVE, "experiment_pk", "name", "pk")
    _partial_index("runs_by_end", ACTIVE, "experiment_pk", "ended_at", "pk")
    _partial_index("runs_by_author", ACTIVE, "experiment_pk", "author", *order)
    _partial_index("runs_deleted", DELETED, "experiment_pk", *order)


def _partial_index(name: str, where: str, *columns: str) -> None:
    rows = sa.text(where)
    op.create_index(
        name, "runs", [sa.text(column) for column in columns], sqlite_where=rows, postgresql_where=rows
    )


def _index_values() -> None:
    for table in ("run_params", "run_tags"):
        op.create_index(f"{table}_by_value", table, ["experiment_pk", "key_pk", "head", "run_pk"])
    op.create_index(
        "metric_latest_by_value",
        "metric_latest",
        ["experiment_pk", "key_pk", "is_nan", "value", "run_pk"],
    )


def _create_counts() -> None:
    op.create_table(
        "run_counts",
        _bare_key("experiment_pk"),
        _bare_key("is_deleted", sa.SmallInteger),
        sa.Column("status", sa.Text, primary_key=True),
        sa.Column("n_runs", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "insert into run_counts select experiment_pk, 0, status, count(*) from runs group by experiment_pk, status"
    )


def _create_chunks() -> None:
    op.create_table(
        "metric_chunks",
        _bare_key("run_pk"),
        _bare_key("key_pk"),
        _bare_key("first_step"),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("n_points", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # The columns are compressed already; trying again would cost more than writing them.
        op.execute("alter table metric_chunks alter column data set storage external")


def _create_datasets() -> None:
    op.create_table(
        "run_datasets",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("experiment_pk", sa.BigInteger, sa.ForeignKey("experiments.pk"), nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("schema", sa.Text),
        sa.Column("profile", sa.Text),
        sa.UniqueConstraint("experiment_pk", "name", "digest", name="run_datasets_by_name"),
    )
    op.create_table(
        "run_dataset_uses",
        _key("run_pk", "runs.pk"),
        _key("dataset_pk", "run_datasets.pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_dataset_uses_by_dataset", "run_dataset_uses", ["dataset_pk", "run_pk"])
    op.create_table(
        "run_dataset_tags",
        _key("run_pk", "runs.pk"),
        _key("dataset_pk", "run_datasets.pk"),
        sa.Column("key", BYTEWISE, primary_key=True),
        sa.Column("value", BYTEWISE, nullable=False),
        sa.Column("experiment_pk", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "run_dataset_tags_by_value", "run_dataset_tags", ["experiment_pk", "key", sa.text(HEAD), "run_pk"]
    )


def _key(name: str, target: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), primary_key=True, autoincrement=False)


def _bare_key(name: str, type_: type = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, type_, primary_key=True, autoincrement=False)
