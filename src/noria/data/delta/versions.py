"""Versions of a table: how one is opened, and how a change becomes the next.

A version of a table is a tree of objects like any other: data files, and the log of a Delta table that names them. A
change writes new data files, puts a commit to a copy of the log, stores what is new of both, and adds a version that
follows the one it was made of. The version's row is what makes all of it public, at once. A change that finds that
another one was faster is made again of the newer version, so no change is lost and each has a version of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
from deltalake.exceptions import DeltaError

from noria.core.author import local_author
from noria.core.clock import Clock
from noria.core.errors import Conflict, NotFound, TooLarge
from noria.core.objects.project import ProjectStore
from noria.core.objects.trees import Entry, make_manifest, put_manifest, read_manifest
from noria.data.content import TABLE_FILE
from noria.data.delta.errors import NotATable, TableDamaged
from noria.data.delta.layout import is_part, order_of, part_path
from noria.data.delta.log import LOG_FOLDER, AddedPart, Commit, DeltaLog, Part
from noria.data.delta.parquet import FILE_BYTES, write_parts
from noria.data.delta.reading import scan_parts
from noria.data.delta.types import stored_schema
from noria.data.entities import DatasetKind, DatasetMoved, DatasetVersion, NewDatasetVersion
from noria.data.service import Datasets

_ATTEMPTS = 1000  # each one lost is a version of somebody else's, so this many are never lost in a row
_FILE_LIMIT_BYTES = 8 << 30
_LOG_LIMIT_BYTES = 1 << 30
_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A data file in the object store.

    Attributes
    ----------
    order
        Its place among the files of the table; None puts it behind all others.
    """

    entry: Entry
    n_rows: int
    statistics: str
    order: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A version of a table, opened.

    Attributes
    ----------
    version
        None while the dataset has none.
    entries
        All files by path, those of the log too.
    parts
        Data files in the order of their rows.
    schema
        Columns; None while there is no table.
    """

    version: DatasetVersion | None = None
    entries: Mapping[str, Entry]
    parts: tuple[Part, ...] = ()
    schema: pl.Schema | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a change does to a version; see `log.Commit`."""

    operation: str
    schema: pl.Schema
    message: str
    added: Sequence[StoredPart] = ()
    removed: Sequence[Part] = ()
    replaces: bool = False
    changes_rows: bool = True


Planner = Callable[[Snapshot, Path], Plan | None]
"""Plans a change of a version with the help of a scratch folder; None when there is nothing to change."""


