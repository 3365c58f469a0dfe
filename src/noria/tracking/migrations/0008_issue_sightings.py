"""When issues were seen last, who changed them last, what programs keep of them, and their categories to search by."""

import json

import sqlalchemy as sa
from alembic import op

revision = "tracking_0008"
down_revision = "tracking_0007"
branch_labels = None
depends_on = None

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("issues", sa.Column("seen_ms", sa.BigInteger))
    op.add_column("issues", sa.Column("updated_by", sa.Text))
    op.add_column("issues", sa.Column("metadata", sa.Text))
    op.create_table(
        "issue_categories",
        sa.Column(
            "issue_pk",
            sa.BigInteger,
            sa.ForeignKey("issues.pk", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("folded", BYTEWISE, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("issue_categories_by_name", "issue_categories", ["folded", "issue_pk"])
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    rows = [
        {"issue_pk": pk, "folded": folded}
        for pk, categories in connection.execute(sa.text("select pk, categories from issues")).all()
        for folded in sorted({each.strip().casefold() for each in json.loads(categories)})
    ]
    if rows:
        insert = sa.text("insert into issue_categories (issue_pk, folded) values (:issue_pk, :folded)")
        connection.execute(insert, rows)
