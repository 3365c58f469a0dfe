"""Free the space of what was deleted long ago or is kept no longer: rows first, then objects that nothing refers to."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from noria.core.config import Section
from noria.core.context import Context
from noria.core.control.workflows import JSON, Chore, Reaction, Steps, Tick, Workflow
from noria.core.database.engine import Database
from noria.core.database.failures import translated
from noria.core.errors import Invalid
from noria.core.objects.store import Collected
from noria.core.objects.upkeep import collect_garbage
from noria.core.permissions import Principal, Role
from noria.core.purging import Purge
from noria.core.serialisation import to_builtins

PURGES = (
    "noria.tracking.purging:PURGES",
    "noria.registry.purging:PURGES",
    "noria.access.comment_purging:PURGES",
    "noria.monitoring.purging:PURGES",
)
"""Lists of `noria.core.purging.Purge`, in the order in which they run."""

SYSTEM = Principal(name="noria", role=Role.ADMIN, holds_key=True)
DAILY_S = 24 * 3600.0
OBJECTS_GRACE = timedelta(hours=24)
"""Longer than any upload takes from its first byte to the reference to it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORTH_VACUUM_BYTES = 16 << 20
_WORTH_VACUUM_SHARE = 0.25


class GcSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gc]`: how long deleted things can be restored on a server.

    Attributes
    ----------
    after_days
        What was deleted longer ago than this is removed for good, once a day; 0 keeps it until `noria gc`.
    """

    after_days: Annotated[float, msgspec.Meta(ge=0)] = 30.0


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed for good; in a dry run, what would have been.

    Attributes
    ----------
    rows
        Number by kind of thing.
    objects
        What became of the files.
    database_bytes
        By how much the database's file shrank.
    """

    dry_run: bool
    rows: dict[str, int]
    objects: Collected
    database_bytes: int = 0


def remove_deleted(
    context: Context, *, older_than: timedelta, dry_run: bool = False, shrink: bool = False
) -> Removed:
    """Remove what was deleted longer ago than `older_than`, then the objects that nothing refers to.

    Safe beside a running server and to be repeated.

    Parameters
    ----------
    dry_run
        Count only. Objects that only the rows keep are not among those counted.
    shrink
        Give the database's free pages back to the disk if they are many; writers wait meanwhile. SQLite only, since
        PostgreSQL does it by itself.

    Raises
    ------
    Invalid
        If `older_than` is negative.
    """
    if older_than < timedelta():
        raise Invalid(f"A grace period of {older_than} is none", hint="Give 0 or more, such as `30d`")
    now = context.clock.now()
    before = now - min(older_than, now - _EPOCH)
    rows = {purge.kind: purge.purge(context, before, dry_run) for purge in load_purges()}
    objects = collect_garbage(
        context.database, context.objects, context.clock, grace=OBJECTS_GRACE, dry_run=dry_run
    )
    shrunk = _shrink(context.database) if shrink and not dry_run else 0
    return Removed(dry_run=dry_run, rows=rows, objects=objects, database_bytes=shrunk)


def load_purges(names: Iterable[str] = PURGES) -> list[Purge]:
    """Import what is removed."""
    found: list[Purge] = []
    for name in names:
        module, _, attribute = name.partition(":")
        found += getattr(importlib.import_module(module), attribute)
    return found


def _shrink(database: Database) -> int:
    path = database.path
    if path is None:
        return 0
    with translated(), database.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        n_free, n_pages, page_bytes = (
            raw.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("freelist_count", "page_count", "page_size")
        )
        if n_free * page_bytes < _WORTH_VACUUM_BYTES or n_free < _WORTH_VACUUM_SHARE * n_pages:
            return 0
        before = path.stat().st_size
        raw.execute("VACUUM")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return max(0, before - path.stat().st_size)


def _daily(steps: Steps, app: Context, _start: datetime) -> JSON:
    """Remove what was deleted longer ago than the settings say."""
    days = app.settings.section("gc", GcSection).after_days
    if not days:
        return None
    context = app.acting_as(SYSTEM)

    def remove() -> JSON:
        removed: JSON = to_builtins(remove_deleted(context, older_than=timedelta(days=days)))
        return removed

    return steps.run("remove", remove)


WORKFLOWS: list[Workflow] = []
TICKS = [Tick("server.gc", DAILY_S, _daily)]
REACTIONS: list[Reaction] = []
CHORES: list[Chore] = []