class TableVersions:
    """Opens and adds versions of one table.

    Parameters
    ----------
    store
        Objects of the project.
    service
        Versions of datasets.
    name
        Of the dataset; it need not exist before the first rows.
    """

    def __init__(self, store: ProjectStore, service: Datasets, name: str, clock: Clock) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._log_files: dict[str, bytes] = {}
        self.name = name

    def open(self, version: DatasetVersion) -> Snapshot:
        """Open a version to read it.

        Raises
        ------
        NotATable
            If it is of another kind.
        """
        with scratch_folder() as folder:
            snapshot, _ = self._open(version, folder)
        if snapshot.schema is None:
            raise not_a_table(version)
        return snapshot

    def change(self, plan: Planner, *, once: str | None = None) -> DatasetVersion:
        """Make the next version by a plan, which is asked again when another version came between.

        Parameters
        ----------
        once
            A word for the change; when one was made with it already, there is nothing to change.

        Returns
        -------
        DatasetVersion
            The new version; the newest one when there was nothing to change.
        """
        for _ in range(_ATTEMPTS):
            with scratch_folder() as folder:
                snapshot, log = self._open(self._newest(), folder)
                try:
                    if _is_one_file(snapshot):
                        self._begin_from_file(snapshot, folder)
                        continue
                    is_done = once is not None and log is not None and log.knows(once)
                    planned = None if is_done else plan(snapshot, folder)
                    if planned is not None:
                        return self._publish(snapshot, log, planned, folder, once)
                except DatasetMoved:
                    continue
                if snapshot.version is not None:
                    return snapshot.version
                raise NotFound(f"There is no table `{self.name}`", hint="See `noria data list`")
        raise Conflict(f"Others changed `{self.name}` again and again meanwhile", hint="Try again")

    def scan(self, snapshot: Snapshot, parts: Sequence[Part]) -> pl.LazyFrame:
        """Give the rows of some data files."""
        schema = snapshot.schema or pl.Schema()
        return scan_parts(self._store, snapshot.entries, [part.path for part in parts], schema)

    def frames(self, snapshot: Snapshot, parts: Sequence[Part]) -> Iterator[pl.DataFrame]:
        """Give the rows of data files, one file after the other."""
        for part in parts:
            yield self.scan(snapshot, [part]).collect()

    def stored_frames(self, parts: Sequence[StoredPart], schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Give the rows of data files that belong to no version yet, one file after the other."""
        for part in parts:
            yield scan_parts(self._store, {"part": part.entry}, ["part"], schema).collect()

    def put(
        self, frames: Iterable[pl.DataFrame], schema: pl.Schema, folder: Path, *, file_bytes: int = FILE_BYTES
    ) -> list[StoredPart]:
        """Store rows in data files."""
        with tempfile.TemporaryDirectory(dir=folder) as place:
            return [
                self._put_file(part.path, n_rows=part.n_rows, statistics=part.statistics)
                for part in write_parts(frames, schema, Path(place), file_bytes=file_bytes)
            ]

    def put_at(
        self, frames: Iterable[pl.DataFrame], schema: pl.Schema, folder: Path, *, instead_of: Part
    ) -> StoredPart:
        """Store rows, at least one, in one data file that takes the place of another."""
        (part,) = self.put(frames, schema, folder, file_bytes=_NO_LIMIT)
        return StoredPart(
            entry=part.entry,
            n_rows=part.n_rows,
            statistics=part.statistics,
            order=order_of(instead_of.path),
        )

    def _newest(self) -> DatasetVersion | None:
        try:
            return self._service.resolve(self._store.project, self.name)
        except NotFound:
            return None

    def _open(self, version: DatasetVersion | None, folder: Path) -> tuple[Snapshot, DeltaLog | None]:
        if version is None:
            return Snapshot(entries={}), None
        entries = {entry.path: entry for entry in read_manifest(self._store, version.digest).entries}
        named = [entry for entry in entries.values() if entry.path.startswith(LOG_FOLDER)]
        if version.kind is not DatasetKind.TABLE or not named:
            return Snapshot(version=version, entries=entries), None
        (folder / LOG_FOLDER).mkdir()
        self._log_files = self._read(named)
        for entry in named:
            (folder / entry.path).write_bytes(self._log_files[entry.digest])
        log, parts = _opened(folder, version.ref)
        strange = next(
            (part.path for part in parts if part.path not in entries or not is_part(part.path)), None
        )
        if strange is not None:
            raise TableDamaged(
                version.ref, f"its log names `{strange}`, which is no data file of this version"
            )
        return Snapshot(version=version, entries=entries, parts=parts, schema=log.schema()), log

    def _read(self, named: Sequence[Entry]) -> dict[str, bytes]:
        """Give the log's files by digest; those of the version that was opened before are not read again."""
        size_bytes = sum(entry.size_bytes for entry in named)
        if size_bytes > _LOG_LIMIT_BYTES:
            raise TooLarge(f"The log of `{self.name}` has {size_bytes} bytes, more than {_LOG_LIMIT_BYTES}")
        known = {e.digest: self._log_files[e.digest] for e in named if e.digest in self._log_files}
        wanted = list({entry.digest for entry in named if entry.digest not in known})
        return known | {wanted[n]: b"".join(chunks) for n, chunks in self._store.open_many(wanted)}

    def _publish(
        self, snapshot: Snapshot, log: DeltaLog | None, plan: Plan, folder: Path, once: str | None = None
    ) -> DatasetVersion:
        log = log or DeltaLog.create(folder, plan.schema)
        placed = _placed(snapshot, plan.added)
        commit = Commit(
            operation=plan.operation,
            schema=plan.schema,
            added=[_added(path, part) for path, part in placed.items()],
            removed=plan.removed,
            replaces=plan.replaces,
            changes_rows=plan.changes_rows,
            once=once,
        )
        log.commit(commit, at_ms=int(self._clock.now().timestamp() * 1000))
        entries = [
            *(snapshot.entries[path] for path in _kept(snapshot, plan)),
            *(msgspec.structs.replace(part.entry, path=path) for path, part in placed.items()),
            *(self._put_log_file(path, place, snapshot) for path, place in log.files().items()),
        ]
        tree = put_manifest(self._store, make_manifest(entries))
        new = NewDatasetVersion(
            digest=tree.digest,
            kind=DatasetKind.TABLE,
            message=plan.message,
            n_files=tree.n_files,
            size_bytes=tree.size_bytes,
            n_rows=sum(part.n_rows for part in log.parts()),
            author=local_author(),
            follows=snapshot.version.version if snapshot.version else 0,
        )
        return self._service.add(self._store.project, self.name, new)

    def _put_file(self, path: Path, *, n_rows: int, statistics: str) -> StoredPart:
        info = self._store.put_file(path)
        entry = Entry(path=path.name, digest=info.digest, size_bytes=info.size_bytes)
        return StoredPart(entry=entry, n_rows=n_rows, statistics=statistics)

    def _put_log_file(self, path: str, place: Path, snapshot: Snapshot) -> Entry:
        data = place.read_bytes()
        there = snapshot.entries.get(path)
        if there is not None and self._log_files.get(there.digest) == data:
            return there
        stored = self._store.put_bytes(data)
        return Entry(path=path, digest=stored.digest, size_bytes=stored.size_bytes)

    def _begin_from_file(self, snapshot: Snapshot, folder: Path) -> None:
        assert snapshot.version is not None  # noqa: S101 - it has a file
        digest = snapshot.entries[TABLE_FILE].digest
        frame = pl.read_parquet(self._store.get(digest, limit_bytes=_FILE_LIMIT_BYTES))
        schema = stored_schema(frame.schema)
        plan = Plan(
            operation="overwrite",
            schema=schema,
            message=f"{snapshot.version.ref} as a Delta table",
            added=self.put([frame], schema, folder),
        )
        self._publish(snapshot, None, plan, folder)


def not_a_table(version: DatasetVersion) -> NotATable:
    """Give what is said when a version of another kind is used as a table."""
    return NotATable(
        f"`{version.ref}` holds {version.kind}, not a table",
        hint=f"Make it one with `noria data overwrite {version.name} FILE`, or use another name",
        details={"ref": version.ref, "kind": version.kind},
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for what is on its way into the store; what a killed process leaves there means nothing."""
    with tempfile.TemporaryDirectory(prefix="noria-table-") as folder:
        yield Path(folder)


def _opened(folder: Path, ref: str) -> tuple[DeltaLog, tuple[Part, ...]]:
    try:
        log = DeltaLog(folder)
        return log, log.parts()
    except (DeltaError, TypeError) as error:
        raise TableDamaged(ref, str(error).splitlines()[0]) from error


def _is_one_file(snapshot: Snapshot) -> bool:
    """Tell whether it is a frame that `add` stored as one Parquet file."""
    version = snapshot.version
    return (
        version is not None
        and version.kind is DatasetKind.TABLE
        and snapshot.schema is None
        and TABLE_FILE in snapshot.entries
    )


def _kept(snapshot: Snapshot, plan: Plan) -> list[str]:
    gone = {part.path for part in (snapshot.parts if plan.replaces else plan.removed)}
    return [part.path for part in snapshot.parts if part.path not in gone]


def _placed(snapshot: Snapshot, parts: Sequence[StoredPart]) -> dict[str, StoredPart]:
    following = max((order_of(part.path) for part in snapshot.parts), default=-1) + 1
    placed: dict[str, StoredPart] = {}
    for part in parts:
        order = part.order
        if order is None:
            order, following = following, following + 1
        placed[part_path(order, part.entry.digest)] = part
    return placed


def _added(path: str, part: StoredPart) -> AddedPart:
    return AddedPart(
        path=path, size_bytes=part.entry.size_bytes, n_rows=part.n_rows, statistics=part.statistics
    )
