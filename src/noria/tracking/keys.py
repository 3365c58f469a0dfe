"""Keys of params, metrics and tags as integers, made at first use and never taken away."""

from __future__ import annotations

from collections.abc import Collection

from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.tracking.tables import tracking_keys


def intern_keys(connection: sa.Connection, keys: Collection[str]) -> dict[str, int]:
    """Give the integer of each key, made at first use."""
    known = known_keys(connection, keys)
    if len(known) < len(keys):
        # In one order for all writers, or two of them could wait for each other.
        new = sorted(key for key in keys if key not in known)
        _ADD.many_tuples(connection, [(key,) for key in new])
        known |= known_keys(connection, new)
    return known


def known_keys(connection: sa.Connection, keys: Collection[str]) -> dict[str, int]:
    """Give the integers of those keys that have one."""
    return dict(_KNOWN.all(connection, {"keys": as_list(keys)})) if keys else {}


def key_names(connection: sa.Connection, pks: Collection[int]) -> dict[int, str]:
    """Give the keys that integers stand for."""
    return dict(_NAMES.all(connection, {"pks": as_list(pks)})) if pks else {}


_KNOWN = Prepared(
    lambda dialect: sa.select(tracking_keys.c.key, tracking_keys.c.pk).where(
        tracking_keys.c.key.in_(listed(dialect, "keys", sa.Text()))
    )
)
_NAMES = Prepared(
    lambda dialect: sa.select(tracking_keys.c.pk, tracking_keys.c.key).where(
        tracking_keys.c.pk.in_(listed(dialect, "pks", sa.BigInteger()))
    )
)
_ADD = Prepared(
    lambda dialect: (
        upsertable(dialect, tracking_keys).values(key=sa.bindparam("key")).on_conflict_do_nothing().inline()
    )
)
