"""What entered a project stands once in a table of its own, and a tree is kept by its manifest alone."""

import sqlalchemy as sa
from alembic import op

revision = "core_0003"
down_revision = "core_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_objects",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", "project"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "object_trees",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", "project"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "insert into project_objects (digest, project, size_bytes, at)"
        " select digest, project, max(size_bytes), max(at) from object_references group by digest, project"
    )
    op.execute("delete from object_references where owner = 'upload'")
