"""Bring a database to the schema of this code.

Each capability keeps its migrations in its own folder, `noria/<capability>/migrations/NNNN_name.py`, as an Alembic
branch of its own with revision ids `<capability>_NNNN`; what stands lower in the order of imports is migrated first.
Opening a workspace compares revision names only and costs one query; Alembic is loaded when there is work to do.
A new SQLite database is made at once (`noria.core.database.new_database`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from noria.core.database.alchemy import sa
from noria.core.database.engine import Database
from noria.core.database.failures import translated
from noria.core.database.new_database import make_new
from noria.core.database.revisions import PACKAGE, heads, known_revisions
from noria.core.database.sqlite import around, driver_of
from noria.core.errors import Conflict, StorageFull

_APPLIED = "select version_num from alembic_version"
_KEPT_COPIES = 3
_ADVISORY_KEY = 0x4E4F5249415F4D49
"""The migrations' among the advisory locks of a PostgreSQL: `NORIA_MI` in ASCII."""


class DatabaseFromTheFuture(Conflict):
    """The database was written by a newer Noria than this one."""

    code = "database_from_the_future"


def applied_revisions(database: Database) -> set[str]:
    """Read which revisions the database stands at; empty for a new one."""
    with database.read() as connection:
        if database.is_sqlite:
            driver = driver_of(connection)
            there = driver.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone()
            return {name for (name,) in driver.execute(_APPLIED)} if there else set()
        if not sa.inspect(connection).has_table("alembic_version"):
            return set()
        return set(connection.execute(sa.text(_APPLIED)).scalars())


def is_current(database: Database) -> bool:
    """Tell whether the database stands at this code's schema.

    Raises
    ------
    DatabaseFromTheFuture
        If it holds a revision that this code does not know.
    """
    applied = applied_revisions(database)
    known = {revision for revisions in known_revisions().values() for revision in revisions}
    unknown = sorted(applied - known)
    if unknown:
        raise DatabaseFromTheFuture(
            f"The database was written by a newer Noria: it is at `{unknown[0]}`, which this version does not know",
            hint="pip install --upgrade noria",
            details={"unknown": unknown},
        )
    return applied == heads()


def free_bytes(folder: Path) -> int:
    """Give the room that is left on the disk of a folder."""
    return shutil.disk_usage(folder).free


def migrate(
    database: Database,
    *,
    now: datetime,
    exclusive: Callable[[], AbstractContextManager[object]] = nullcontext,
    room: Callable[[Path], int] = free_bytes,
) -> Path | None:
    """Upgrade to this code's schema if there is need.

    Parameters
    ----------
    now
        Used in the name of the copy.
    exclusive
        Entered before anything changes: the workspace lock. Checked again inside, since another process may have
        migrated while this one waited.
    room
        Tells how many bytes are free on the disk of a folder.

    Returns
    -------
    Path or None
        The copy made of a SQLite database that held data.

    Raises
    ------
    DatabaseFromTheFuture
        If the database is newer than this code.
    StorageFull
        If there is no room for the copy. Nothing was changed.
    """
    if is_current(database):
        return None
    with exclusive():
        if is_current(database):
            return None
        if make_new(database, heads=heads()):
            return None
        copy = _copy_sqlite(database, now, room) if applied_revisions(database) else None
        upgrade(database, "heads")
        return copy


def upgrade(database: Database, target: str) -> None:
    """Run migrations up to `target` (a revision id or `heads`) in one transaction."""
    from alembic.runtime.environment import EnvironmentContext

    config, script = _scripts()

    def revisions(current: Any, _context: object) -> Any:
        return script._upgrade_revs(target, current)

    with (
        database.write(durable=True) as connection,
        EnvironmentContext(config, script, fn=revisions) as environment,
    ):
        if not database.is_sqlite:
            # Servers of several folders may share it; whoever comes second finds the work done when this is freed.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_KEY)))
        environment.configure(connection=around(connection), target_metadata=None)
        environment.run_migrations()


def _scripts() -> tuple[Any, Any]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    home = str(PACKAGE / "core" / "migrations")
    locations = [str(PACKAGE / capability / "migrations") for capability in known_revisions()]
    config = Config()
    config.set_main_option("script_location", home)
    config.set_main_option("version_locations", ";".join(locations))
    config.set_main_option("path_separator", ";")
    return config, ScriptDirectory(home, version_locations=locations, file_template="%%(slug)s")


def _copy_sqlite(database: Database, now: datetime, room: Callable[[Path], int]) -> Path | None:
    path = database.path
    if path is None or not path.exists():
        return None
    _require_room(path, room(path.parent))
    copy = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%S%f}")
    try:
        with translated(), database.engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.execute("VACUUM INTO ?", (str(copy),))
        _flush(copy)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    for old in sorted(path.parent.glob(f"{path.name}.before-*"))[:-_KEPT_COPIES]:
        old.unlink()
    return copy


def _require_room(path: Path, free: int) -> None:
    files = (path, path.with_name(f"{path.name}-wal"))
    needed = 2 * sum(file.stat().st_size for file in files if file.exists()) + (1 << 20)
    if free < needed:
        raise StorageFull(
            f"Migrating `{path}` needs {needed} bytes for a copy and its growth; {free} are free",
            hint="Free space on that disk and start again; nothing was changed",
        )


def _flush(copy: Path) -> None:
    # SQLite does not flush what it vacuums into, and the copy is for the day on which something went wrong.
    for place, flags in ((copy, os.O_RDONLY), (copy.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(place, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
