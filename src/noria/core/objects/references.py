"""Which project holds which object, and for whom.

A digest is no key: reading an object goes through a reference in a project that the caller may read, and a digest
enters a project only by upload. What nobody refers to is garbage after a grace period.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import upsertable
from noria.core.database.schema import UtcMicros, metadata
from noria.core.errors import NotFound

UPLOAD = "upload"
"""Owner of the reference that an upload makes; it keeps the object until the grace period is over."""

object_references = sa.Table(
    "object_references",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Index("object_references_by_digest", "digest"),
    sa.Index("object_references_by_owner", "owner"),
)


class ObjectNotInProject(NotFound):
    """The digest never entered this project, or everything that referred to it is gone."""

    code = "object_not_in_project"

    def __init__(self, project: str, digest: str) -> None:
        super().__init__(
            f"The project `{project}` holds no object `{digest}`",
            hint="Upload it to this project first",
            details={"project": project, "digest": digest},
        )


def record_upload(
    connection: sa.Connection, clock: Clock, *, project: str, digest: str, size_bytes: int
) -> None:
    """Note that `digest` entered `project`; an earlier upload is made fresh again."""
    row = {"project": project, "digest": digest, "owner": UPLOAD, "size_bytes": size_bytes, "at": clock.now()}
    _upsert(connection, row)


def size_in_project(connection: sa.Connection, *, project: str, digest: str) -> int | None:
    """Give the size of an object that `project` holds, or None when it holds none."""
    return connection.execute(_HELD, {"project": project, "digest": digest}).scalar()


def add_reference(connection: sa.Connection, clock: Clock, *, project: str, digest: str, owner: str) -> None:
    """Keep an object for `owner`.

    Raises
    ------
    ObjectNotInProject
        If the digest did not enter this project by upload.
    """
    # On PostgreSQL the lock makes a collection that wants to forget the upload wait for this transaction's end, and
    # then see this reference; on SQLite writers follow one another anyway.
    size = connection.execute(_HELD_LOCKED, {"project": project, "digest": digest}).scalar()
    if size is None:
        raise ObjectNotInProject(project, digest)
    _upsert(
        connection,
        {"project": project, "digest": digest, "owner": owner, "size_bytes": size, "at": clock.now()},
    )


def held_digests(connection: sa.Connection, *, project: str, digests: Collection[str]) -> set[str]:
    """Tell which of `digests` the project holds."""
    query = (
        sa.select(object_references.c.digest)
        .where(object_references.c.project == project)
        .where(object_references.c.digest.in_(digests))
    )
    return set(connection.execute(query).scalars())


def drop_owner(connection: sa.Connection, owner: str) -> None:
    """Let go of everything that was kept for `owner`."""
    connection.execute(sa.delete(object_references).where(object_references.c.owner == owner))


def live_digests(
    connection: sa.Connection, digests: Collection[str], *, now: datetime, grace: timedelta
) -> set[str]:
    """Tell which of `digests` must stay: kept for an owner, or uploaded within the grace period."""
    query = (
        sa.select(object_references.c.digest)
        .where(object_references.c.digest.in_(digests))
        .where(sa.or_(object_references.c.owner != UPLOAD, object_references.c.at > now - grace))
    )
    return set(connection.execute(query).scalars())


def forget_stale_uploads(
    connection: sa.Connection, digests: Collection[str], *, now: datetime, grace: timedelta
) -> None:
    """Let go of uploads that nobody took up within the grace period.

    Called before their objects are removed: otherwise a project would go on believing that it holds them, and a later
    version could be made of what is gone.
    """
    connection.execute(
        sa.delete(object_references)
        .where(object_references.c.digest.in_(digests))
        .where(object_references.c.owner == UPLOAD)
        .where(object_references.c.at <= now - grace)
    )


def referenced_digests(connection: sa.Connection, *, after: str = "", limit: int = 1000) -> list[str]:
    """List what owners other than uploads keep, in the order of digests."""
    query = (
        sa.select(object_references.c.digest)
        .distinct()
        .where(object_references.c.owner != UPLOAD)
        .where(object_references.c.digest > after)
        .order_by(object_references.c.digest)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


# Made once: making these statements costs several times what running them does.
_HELD = (
    sa.select(object_references.c.size_bytes)
    .where(object_references.c.project == sa.bindparam("project"))
    .where(object_references.c.digest == sa.bindparam("digest"))
    .limit(1)
)
_HELD_LOCKED = _HELD.limit(None).with_for_update(read=True, key_share=True)


def _upsert(connection: sa.Connection, row: dict[str, object]) -> None:
    connection.execute(_upsert_statement(connection.dialect.name), row)


@functools.cache
def _upsert_statement(dialect: str) -> sa.Insert:
    insert = upsertable(dialect, object_references)
    return insert.on_conflict_do_update(
        index_elements=["project", "digest", "owner"], set_={"at": insert.excluded.at}
    )
