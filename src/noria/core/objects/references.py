"""Which project holds which object, and for whom.

A digest is no key: reading an object goes through a reference in a project that the caller may read, and a digest
enters a project only by upload. What nobody refers to is garbage after a grace period.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from noria.core.clock import Clock
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
    query = (
        sa.select(object_references.c.size_bytes)
        .where(object_references.c.project == project)
        .where(object_references.c.digest == digest)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def add_reference(connection: sa.Connection, clock: Clock, *, project: str, digest: str, owner: str) -> None:
    """Keep an object for `owner`.

    Raises
    ------
    ObjectNotInProject
        If the digest did not enter this project by upload.
    """
    size = size_in_project(connection, project=project, digest=digest)
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


def _upsert(connection: sa.Connection, row: dict[str, object]) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(object_references)
        .values(**row)
        .on_conflict_do_update(index_elements=["project", "digest", "owner"], set_={"at": row["at"]})
    )
