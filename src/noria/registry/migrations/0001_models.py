"""Models, their versions and aliases."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0001"
down_revision = None
branch_labels = ("registry",)
depends_on = ("access_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("latest", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("project_pk", "name", name="models_by_name"),
    )
    op.create_table(
        "model_versions",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("classes", sa.Text),
        sa.Column("holdout", sa.Text),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("model_pk", "version", name="model_versions_by_version"),
    )
    op.create_table(
        "model_aliases",
        sa.Column("model_pk", sa.BigInteger, sa.ForeignKey("models.pk"), primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("moved_at", sa.BigInteger, nullable=False),
    )
