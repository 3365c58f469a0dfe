"""Where artifacts stand: one shelf for each run and each logged model, and one for what a project holds beside them.

A shelf is rows of path and digest; folders are only the beginnings of paths. A path is a file or a folder, never both.
For each digest on it the shelf's owner holds a reference to the object, which goes when the last path with that digest
does, so that garbage collection frees the bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.clock import Clock
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import from_micros
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.objects.paths import folders_of
from noria.core.objects.references import add_reference, object_references, record_upload
from noria.core.objects.store import ObjectInfo
from noria.tracking.artifact_entities import FolderItem, KeptFile
from noria.tracking.limits import shorten
from noria.tracking.model_rows import model_pk
from noria.tracking.model_tables import logged_model_artifacts, loose_artifacts
from noria.tracking.run_keys import run_pk
from noria.tracking.tables import run_artifacts

RUN, MODEL = "run", "logged-model"

_AFTER_SLASH = "0"
"""The character that follows `/`: everything inside the folder `f` stands between `f/` and `f0`."""

ROWS_AT_ONCE = 1_000
_IN_CHUNK = 500


class ArtifactNotFound(NotFound):
    """There is no such file among the artifacts."""

    code = "artifact_not_found"

    def __init__(self, path: str) -> None:
        super().__init__(f"No such artifact: '{shorten(path)}'", details={"path": path})


class ArtifactIsFolder(Invalid):
    """A file was asked for, and the path is a folder."""

    code = "artifact_is_folder"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Artifact path refers to a directory, not a file: '{shorten(path)}'", details={"path": path}
        )


class ArtifactInTheWay(Conflict):
    """A file cannot stand where a folder is, nor below a file."""

    code = "artifact_in_the_way"

    def __init__(self, path: str, other: str) -> None:
        what = "is a folder" if other == path else f"would lie inside the file `{shorten(other)}`"
        super().__init__(
            f"The artifact `{shorten(path)}` cannot be put there: it {what}",
            hint="Choose another path, or delete what is there",
            details={"path": path, "in_the_way": other},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The artifacts of one owner.

    Attributes
    ----------
    table, column, key
        Where its rows are, and which are its own.
    project
        Name of the project whose objects it refers to.
    owner
        Who holds the references.
    """

    table: sa.Table
    column: str
    key: int
    project: str
    owner: str


def find_shelf(connection: sa.Connection, project: str, of: str) -> Shelf:
    """Find the shelf of `run:<id>`, of `logged-model:<id>`, or (empty text) of what the project holds beside them.

    Raises
    ------
    NotFound
        If the project has no such run or model.
    Invalid
        For any other text.
    """
    kind, _, owner_id = of.partition(":")
    if kind == RUN:
        return run_shelf(project, run_pk(connection, project, owner_id), owner_id)
    if kind == MODEL:
        return model_shelf(project, model_pk(connection, project, owner_id), owner_id)
    if of == "":
        key = project_pk(connection, project)
        return Shelf(
            table=loose_artifacts, column="project_pk", key=key, project=project, owner=f"artifacts:{project}"
        )
    raise Invalid(f"`{shorten(of)}` has no artifacts", hint="Give `run:<id>`, `logged-model:<id>` or nothing")


def run_shelf(project: str, key: int, run_id: str) -> Shelf:
    """Give the shelf of a run."""
    return Shelf(table=run_artifacts, column="run_pk", key=key, project=project, owner=f"{RUN}:{run_id}")


def model_shelf(project: str, key: int, model_id: str) -> Shelf:
    """Give the shelf of a logged model."""
    return Shelf(
        table=logged_model_artifacts,
        column="model_pk",
        key=key,
        project=project,
        owner=f"{MODEL}:{model_id}",
    )


def find_file(connection: sa.Connection, shelf: Shelf, path: str) -> KeptFile | None:
    """Give the file at a path, or None."""
    row = _questions(shelf.table).find.first(connection, {"key": shelf.key, "path": path})
    if row is None:
        return None
    digest, size_bytes, at = row
    return KeptFile(path=path, digest=digest, size_bytes=size_bytes, at=from_micros(at))


