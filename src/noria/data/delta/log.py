"""The log of a Delta table in a scratch folder, without the data files that it names.

The one module that speaks to `deltalake`. A log is taken out of a version's files, gets a commit, and its files go
into the next version. So a Delta commit is public when Noria's version is, in one transaction, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, TableFeatures
from deltalake.schema import Schema
from deltalake.transaction import AddAction, RemoveAction, Transaction

from noria.data.delta.parquet import arrow_schema

LOG_FOLDER = "_delta_log/"
_COMMITS_A_CHECKPOINT = 10
_BY_ITSELF = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_ZONELESS = "timestampNtz"
_APPLICATION = "noria:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A data file of a table."""

    path: str
    size_bytes: int
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedPart(Part):
    """A data file that enters a table; see `parquet.WrittenPart`."""

    statistics: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A change of a table.

    Attributes
    ----------
    operation
        `append`, `overwrite`, `merge`, `delete` or `compact`, for the history.
    schema
        Columns afterwards.
    replaces
        Whether all data files that there are leave, named in `removed` or not.
    changes_rows
        False when the same rows are laid out in other files.
    once
        Word of the caller for this change, which the log remembers (as a transaction of an application, in Delta's
        words).
    """

    operation: str
    schema: pl.Schema
    added: Sequence[AddedPart] = ()
    removed: Sequence[Part] = ()
    replaces: bool = False
    changes_rows: bool = True
    once: str | None = None


class DeltaLog:
    """A log, opened at its newest version.

    Parameters
    ----------
    folder
        The scratch folder; the log lies in `_delta_log` below it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._table = DeltaTable(folder)

    @classmethod
    def create(cls, folder: Path, schema: pl.Schema) -> DeltaLog:
        """Begin the log of a table without rows."""
        DeltaTable.create(folder, arrow_schema(schema), post_commithook_properties=_BY_ITSELF)
        return cls(folder)

    @property
    def version(self) -> int:
        """Delta's own number of the version."""
        return self._table.version()

    def schema(self) -> pl.Schema:
        """Give the columns."""
        empty = pa.schema(self._table.schema().to_arrow()).empty_table()
        return pl.DataFrame(empty).schema

    def parts(self) -> tuple[Part, ...]:
        """Give the data files in the order of their rows."""
        found = pa.table(self._table.get_add_actions()).select(["path", "size_bytes", "num_records"])
        parts = (
            Part(path=row["path"], size_bytes=row["size_bytes"], n_rows=row["num_records"])
            for row in found.to_pylist()
        )
        return tuple(sorted(parts, key=lambda part: part.path))

    def knows(self, once: str) -> bool:
        """Tell whether a change was made with this word."""
        return self._table.transaction_version(_APPLICATION + once) is not None

    def commit(self, commit: Commit, *, at_ms: int) -> None:
        """Add a commit, and a checkpoint now and then, which makes the commits before it superfluous.

        Parameters
        ----------
        at_ms
            Time of the change, in milliseconds since 1970.
        """
        self._prepare(commit)
        adds: list[AddAction | RemoveAction] = [
            AddAction(part.path, part.size_bytes, {}, at_ms, commit.changes_rows, part.statistics)
            for part in commit.added
        ]
        removes = [
            RemoveAction(part.path, commit.changes_rows, at_ms, part.size_bytes, {})
            for part in commit.removed
            if not commit.replaces
        ]
        done = [] if commit.once is None else [Transaction(_APPLICATION + commit.once, 1, at_ms)]
        self._table.create_write_transaction(
            [*removes, *adds],
            "overwrite" if commit.replaces else "append",
            Schema.from_arrow(arrow_schema(commit.schema)),
            commit_properties=CommitProperties(
                custom_metadata={"noriaOperation": commit.operation}, app_transactions=done
            ),
            post_commithook_properties=_BY_ITSELF,
        )
        self._table = DeltaTable(self._folder)
        if len(list((self._folder / LOG_FOLDER).glob("*.json"))) > _COMMITS_A_CHECKPOINT:
            self._table.create_checkpoint()

    def files(self) -> Mapping[str, Path]:
        """Give the files of the log that a reader of this version needs, by their path in the table."""
        folder = self._folder / LOG_FOLDER
        hint = folder / "_last_checkpoint"
        needed = [hint] if hint.exists() else []
        first = json.loads(hint.read_bytes())["version"] if needed else 0
        for path in sorted(folder.iterdir()):
            number = path.name.partition(".")[0]
            if number.isdecimal() and int(number) >= first and path.suffix in {".json", ".parquet"}:
                needed.append(path)
        return {LOG_FOLDER + path.name: path for path in needed}

    def _prepare(self, commit: Commit) -> None:
        wanted = Schema.from_arrow(arrow_schema(commit.schema))
        features = self._table.protocol().writer_features or []
        if _ZONELESS not in features and _has_zoneless(commit.schema):
            self._table.alter.add_feature(
                TableFeatures.TimestampWithoutTimezone,
                allow_protocol_versions_increase=True,
                post_commithook_properties=_BY_ITSELF,
            )
            self._table = DeltaTable(self._folder)
        if commit.replaces:
            return
        there = {column.name for column in self._table.schema().fields}
        new = [column for column in wanted.fields if column.name not in there]
        if new:
            self._table.alter.add_columns(new, post_commithook_properties=_BY_ITSELF)
            self._table = DeltaTable(self._folder)


def _has_zoneless(schema: pl.Schema) -> bool:
    return any(
        "timestamp_ntz" in str(column.type) for column in Schema.from_arrow(arrow_schema(schema)).fields
    )
