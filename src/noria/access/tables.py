"""Tables of projects, users, tokens and sessions."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk

projects = sa.Table(
    "projects",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", UtcMicros, nullable=False),
)

users = sa.Table(
    "users",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    # argon2id, with its parameters and salt.
    sa.Column("password_hash", sa.Text, nullable=False),
    # Role in every project; null when roles are given per project only.
    sa.Column("role", sa.Text),
    sa.Column("created_at", UtcMicros, nullable=False),
)

project_roles = sa.Table(
    "project_roles",
    metadata,
    sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade"), primary_key=True),
    sa.Column(
        "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk", ondelete="cascade"), primary_key=True
    ),
    sa.Column("role", sa.Text, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    # BLAKE3 of the secret, which is 256 random bits: no slow hash is needed, and no copy of it is kept.
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    # Null for tokens of the workspace's owner and of the control loop.
    sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade")),
    # Null when the token is good in every project.
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk", ondelete="cascade")),
    sa.Column("role", sa.Text, nullable=False),
    # Names of the only permissions that it has; null when it has all that the role has.
    sa.Column("permissions", JsonText(list[str])),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("expires_at", UtcMicros, nullable=False),
    sa.Index("tokens_by_user", "user_pk"),
    sa.Index("tokens_by_name", "name"),
    sa.Index("tokens_by_expiry", "expires_at"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    # BLAKE3 of the secret in the cookie, as with tokens.
    sa.Column("secret_hash", sa.Text, nullable=False, unique=True),
    # Null for the owner of the workspace, who signed in with its key.
    sa.Column("user_pk", sa.BigInteger, sa.ForeignKey("users.pk", ondelete="cascade")),
    # What the browser calls itself, cut.
    sa.Column("browser", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    # To within minutes, or each page would write.
    sa.Column("seen_at", UtcMicros, nullable=False),
    sa.Column("expires_at", UtcMicros, nullable=False),
    sa.Index("sessions_by_user", "user_pk"),
    sa.Index("sessions_by_expiry", "expires_at"),
)

sign_in_failures = sa.Table(
    "sign_in_failures",
    metadata,
    pk(),
    # BLAKE3 of the name that was typed: people type their password into the wrong field.
    sa.Column("name_hash", sa.Text, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Index("sign_in_failures_by_name", "name_hash", "at"),
    sa.Index("sign_in_failures_by_time", "at"),
)