def get_file(connection: sa.Connection, shelf: Shelf, path: str) -> KeptFile:
    """Get the file at a path.

    Raises
    ------
    ArtifactIsFolder
        If the path is a folder.
    ArtifactNotFound
        If there is nothing.
    """
    found = find_file(connection, shelf, path)
    if found is None:
        raise (ArtifactIsFolder if is_folder(connection, shelf, path) else ArtifactNotFound)(path)
    return found


def is_folder(connection: sa.Connection, shelf: Shelf, path: str) -> bool:
    """Tell whether any file lies below a path."""
    inside = {"key": shelf.key, "begin": f"{path}/", "end": path + _AFTER_SLASH}
    return _questions(shelf.table).inside.first(connection, inside) is not None


def files_below(
    connection: sa.Connection, shelf: Shelf, folder: str, *, after: str = "", limit: int = ROWS_AT_ONCE
) -> list[KeptFile]:
    """List files at any depth below a folder (empty text: all), in the order of paths, after the path `after`."""
    return _files(connection, shelf, _Range.inside(folder).after(after), limit=limit)


def list_folder(
    connection: sa.Connection, shelf: Shelf, folder: str, *, after: str = "", limit: int
) -> tuple[list[FolderItem], str | None]:
    """List what lies right inside a folder (empty text: the root), and where to go on, or None at the end.

    A folder's place in the order is that of its path with a `/` behind it. What lies deeper is passed over without
    being read, but for the rest of one batch of rows.
    """
    prefix = f"{folder}/" if folder else ""
    left = _Range.inside(folder).after(after)
    found: dict[str, FolderItem] = {}
    while len(found) <= limit:
        rows = _files(connection, shelf, left, limit=ROWS_AT_ONCE)
        for file in rows:
            key, item = _item_of(file, prefix)
            found.setdefault(key, item)
        if len(rows) < ROWS_AT_ONCE:
            break
        left = left.after(_item_of(rows[-1], prefix)[0])
    keys = list(found)[:limit]
    return [found[key] for key in keys], keys[-1] if len(found) > limit else None


def keep_file(
    connection: sa.Connection, clock: Clock, shelf: Shelf, path: str, stored: ObjectInfo
) -> KeptFile:
    """Put a file whose bytes were just stored on a shelf, in place of the one that is there.

    Raises
    ------
    ArtifactInTheWay
        If the path is a folder, or lies below a file.
    """
    _lock(connection, shelf)
    _check_place(connection, shelf, path)
    old = find_file(connection, shelf, path)
    project, digest, size = shelf.project, stored.digest, stored.size_bytes
    record_upload(connection, clock, project=project, digest=digest, size_bytes=size)
    add_reference(connection, clock, project=project, digest=digest, owner=shelf.owner)
    kept = KeptFile(path=path, digest=digest, size_bytes=size, at=clock.now())
    row = {shelf.column: shelf.key, "path": path, "digest": digest, "size_bytes": size, "at": kept.at}
    connection.execute(_put(shelf.table, connection.dialect.name), row)
    if old is not None and old.digest != digest:
        _release(connection, shelf, [old.digest])
    return kept


def remove_below(connection: sa.Connection, shelf: Shelf, path: str) -> int:
    """Remove the file at a path, or all files below it (empty text: all); gives how many went."""
    _lock(connection, shelf)
    file = find_file(connection, shelf, path)
    column = shelf.table.c[shelf.column] == shelf.key
    where = _Range.inside(path).condition(shelf.table) if file is None else shelf.table.c.path == path
    gone = sa.delete(shelf.table).where(column, where).returning(shelf.table.c.digest)
    digests = list(connection.execute(gone).scalars())
    _release(connection, shelf, digests)
    return len(digests)


def _lock(connection: sa.Connection, shelf: Shelf) -> None:
    """Let nobody else write to the shelf until the transaction ends, or a file and a folder could get one path."""
    if connection.dialect.name == "postgresql":
        connection.execute(_ADVISORY_LOCK, {"owner": f"{shelf.project}/{shelf.owner}"})


