"""What keeps a workspace's objects in order: garbage collection by references, and a check of what is referred to.

Both are safe beside a running server. The collector never touches an object that was put within the grace period, and
what nobody took up by then is forgotten as an upload in the same transaction that finds out what is live: a reference
is either committed before, and seen, or finds no upload to refer to, and its caller is told to upload again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import Database
from noria.core.objects.digests import DigestMismatch, is_digest
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.references import (
    object_references,
    object_trees,
    project_objects,
    referenced_digests,
)
from noria.core.objects.store import (
    Collected,
    ObjectCorrupt,
    ObjectNotFound,
    ObjectStore,
    Problem,
    ProblemKind,
)
from noria.core.objects.tree_references import KeptFiles, kept_trees
from noria.core.objects.trees import ManifestInvalid, read_manifest

_ASKED_AT_ONCE = 1000


def collect_garbage(
    database: Database, objects: ObjectStore, clock: Clock, *, grace: timedelta, dry_run: bool = False
) -> Collected:
    """Remove objects that nothing refers to and that were last put before the grace period.

    Parameters
    ----------
    grace
        Longer than any upload takes from its first byte to the reference to it.
    dry_run
        Count only.

    Raises
    ------
    ObjectNotFound, ObjectCorrupt, ManifestInvalid
        If the manifest of a tree cannot be read that something refers to: its files would be lost with it.
    """
    stale_at = clock.now() - grace
    kept = KeptFiles(objects)

    def is_live(digests: list[str]) -> set[str]:
        with database.read() if dry_run else database.write(durable=True) as connection:
            rows = _entered(connection, digests, lock=not dry_run)
            live, stale = _judge(connection, kept, rows, digests, stale_at)
            if not dry_run:
                _forget(connection, stale)
        return live

    return objects.collect(is_live, grace_s=grace.total_seconds(), dry_run=dry_run)


def _entered(
    connection: sa.Connection, digests: Collection[str], *, lock: bool
) -> list[tuple[str, str, datetime]]:
    """Give project, digest and time of what entered.

    On PostgreSQL the lock waits for a transaction that takes one of them up meanwhile, so that the questions that
    follow see its reference.
    """
    columns = (project_objects.c.project, project_objects.c.digest, project_objects.c.at)
    query = (
        sa.select(*columns).where(project_objects.c.digest.in_(digests)).order_by(project_objects.c.digest)
    )
    rows = connection.execute(query.with_for_update() if lock else query)
    return [(row.project, row.digest, row.at) for row in rows]


def _judge(
    connection: sa.Connection,
    kept: KeptFiles,
    entered: list[tuple[str, str, datetime]],
    digests: Collection[str],
    stale_at: datetime,
) -> tuple[set[str], list[tuple[str, str]]]:
    """Give the digests that must stay, and what projects may forget: pairs of project and digest."""
    table = object_references
    referred = sa.select(table.c.project, table.c.digest).distinct().where(table.c.digest.in_(digests))
    owned = {(project, digest) for project, digest in connection.execute(referred)}
    kept.refresh(connection)
    live = {digest for _, digest in owned}
    stale: list[tuple[str, str]] = []
    for project, digest, at in entered:
        if (project, digest) in owned or kept.has(project, digest) or at > stale_at:
            live.add(digest)
        else:
            stale.append((project, digest))
    return live, stale


def _forget(connection: sa.Connection, stale: list[tuple[str, str]]) -> None:
    """Let go of uploads that nobody took up within the grace period.

    Before their objects are removed: otherwise a project would go on believing that it holds them, and a later version
    could be made of what is gone.
    """
    if not stale:
        return
    values = [{"a_project": project, "a_digest": digest} for project, digest in stale]
    for table in (project_objects, object_trees):
        connection.execute(
            sa.delete(table)
            .where(table.c.digest == sa.bindparam("a_digest"))
            .where(table.c.project == sa.bindparam("a_project")),
            values,
        )


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What `repair` did.

    Attributes
    ----------
    repaired
        Digests of the objects, and places of the packs, that are whole again.
    left
        What is still wrong.
    """

    repaired: list[str]
    left: list[Problem]


def repair(
    objects: ObjectStore, open_there: Callable[[str], Iterator[bytes]], problems: Iterable[Problem]
) -> Repaired:
    """Put damaged and missing objects again, with the bytes that another store has; each is checked on the way.

    Parameters
    ----------
    open_there
        `open` of the other store.
    """
    repaired: list[str] = []
    left: list[Problem] = []
    for problem in problems:
        if not is_digest(problem.name):
            if isinstance(objects, LocalObjectStore) and objects.renew_pack(Path(problem.name)):
                repaired.append(problem.name)
            else:
                left.append(problem)
            continue
        try:
            objects.put(open_there(problem.name), expected=problem.name)
        except (ObjectNotFound, ObjectCorrupt, DigestMismatch) as error:
            message = f"{problem.message}; {error.message}"
            left.append(msgspec.structs.replace(problem, message=message))
        else:
            repaired.append(problem.name)
    return Repaired(repaired=repaired, left=left)


def find_problems(database: Database, objects: ObjectStore, *, quick: bool = False) -> Iterator[Problem]:
    """Read every object, and look for each that something refers to; if `quick`, look only what is there."""
    yield from objects.verify(quick=quick)
    after = ""
    while True:
        with database.read() as connection:
            digests = referenced_digests(connection, after=after, limit=_ASKED_AT_ONCE)
        if not digests:
            break
        yield from _missing(objects, digests, "something refers to it")
        after = digests[-1]
    with database.read() as connection:
        trees = sorted({digest for _, digest in kept_trees(connection)})
    for tree in trees:
        with contextlib.suppress(ObjectNotFound, ObjectCorrupt, ManifestInvalid):  # told of above
            yield from _missing(
                objects, read_manifest(objects, tree).digests(), f"the tree `{tree}` lists it"
            )


def _missing(objects: ObjectStore, digests: Collection[str], why: str) -> Iterator[Problem]:
    for digest in sorted(objects.missing(digests)):
        message = f"There is no object `{digest}`, and {why}"
        yield Problem(kind=ProblemKind.MISSING, name=digest, message=message)
