"""Remove windows beyond those that are kept, of endpoints without traffic too; looks do so as they come."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from noria.core.context import Context
from noria.core.purging import Purge
from noria.monitoring.entities import MonitorSection
from noria.monitoring.tables import monitor_windows, monitors
from noria.monitoring.windows.store import old_windows

AT_ONCE: Final = 1000
"""How many windows one transaction removes."""


def purge_windows(context: Context, _before: datetime, dry_run: bool) -> int:
    """Remove all but the newest windows of each monitor, as many as `[monitors]` `keep_windows` says."""
    kept = context.settings.section("monitors", MonitorSection).keep_windows
    with context.database.read() as connection:
        keys = list(connection.execute(sa.select(monitors.c.pk)).scalars())
    return sum(_purge(context, key, kept, dry_run=dry_run) for key in keys)


PURGES: Final = [Purge("windows of monitors", purge_windows)]


def _purge(context: Context, monitor_pk: int, kept: int, *, dry_run: bool) -> int:
    c = monitor_windows.c
    if dry_run:
        with context.database.read() as connection:
            old = old_windows(connection, monitor_pk, kept)
            return int(connection.execute(sa.select(sa.func.count()).where(old)).scalar_one())
    n_gone = 0
    while True:
        with context.database.write() as connection:
            old = old_windows(connection, monitor_pk, kept)
            indexes = sa.select(c.index).where(old).order_by(c.index).limit(AT_ONCE)
            some = list(connection.execute(indexes).scalars())
            here = (c.monitor_pk == monitor_pk, c.index.in_(some))
            if some:
                connection.execute(sa.delete(monitor_windows).where(*here))
        n_gone += len(some)
        if len(some) < AT_ONCE:
            return n_gone
