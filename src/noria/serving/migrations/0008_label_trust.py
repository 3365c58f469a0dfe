"""How far labels are trusted, whom they count against, and the values that do not stand."""

import sqlalchemy as sa
from alembic import op

revision = "serving_0008"
down_revision = "serving_0005"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNTRUSTED = sa.text("trust is not null")


def upgrade() -> None:
    op.add_column("labels", sa.Column("trust", sa.Text))
    op.add_column("labels", sa.Column("client", sa.Text))
    op.add_column("labels", sa.Column("received_at", sa.BigInteger))
    op.add_column("labels", sa.Column("n_corrections", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index(
        "labels_untrusted",
        "labels",
        ["endpoint_pk", "client", "received_at"],
        sqlite_where=UNTRUSTED,
        postgresql_where=UNTRUSTED,
    )
    op.create_table(
        "label_history",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("endpoint_pk", sa.BigInteger, sa.ForeignKey("endpoints.pk"), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("trust", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("label_history_by_row", "label_history", ["endpoint_pk", "position"])
