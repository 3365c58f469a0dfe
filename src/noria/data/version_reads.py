"""Versions of a workspace in a folder with SQLite, read with plain `sqlite3`.

To import what the service stands on takes longer than to send ten thousand files to a folder, or to check them out. A
test holds what is read here against what the service gives.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from noria.core.names import split_ref
from noria.data.entities import DatasetKind, DatasetTag, DatasetVersion

if TYPE_CHECKING:
    from noria.core.config import Settings

_SQLITE: Final = "sqlite:///"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BUSY_S: Final = 10.0
_COLUMNS: Final = (
    "v.id, p.name, d.name, v.version, v.digest, v.kind, v.author, v.message, v.parent, v.n_files, v.size_bytes,"
    " v.n_rows, v.profile, v.created_at"
)
_FROM: Final = (
    " from dataset_versions v join datasets d on d.pk = v.dataset_pk join projects p on p.pk = d.project_pk"
)
_QUERY: Final = f"select {_COLUMNS}{_FROM} where p.name = ?"
_TAGS: Final = (
    "select d.name, t.tag, t.version, t.author, t.at from dataset_tags t join datasets d on d.pk = t.dataset_pk"
    " join projects p on p.pk = d.project_pk where p.name = ? order by d.name, t.tag"
)

T = TypeVar("T")


def read_versions(settings: Settings, refs: Sequence[str]) -> list[DatasetVersion] | None:
    """Give the versions that `refs` (`name@3`, `name`) name, all of the project when there are none.

    None means that this way cannot tell: the database is another one, a reference is a tag or a time, or something
    named is not there. The service can, or says why not.
    """
    return _looked_up(settings, lambda connection: find_versions(connection, settings.project, refs))


def read_tags(settings: Settings) -> list[tuple[str, DatasetTag]] | None:
    """Give the tags of the project, each with the name of its dataset; None means that this way cannot tell."""

    def read(connection: sqlite3.Connection) -> list[tuple[str, DatasetTag]]:
        rows = connection.execute(_TAGS, (settings.project,)).fetchall()
        return [
            (name, DatasetTag(tag=tag, version=version, author=author, at=_moment(at)))
            for name, tag, version, author, at in rows
        ]

    return _looked_up(settings, read)


def _looked_up(settings: Settings, read: Callable[[sqlite3.Connection], T | None]) -> T | None:
    if settings.is_remote or not settings.database_url.startswith(_SQLITE):
        return None
    path = Path(settings.database_url.removeprefix(_SQLITE))
    if not path.is_file():
        return None
    uri = f"file:{quote(str(path))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
            return read(connection)
    except sqlite3.Error:
        return None


def find_versions(
    connection: sqlite3.Connection, project: str, refs: Sequence[str]
) -> list[DatasetVersion] | None:
    """As `read_versions`, by a connection of the caller's."""
    if not refs:
        order = " order by d.name, v.version"
        return [_version(row) for row in connection.execute(_QUERY + order, (project,))]
    found = []
    for ref in refs:
        name, selector = split_ref(ref)
        values: tuple[object, ...] = (project, name)
        which = " and v.version = d.latest"
        if selector is not None and selector != "latest":
            if not selector.isdecimal():
                return None
            which, values = " and v.version = ?", (project, name, int(selector))
        row = connection.execute(f"{_QUERY} and d.name = ?{which}", values).fetchone()
        if row is None:
            return None
        found.append(_version(row))
    return found


def _version(row: tuple[Any, ...]) -> DatasetVersion:
    names = DatasetVersion.__struct_fields__
    values = dict(zip(names, row, strict=True))
    values["kind"] = DatasetKind(values["kind"])
    values["profile"] = None if values["profile"] is None else msgspec.json.decode(values["profile"])
    values["created_at"] = _moment(values["created_at"])
    return DatasetVersion(**values)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
