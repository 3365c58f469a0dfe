"""Repairs of an endpoint's inputs."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0010"
down_revision = "serving_0009"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNDER_WAY = sa.text("ended_at is null")


def upgrade() -> None:
    op.create_table(
        "input_repairs",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decision_id", sa.Text),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.Column("ended_revision", sa.BigInteger),
        sa.Column("ended_why", sa.Text),
        sa.UniqueConstraint("endpoint_pk", "number", name="input_repairs_by_endpoint"),
    )
    op.create_index(
        "input_repairs_under_way",
        "input_repairs",
        ["endpoint_pk"],
        unique=True,
        sqlite_where=UNDER_WAY,
        postgresql_where=UNDER_WAY,
    )
