"""What keeps a workspace's objects in order: garbage collection by references, and a check of what is referred to.

Both are safe beside a running server. The collector never touches an object that was put within the grace period, and
what nobody took up by then is forgotten as an upload in the same transaction that finds out what is live: a reference
is either committed before, and seen, or finds no upload to refer to, and its caller is told to upload again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from noria.core.clock import Clock
from noria.core.database.engine import Database
from noria.core.objects.references import forget_stale_uploads, live_digests, referenced_digests
from noria.core.objects.store import Collected, ObjectStore, Problem, ProblemKind

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
    """
    now = clock.now()

    def is_live(digests: list[str]) -> set[str]:
        if dry_run:
            with database.read() as connection:
                return live_digests(connection, digests, now=now, grace=grace)
        with database.write(durable=True) as connection:
            forget_stale_uploads(connection, digests, now=now, grace=grace)
            return live_digests(connection, digests, now=now, grace=grace)

    return objects.collect(is_live, grace_s=grace.total_seconds(), dry_run=dry_run)


def find_problems(database: Database, objects: ObjectStore) -> Iterator[Problem]:
    """Read every object, and look for each that something refers to."""
    yield from objects.verify()
    after = ""
    while True:
        with database.read() as connection:
            digests = referenced_digests(connection, after=after, limit=_ASKED_AT_ONCE)
        if not digests:
            return
        for digest in sorted(objects.missing(digests)):
            message = f"There is no object `{digest}`, and something refers to it"
            yield Problem(kind=ProblemKind.MISSING, name=digest, message=message)
        after = digests[-1]
