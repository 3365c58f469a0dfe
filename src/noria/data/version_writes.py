"""A version added to a workspace in a folder with SQLite, written with plain `sqlite3`.

To import what the service stands on takes longer than to store ten thousand files. What is written is what
`Objects.take_in` and `Datasets.add` write, in one transaction: a test compares all tables. Whatever is not as usual is
left to them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import msgspec

from noria.core.database.revisions import heads
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.data.entities import DatasetVersion, NewDatasetVersion
from noria.data.version_reads import find_versions

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.objects.store import ObjectInfo

_SQLITE: Final = "sqlite:///"
_BUSY_S: Final = 30.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_OWNER: Final = "local"
"""Name of the owner of a workspace in a folder, who needs no permission."""

_EVENT: Final = "dataset.version_added"

_TAKE_IN: Final = (
    "insert into project_objects (project, at, digest, size_bytes) values {}"
    " on conflict (digest, project) do update set at = excluded.at"
)
_TAKEN_AT_ONCE: Final = 256
"""Rows of one statement: to begin a statement for each takes longer than to write it."""
_FIND_OR_CREATE: Final = (
    "insert into datasets (id, project_pk, name, latest, created_at, last_number) values (?, ?, ?, 0, ?, 0)"
    " on conflict (project_pk, name) do update set name = excluded.name returning pk, latest, last_number"
)
_NEWEST_DIGEST: Final = "select digest from dataset_versions where dataset_pk = ? and version = ?"
_HELD: Final = (
    "select digest from project_objects where project = ? and digest in (select value from json_each(?))"
)
_REFER: Final = (
    "insert into object_references (project, digest, owner, size_bytes, at)"
    " select project, digest, ?, size_bytes, ? from project_objects where project = ? and digest = ?"
)
_MARK: Final = "insert into object_trees (digest, project) values (?, ?) on conflict do nothing"
_INSERT: Final = (
    "insert into dataset_versions (dataset_pk, id, version, digest, kind, author, message, parent, n_files,"
    " size_bytes, n_rows, profile, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null, ?)"
)
_UPDATE: Final = "update datasets set latest = ?, last_number = ? where pk = ?"
_TELL: Final = (
    "insert into events (position, at, actor, project, type, subject, payload)"
    " values ((select coalesce(max(position), 0) + 1 from events), ?, ?, ?, ?, ?, ?)"
)


class Added(NamedTuple):
    """A version, and whether it was added just now; false if the newest one has the same content."""

    version: DatasetVersion
    is_new: bool


class _NotThisWay(Exception):
    """Something is not as usual."""


def can_write(settings: Settings) -> bool:
    """Tell whether `write_version` is likely to find all as usual."""
    try:
        with _opened(settings) as connection:
            _check(connection, settings)
    except (_NotThisWay, sqlite3.Error):
        return False
    return True


def write_version(
    settings: Settings,
    name: str,
    new: NewDatasetVersion,
    *,
    uploaded: Sequence[ObjectInfo],
    trusted: Collection[str],
) -> Added | None:
    """Let objects enter the project, and add a version that needs them.

    Parameters
    ----------
    new
        Without rows and profile.
    uploaded
        What was put into the store for it, the manifest among them.
    trusted
        Digests of the other files that the manifest lists: those that were not read again.

    Returns
    -------
    Added or None
        None if nothing was written, since this way cannot: the service can, or says why not.

    Raises
    ------
    Invalid
        If `name` cannot be the name of a dataset.
    """
    check_name("dataset", name)
    try:
        with _opened(settings) as connection:
            connection.execute("begin immediate")
            try:
                ref, is_new = _write(connection, settings, name, new, uploaded, trusted)
                found = find_versions(connection, settings.project, [ref])
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
    except (_NotThisWay, sqlite3.Error, OverflowError, UnicodeEncodeError):
        return None
    return None if found is None else Added(found[0], is_new)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[sqlite3.Connection]:
    if settings.is_remote or not settings.database_url.startswith(_SQLITE):
        raise _NotThisWay
    path = Path(settings.database_url.removeprefix(_SQLITE))
    uri = f"file:{quote(str(path))}?mode=rw"
    with contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    ) as connection:
        connection.execute("pragma foreign_keys = on")
        connection.execute("pragma synchronous = normal")
        yield connection


def _check(connection: sqlite3.Connection, settings: Settings) -> int:
    """See that the schema is the one that this code writes to, and give the key of the project."""
    if connection.execute("pragma journal_mode").fetchone() != ("wal",):
        raise _NotThisWay
    if {row[0] for row in connection.execute("select version_num from alembic_version")} != heads():
        raise _NotThisWay
    project = connection.execute("select pk from projects where name = ?", (settings.project,)).fetchone()
    if project is None:
        raise _NotThisWay
    return int(project[0])


def _write(
    connection: sqlite3.Connection,
    settings: Settings,
    name: str,
    new: NewDatasetVersion,
    uploaded: Sequence[ObjectInfo],
    trusted: Collection[str],
) -> tuple[str, bool]:
    project, project_pk = settings.project, _check(connection, settings)
    now = (datetime.now(UTC) - _EPOCH) // _MICROSECOND
    sizes = {info.digest: info.size_bytes for info in uploaded}
    _take_in(connection, project, sizes, now)
    pk, latest, last_number = connection.execute(
        _FIND_OR_CREATE, (new_id(), project_pk, name, now)
    ).fetchone()
    if connection.execute(_NEWEST_DIGEST, (pk, latest)).fetchone() == (new.digest,):
        return f"{name}@{latest}", False
    _require_held(connection, project, set(trusted) - sizes.keys())
    version, identity = last_number + 1, new_id()
    if connection.execute(_REFER, (f"dataset:{identity}", now, project, new.digest)).rowcount != 1:
        raise _NotThisWay
    connection.execute(_MARK, (new.digest, project))
    values = (identity, version, new.digest, str(new.kind), new.author or _OWNER, new.message)
    figures = (latest or None, new.n_files, new.size_bytes, now)
    connection.execute(_INSERT, (pk, *values, *figures))
    connection.execute(_UPDATE, (version, version, pk))
    payload = msgspec.json.encode({"digest": new.digest, "version": version, "n_rows": None}).decode()
    ref = f"{name}@{version}"
    connection.execute(_TELL, (now, _OWNER, project, _EVENT, f"dataset:{ref}", payload))
    return ref, True


def _take_in(connection: sqlite3.Connection, project: str, sizes: Mapping[str, int], now: int) -> None:
    # In the order of the key, a table that is larger than the memory is gone through once.
    rows = sorted(sizes.items())
    for begin in range(0, len(rows), _TAKEN_AT_ONCE):
        some = rows[begin : begin + _TAKEN_AT_ONCE]
        places = ", ".join(f"(?1, ?2, ?{n}, ?{n + 1})" for n in range(3, 3 + 2 * len(some), 2))
        connection.execute(_TAKE_IN.format(places), [project, now, *chain.from_iterable(some)])


def _require_held(connection: sqlite3.Connection, project: str, wanted: set[str]) -> None:
    """See that files which were not read now are the project's still."""
    asked = msgspec.json.encode(list(wanted)).decode()
    if wanted and wanted != {row[0] for row in connection.execute(_HELD, (project, asked))}:
        raise _NotThisWay
