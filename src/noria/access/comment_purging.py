"""Remove for good the comments that were removed long ago; those on a thing that is purged go with the thing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from noria.access.comment_tables import comments
from noria.core.context import Context
from noria.core.purging import Purge

AT_ONCE: Final = 1_000
"""How many comments one transaction removes."""


def purge_comments(context: Context, before: datetime, dry_run: bool) -> int:
    """Remove comments that were removed before a moment."""
    old = sa.select(comments.c.pk).where(comments.c.deleted_at < before)
    if dry_run:
        with context.database.read() as connection:
            counted = sa.select(sa.func.count()).select_from(old.subquery())
            return int(connection.execute(counted).scalar_one())
    n_gone = 0
    while True:
        with context.database.write() as connection:
            some = old.order_by(comments.c.pk).limit(AT_ONCE)
            gone = connection.execute(sa.delete(comments).where(comments.c.pk.in_(some))).rowcount
        n_gone += gone
        if gone < AT_ONCE:
            return n_gone


PURGES: Final = [Purge("comments", purge_comments)]
