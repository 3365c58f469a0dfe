"""Which project holds which object, and for whom.

A digest is no key: reading an object goes through a project that holds it and that the caller may read, and a digest
enters a project only by upload. What nobody refers to is garbage after a grace period.

An object that entered a project has one row in `project_objects`, however often it is used there; a row in
`object_references` keeps it for an owner. A tree of files is kept by a reference to its manifest alone (see
`tree_references`): a version of a hundred thousand files of which ten are new writes ten rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from noria.core.clock import Clock
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import BigInteger, Column, Index, Table, Text, UtcMicros, to_micros
from noria.core.errors import NotFound
from noria.core.objects.store import ObjectInfo

project_objects = Table(
    "project_objects",
    Column("digest", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
    sqlite_with_rowid=False,
)
"""What entered a project, and when it did so last."""

object_references = Table(
    "object_references",
    Column("project", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("at", UtcMicros, nullable=False),
    Index("object_references_by_digest", "digest"),
    Index("object_references_by_owner", "owner"),
)

object_trees = Table(
    "object_trees",
    Column("digest", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    sqlite_with_rowid=False,
)
"""Manifests whose files are kept for as long as something refers to the manifest."""


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
    info = ObjectInfo(digest=digest, size_bytes=size_bytes)
    record_uploads(connection, clock, project=project, infos=[info])


def record_uploads(
    connection: sa.Connection, clock: Clock, *, project: str, infos: Iterable[ObjectInfo]
) -> None:
    """Note that objects entered `project`, all of them in one statement."""
    at = to_micros(clock.now())
    # In the order of the key, a table that is larger than the memory is gone through once; and on PostgreSQL two
    # writers of the same objects wait for one another instead of blocking each other for ever.
    sizes = sorted({info.digest: info.size_bytes for info in infos}.items())
    _RECORD.many_tuples(connection, [(digest, project, size, at) for digest, size in sizes])


def size_in_project(connection: sa.Connection, *, project: str, digest: str) -> int | None:
    """Give the size of an object that `project` holds, or None when it holds none."""
    found = _HELD.first(connection, {"project": project, "digest": digest})
    return None if found is None else int(found[0])


def add_reference(connection: sa.Connection, clock: Clock, *, project: str, digest: str, owner: str) -> None:
    """Keep an object for `owner`.

    Raises
    ------
    ObjectNotInProject
        If the digest did not enter this project by upload.
    """
    # On PostgreSQL the lock makes a collection that wants to forget the upload wait for this transaction's end, and
    # then see this reference; on SQLite writers follow one another anyway.
    found = _HELD_LOCKED.first(connection, {"project": project, "digest": digest})
    if found is None:
        raise ObjectNotInProject(project, digest)
    row = {"project": project, "digest": digest, "owner": owner, "size_bytes": found[0]}
    _REFER.run(connection, {**row, "at": to_micros(clock.now())})


def held_digests(
    connection: sa.Connection, *, project: str, digests: Collection[str], lock: bool = False
) -> set[str]:
    """Tell which of `digests` the project holds.

    Parameters
    ----------
    lock
        Keep a collection from forgetting them before this transaction ends.
    """
    values = {"project": project, "digests": as_list(digests)}
    return {row[0] for row in (_HELD_MANY_LOCKED if lock else _HELD_MANY).all(connection, values)}


def drop_owner(connection: sa.Connection, owner: str) -> None:
    """Let go of everything that was kept for `owner`."""
    _DROP.run(connection, {"owner": owner})


def referenced_digests(connection: sa.Connection, *, after: str = "", limit: int = 1000) -> list[str]:
    """List what something refers to, without the files of trees, in the order of digests."""
    query = (
        sa.select(object_references.c.digest)
        .distinct()
        .where(object_references.c.digest > after)
        .order_by(object_references.c.digest)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def _held(_dialect: str) -> sa.Select[tuple[int]]:
    return (
        sa.select(project_objects.c.size_bytes)
        .where(project_objects.c.project == sa.bindparam("project"))
        .where(project_objects.c.digest == sa.bindparam("digest"))
    )


_HELD = Prepared(_held)
_HELD_LOCKED = Prepared(lambda dialect: _held(dialect).with_for_update(read=True, key_share=True))


def _held_many(dialect: str) -> sa.Select[tuple[str]]:
    return (
        sa.select(project_objects.c.digest)
        .where(project_objects.c.project == sa.bindparam("project"))
        .where(project_objects.c.digest.in_(listed(dialect, "digests", sa.Text())))
    )


_HELD_MANY = Prepared(_held_many)
_HELD_MANY_LOCKED = Prepared(
    lambda dialect: (
        _held_many(dialect)
        .order_by(project_objects.c.digest)
        .with_for_update(read=True, key_share=True, of=project_objects)
    )
)


def _record(dialect: str) -> sa.Insert:
    names = ("digest", "project", "size_bytes", "at")
    insert = upsertable(dialect, project_objects).values({name: sa.bindparam(name) for name in names})
    return insert.on_conflict_do_update(index_elements=["digest", "project"], set_={"at": insert.excluded.at})


_RECORD = Prepared(_record)


def _refer(dialect: str) -> sa.Insert:
    given: dict[str, Any] = {column.name: sa.bindparam(column.name) for column in object_references.c}
    insert = upsertable(dialect, object_references).values(given)
    return insert.on_conflict_do_update(
        index_elements=["project", "digest", "owner"], set_={"at": insert.excluded.at}
    )


_REFER = Prepared(_refer)
_DROP = Prepared(
    lambda _: sa.delete(object_references).where(object_references.c.owner == sa.bindparam("owner"))
)
