"""Names that change, versions and models that go, stages, tags, sources, and consents to pickles."""

import json

import sqlalchemy as sa
from alembic import op

revision = "registry_0002"
down_revision = "registry_0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    extend_models()
    rebuild_versions()
    op.create_table(
        "model_tags",
        key("model_pk", "models.pk"),
        sa.Column("key", BYTEWISE, primary_key=True),
        sa.Column("value", BYTEWISE, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("model_tags_by_key", "model_tags", ["key", "model_pk"])
    op.create_table(
        "model_version_tags",
        key("version_pk", "model_versions.pk"),
        sa.Column("key", BYTEWISE, primary_key=True),
        sa.Column("value", BYTEWISE, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("model_version_tags_by_key", "model_version_tags", ["key", "version_pk"])
    op.create_table(
        "former_model_names",
        key("project_pk", "projects.pk"),
        sa.Column("name", BYTEWISE, primary_key=True),
        sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pickle_consents",
        key("project_pk", "projects.pk"),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("given_by", sa.Text, nullable=False),
        sa.Column("given_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def extend_models() -> None:
    for name in ("last_number", "updated_at"):
        op.add_column("models", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.execute("update models set last_number = latest, updated_at = created_at")
    op.add_column("models", sa.Column("description", sa.Text))
    op.add_column("models", sa.Column("author", sa.Text))
    op.add_column("models", sa.Column("deleted_at", sa.BigInteger))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("models", "name", type_=sa.Text(collation="C"))


def rebuild_versions() -> None:
    # SQLite cannot take `not null` from a column. No table refers to this one yet, so it is written anew.
    connection = op.get_bind()
    old = connection.execute(
        sa.text("select v.*, m.name from model_versions v join models m on m.pk = v.model_pk order by v.pk")
    ).mappings()
    rows = [new_row(dict(row)) for row in old]
    op.drop_table("model_versions")
    table = op.create_table(
        "model_versions",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("format", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("signature", sa.Text),
        sa.Column("classes", sa.Text),
        sa.Column("holdout", sa.Text),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("location", sa.Text),
        sa.Column("artifacts", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("run_link", sa.Text),
        sa.Column("model_id", sa.Text),
        sa.Column("flavor", sa.Text),
        sa.Column("pickled", sa.Boolean, nullable=False),
        sa.Column("registered_as", sa.Text, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.UniqueConstraint("model_pk", "version", name="model_versions_by_version"),
    )
    op.create_index("model_versions_by_run", "model_versions", ["run_id"])
    op.create_index("model_versions_by_update", "model_versions", ["updated_at"])
    if rows:
        op.bulk_insert(table, rows)
    if connection.dialect.name == "postgresql":
        connection.execute(
            sa.text(
                "select setval(pg_get_serial_sequence('model_versions', 'pk'), "
                "(select coalesce(max(pk), 0) + 1 from model_versions), false)"
            )
        )


def new_row(old: dict[str, object]) -> dict[str, object]:
    name = old.pop("name")
    origin = json.loads(str(old["origin"]))
    return {
        **old,
        "updated_at": old["created_at"],
        "stage": "None",
        "run_id": origin.get("run_id"),
        "pickled": False,
        "registered_as": name,
    }


def key(name: str, of: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(of), primary_key=True, autoincrement=False)