def _check_place(connection: sa.Connection, shelf: Shelf, path: str) -> None:
    if is_folder(connection, shelf, path):
        raise ArtifactInTheWay(path, path)
    above = folders_of(path)
    if above:
        other = _questions(shelf.table).any_of.first(connection, {"key": shelf.key, "paths": as_list(above)})
        if other is not None:
            raise ArtifactInTheWay(path, other[0])


def _release(connection: sa.Connection, shelf: Shelf, digests: Sequence[str]) -> None:
    """Let go of objects that no path on the shelf has any more."""
    references = object_references
    for begin in range(0, len(digests), _IN_CHUNK):
        still = (
            sa.select(shelf.table.c.path)
            .where(shelf.table.c[shelf.column] == shelf.key)
            .where(shelf.table.c.digest == references.c.digest)
        )
        connection.execute(
            sa.delete(references)
            .where(references.c.project == shelf.project, references.c.owner == shelf.owner)
            .where(references.c.digest.in_(digests[begin : begin + _IN_CHUNK]))
            .where(~still.exists())
        )


@dataclass(frozen=True, slots=True)
class _Range:
    """Paths from `begin` (`is_open`: without it) up to and without `end`, or all that follow."""

    begin: str
    end: str | None
    is_open: bool = False

    @classmethod
    def inside(cls, folder: str) -> _Range:
        """Give the paths below a folder, or all paths for empty text."""
        return cls(f"{folder}/", folder + _AFTER_SLASH) if folder else cls("", None)

    def after(self, key: str) -> _Range:
        """Give what follows a file, or, if the key ends in `/`, what follows all that is in a folder."""
        if key <= self.begin:
            return self
        if key.endswith("/"):
            return _Range(key[:-1] + _AFTER_SLASH, self.end)
        return _Range(key, self.end, is_open=True)

    def condition(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Say it to the database."""
        path = table.c.path
        lower = path > self.begin if self.is_open else path >= self.begin
        return lower if self.end is None else sa.and_(lower, path < self.end)


def _files(connection: sa.Connection, shelf: Shelf, paths: _Range, *, limit: int) -> list[KeptFile]:
    table = shelf.table
    query = (
        sa.select(table.c.path, table.c.digest, table.c.size_bytes, table.c.at)
        .where(table.c[shelf.column] == shelf.key, paths.condition(table))
        .order_by(table.c.path)
        .limit(limit)
    )
    return [_file(*row) for row in connection.execute(query)]


def _file(path: str, digest: str, size_bytes: int, at: datetime) -> KeptFile:
    return KeptFile(path=path, digest=digest, size_bytes=size_bytes, at=at)


def _item_of(file: KeptFile, prefix: str) -> tuple[str, FolderItem]:
    """Give what a file looks like from a folder above it, with its place in the order."""
    name, slash, _ = file.path[len(prefix) :].partition("/")
    path = prefix + name
    if slash:
        return path + slash, FolderItem(path=path, is_folder=True)
    return path, FolderItem(path=path, is_folder=False, size_bytes=file.size_bytes)


class _Questions(NamedTuple):
    """What is asked of a table for each file."""

    find: Prepared
    inside: Prepared
    any_of: Prepared


@functools.cache
def _questions(table: sa.Table) -> _Questions:
    owner, path = next(iter(table.primary_key.columns)), table.c.path
    mine = owner == sa.bindparam("key")
    within = sa.and_(path >= sa.bindparam("begin"), path < sa.bindparam("end"))
    return _Questions(
        find=Prepared(
            sa.select(table.c.digest, table.c.size_bytes, table.c.at).where(
                mine, path == sa.bindparam("path")
            )
        ),
        inside=Prepared(sa.select(path).where(mine, within).limit(1)),
        any_of=Prepared(
            lambda dialect: (
                sa.select(path).where(mine, path.in_(listed(dialect, "paths", sa.Text()))).limit(1)
            )
        ),
    )


@functools.cache
def _put(table: sa.Table, dialect: str) -> sa.Insert:
    insert = upsertable(dialect, table)
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: insert.excluded[name] for name in ("digest", "size_bytes", "at")},
    )


_ADVISORY_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended(:owner, 0))")
