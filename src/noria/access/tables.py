"""Tables of projects, users, tokens and sessions."""

from __future__ import annotations

from noria.core.database.schema import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UtcMicros,
    pk,
)

projects = Table(
    "projects",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", UtcMicros, nullable=False),
)

users = Table(
    "users",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    # argon2id, with its parameters and salt.
    Column("password_hash", Text, nullable=False),
    # Role in every project; null when roles are given per project only.
    Column("role", Text),
    Column("created_at", UtcMicros, nullable=False),
)

project_roles = Table(
    "project_roles",
    Column("user_pk", BigInteger, ForeignKey("users.pk", ondelete="cascade"), primary_key=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk", ondelete="cascade"), primary_key=True),
    Column("role", Text, nullable=False),
)

tokens = Table(
    "tokens",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    # BLAKE3 of the secret, which is 256 random bits: no slow hash is needed, and no copy of it is kept.
    Column("secret_hash", Text, nullable=False, unique=True),
    # Null for tokens of the workspace's owner and of the control loop.
    Column("user_pk", BigInteger, ForeignKey("users.pk", ondelete="cascade")),
    # Null when the token is good in every project.
    Column("project_pk", BigInteger, ForeignKey("projects.pk", ondelete="cascade")),
    Column("role", Text, nullable=False),
    # Names of the only permissions that it has; null when it has all that the role has.
    Column("permissions", JsonText(list[str])),
    Column("created_at", UtcMicros, nullable=False),
    Column("expires_at", UtcMicros, nullable=False),
    Index("tokens_by_user", "user_pk"),
    Index("tokens_by_name", "name"),
    Index("tokens_by_expiry", "expires_at"),
)

sessions = Table(
    "sessions",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    # BLAKE3 of the secret in the cookie, as with tokens.
    Column("secret_hash", Text, nullable=False, unique=True),
    # Null for the owner of the workspace, who signed in with its key.
    Column("user_pk", BigInteger, ForeignKey("users.pk", ondelete="cascade")),
    # What the browser calls itself, cut.
    Column("browser", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    # To within minutes, or each page would write.
    Column("seen_at", UtcMicros, nullable=False),
    Column("expires_at", UtcMicros, nullable=False),
    Index("sessions_by_user", "user_pk"),
    Index("sessions_by_expiry", "expires_at"),
)

sign_in_failures = Table(
    "sign_in_failures",
    pk(),
    # BLAKE3 of the name that was typed: people type their password into the wrong field.
    Column("name_hash", Text, nullable=False),
    Column("at", UtcMicros, nullable=False),
    Index("sign_in_failures_by_name", "name_hash", "at"),
    Index("sign_in_failures_by_time", "at"),
)
