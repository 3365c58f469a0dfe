"""Which params, metrics and tags the runs of an experiment have, and which values: read from key to key of an index.

Neither takes longer with more runs, only with more keys or values: each step looks up the next one in the index by
value, and passes over all runs that have the same.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from noria.tracking.keys import key_names, known_keys

MAX_KEYS: Final = 2_000
"""Of each kind: nobody picks columns out of more."""


class KeyKind(enum.StrEnum):
    """What a key is of, as filters and columns name it."""

    PARAMS = "params"
    METRICS = "metrics"
    TAGS = "tags"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKeys:
    """The keys of an experiment's runs, each kind in order of names.

    Attributes
    ----------
    is_whole
        Whether all are here; there are at most `MAX_KEYS` of a kind.
    """

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    is_whole: bool = True

    def of(self, kind: KeyKind) -> tuple[str, ...]:
        """Give the keys of a kind."""
        return {KeyKind.PARAMS: self.params, KeyKind.METRICS: self.metrics, KeyKind.TAGS: self.tags}[kind]


def keys_of_experiment(connection: sa.Connection, experiment: int) -> KnownKeys:
    """Give the keys of an experiment's runs, also of deleted ones."""
    found = {kind: _next_keys(connection, kind, experiment) for kind in KeyKind}
    names = key_names(connection, {key for keys in found.values() for key in keys})
    named = {kind: tuple(sorted(names[key] for key in keys)) for kind, keys in found.items()}
    return KnownKeys(
        params=named[KeyKind.PARAMS],
        metrics=named[KeyKind.METRICS],
        tags=named[KeyKind.TAGS],
        is_whole=all(len(keys) < MAX_KEYS for keys in found.values()),
    )


def values_of_key(
    connection: sa.Connection,
    experiment: int,
    kind: KeyKind,
    key: str,
    *,
    beginning: str = "",
    limit: int = 20,
) -> list[str]:
    """Give the first values of a param or tag in an experiment, in order; long ones by their first 64 characters.

    Parameters
    ----------
    kind
        Not `KeyKind.METRICS`.
    beginning
        What the values begin with.
    """
    key_pk = known_keys(connection, {key}).get(key)
    if key_pk is None:
        return []
    asked = {
        "experiment": experiment,
        "key": key_pk,
        "from": beginning,
        "size": len(beginning),
        "begins": beginning,
        "n": limit,
    }
    return [str(row[0]) for row in connection.execute(_NEXT_VALUES[kind], asked)]


def _next_keys(connection: sa.Connection, kind: KeyKind, experiment: int) -> list[int]:
    rows = connection.execute(_NEXT_KEYS[kind], {"experiment": experiment, "n": MAX_KEYS})
    return [int(row[0]) for row in rows]


_TABLES = {KeyKind.PARAMS: "run_params", KeyKind.METRICS: "metric_latest", KeyKind.TAGS: "run_tags"}

_NEXT_KEYS = {
    kind: sa.text(
        f"with recursive d(k) as ("  # noqa: S608 - own words
        f" select min(key_pk) from {table} where experiment_pk = :experiment"
        f" union all select (select min(key_pk) from {table}"
        f" where experiment_pk = :experiment and key_pk > d.k) from d where d.k is not null"
        f") select k from d where k is not null limit :n"
    )
    for kind, table in _TABLES.items()
}
_NEXT_VALUES: dict[KeyKind, sa.TextClause] = {
    kind: sa.text(
        f"with recursive d(v) as ("  # noqa: S608 - own words
        f" select (select head from {table} where experiment_pk = :experiment and key_pk = :key and head >= :from"
        f" order by head limit 1)"
        f" union all select (select head from {table} where experiment_pk = :experiment and key_pk = :key"
        f" and head > d.v order by head limit 1) from d where d.v is not null and substr(d.v, 1, :size) = :begins"
        f") select v from d where v is not null and substr(v, 1, :size) = :begins limit :n"
    )
    for kind, table in _TABLES.items()
    if kind is not KeyKind.METRICS
}
