"""Projects, with the one that everybody starts in; users, their roles and tokens."""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "access_0001"
down_revision = None
branch_labels = ("access",)
depends_on = ("core_0001",)

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    row = {"id": uuid.uuid4().hex, "name": "default", "created_at": time.time_ns() // 1000}
    op.bulk_insert(projects, [row])
    _create_users()
    _create_tokens()


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "project_roles",
        sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade"), primary_key=True),
        sa.Column(
            "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk", ondelete="cascade"), primary_key=True
        ),
        sa.Column("role", sa.Text, nullable=False),
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("name_hash", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_failures_by_name", "sign_in_failures", ["name_hash", "at"])
    op.create_index("sign_in_failures_by_time", "sign_in_failures", ["at"])


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("pk", BIG_KEY, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
        sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade")),
        sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk", ondelete="cascade")),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("permissions", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("tokens_by_user", "tokens", ["user_pk"])
    op.create_index("tokens_by_name", "tokens", ["name"])
    op.create_index("tokens_by_expiry", "tokens", ["expires_at"])
