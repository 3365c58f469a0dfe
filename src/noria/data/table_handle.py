"""What can be done with a dataset that is a table; `client.DatasetHandle` has all of it.

Rows are kept as a Delta table whose files are objects, so that a version is a tree like any other. Everything that
needs a package for tables is imported when it is called.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from noria.core import lineage
from noria.core.errors import Invalid
from noria.core.objects.trees import Entry, read_manifest
from noria.core.workspace import Workspace
from noria.data.content import TABLE_FILE
from noria.data.delta.errors import NotATable, extra_missing
from noria.data.entities import DatasetKind, DatasetVersion
from noria.data.quality.gate import refuse_failed
from noria.data.service import Datasets

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from noria.data.delta.stream import TableStream
    from noria.data.delta.table import Table
    from noria.data.delta.versions import TableVersions

_LOG = "_delta_log/"
_LIMIT_BYTES = 8 << 30
_MAX_ONCE_LENGTH = 200


class TableHandle:
    """The part of a dataset's handle that reads and changes tables.

    Parameters
    ----------
    selector
        A version, a tag or a time; None follows the newest version.
    """

    def __init__(self, workspace: Workspace, name: str, selector: str | None) -> None:
        self._workspace = workspace
        self._service = workspace.service(Datasets)
        self.name = name
        self._selector = selector
        self._resolved: DatasetVersion | None = None

    @property
    def current(self) -> DatasetVersion:
        """The version that this handle reads: the pinned one, else the newest when first asked."""
        if self._resolved is None:
            ref = self.name if self._selector is None else f"{self.name}@{self._selector}"
            self._resolved = self._service.resolve(self._workspace.project, ref)
        if self._selector is None:
            lineage.record_followed(f"dataset:{self.name}", f"dataset:{self._resolved.ref}")
        return self._resolved

    def append(
        self, source: Any, *, evolve: bool = False, message: str = "", once: str | None = None
    ) -> DatasetVersion:
        """Put rows at the end of the table, as its next version; the first rows make the table.

        Parameters
        ----------
        source
            A Polars or pandas frame, Arrow data, a mapping of names to columns, a list of dicts, a `SqlQuery`, or the
            path of a CSV, TSV, JSON, NDJSON, Parquet or Arrow file or of a folder with a Delta table.
        evolve
            Let the table grow: columns that are new are added, columns that the rows do not have are empty for them,
            and a type becomes wider where each value keeps its meaning.
        message
            What changed, for the log.
        once
            A word for these rows, such as the day that they are of: an append that says it again changes nothing, also
            after a failure that left open whether the first one was done.

        Returns
        -------
        DatasetVersion
            The new version; the newest one when there was nothing to change.

        Raises
        ------
        TableSchemaMismatch
            If the rows do not fit; the message names columns with what was expected and found.
        """
        _check_once(once)
        return self._changed(self._table().append(source, evolve=evolve, message=message, once=once))

    def overwrite(
        self, source: Any, *, evolve: bool = False, message: str = "", once: str | None = None
    ) -> DatasetVersion:
        """Put rows in the place of all that there are; with `evolve`, rows of any columns. Otherwise as `append`."""
        _check_once(once)
        return self._changed(self._table().overwrite(source, evolve=evolve, message=message, once=once))

    def merge(
        self,
        source: Any,
        *,
        on: str | Sequence[str],
        update: bool = True,
        insert: bool = True,
        evolve: bool = False,
        message: str = "",
    ) -> DatasetVersion:
        """Update the rows that have the keys of the given rows, and put in those that are new.

        Parameters
        ----------
        on
            Columns that name a row; each row of `source` has keys of its own.
        update, insert
            Whether rows that are there change, and whether rows that are not are put in.

        Raises
        ------
        MergeKeysInvalid
            If a key is missing, or stands in several of the given rows.
        TableSchemaMismatch
            As `append`.
        """
        keys = [on] if isinstance(on, str) else list(on)
        return self._changed(
            self._table().merge(source, on=keys, update=update, insert=insert, evolve=evolve, message=message)
        )

    def delete(self, where: str | pl.Expr, *, message: str = "") -> DatasetVersion:
        """Take out the rows of which a condition is true: SQL such as `"temp > 30"`, or a Polars expression.

        Older versions keep them, until they are removed with `noria data rm`.
        """
        return self._changed(self._table().delete(where, message=message))

    def compact(self, *, message: str = "") -> DatasetVersion:
        """Gather small files into larger ones. Rows and their order stay as they are."""
        return self._changed(self._table().compact(message=message))

    def stream(
        self, *, every_rows: int = 10_000, every_s: float = 5.0, evolve: bool = False, message: str = ""
    ) -> TableStream:
        """Append rows as they come, in versions of `every_rows` rows or `every_s` seconds; use it with `with`."""
        from noria.data.delta.stream import TableStream

        return TableStream(
            self._table(),
            self._workspace.clock,
            every_rows=every_rows,
            every_s=every_s,
            evolve=evolve,
            message=message,
        )

    def scan(
        self, *, columns: Sequence[str] | None = None, rows: str | pl.Expr | slice | None = None
    ) -> pl.LazyFrame:
        """Give the rows, read when they are collected, and only what is needed of them.

        Parameters
        ----------
        columns
            Names; None takes all.
        rows
            A condition as SQL (`"temp > 30"`) or as a Polars expression, or a slice of row numbers; None takes all.

        Raises
        ------
        NotATable
            If the version holds arrays, or files that are not one table.
        """
        version = self._opened()
        entries = read_manifest(self._workspace.objects(), version.digest).entries
        if version.kind is DatasetKind.TABLE and any(entry.path.startswith(_LOG) for entry in entries):
            versions = self._versions()
            opened = versions.open(version)
            found = versions.scan(opened, opened.parts)
        else:
            found = self._single_file(version, entries)
        return found if columns is None and rows is None else _selected(found, columns, rows, version)

    def frames(self) -> Iterator[pl.DataFrame]:
        """Give all rows, a data file at a time, so that a large table need not fit into memory.

        Raises
        ------
        NotATable
            As `scan`.
        """
        version = self._opened()
        entries = read_manifest(self._workspace.objects(), version.digest).entries
        if version.kind is not DatasetKind.TABLE or not any(e.path.startswith(_LOG) for e in entries):
            yield self._single_file(version, entries).collect()
            return
        versions = self._versions()
        opened = versions.open(version)
        if not opened.parts:
            yield versions.scan(opened, ()).collect()
        yield from versions.frames(opened, opened.parts)

    def polars(
        self, *, columns: Sequence[str] | None = None, rows: str | pl.Expr | slice | None = None
    ) -> pl.DataFrame:
        """Read the rows as a Polars frame; `columns` and `rows` as for `scan`."""
        import polars as pl

        try:
            return self.scan(columns=columns, rows=rows).collect()
        except pl.exceptions.PolarsError as error:
            raise Invalid(f"`{self.ref}` cannot be read so: {str(error).splitlines()[0]}") from error

    def arrow(
        self, *, columns: Sequence[str] | None = None, rows: str | pl.Expr | slice | None = None
    ) -> pa.Table:
        """Read the rows as an Arrow table; `columns` and `rows` as for `scan`."""
        return self.polars(columns=columns, rows=rows).to_arrow()

    def pandas(
        self, *, columns: Sequence[str] | None = None, rows: str | pl.Expr | slice | None = None
    ) -> pd.DataFrame:
        """Read the rows as a pandas frame; `columns` and `rows` as for `scan`."""
        return self.polars(columns=columns, rows=rows).to_pandas()

    def schema(self) -> dict[str, str]:
        """Give the columns of the table with their types, as Polars writes them."""
        return {name: str(kind) for name, kind in self.scan().collect_schema().items()}

    @property
    def ref(self) -> str:
        """`name@version` of the version that this handle reads."""
        return self.current.ref

    def _opened(self) -> DatasetVersion:
        version = self.current
        refuse_failed(self._workspace, version)
        lineage.record_input(f"dataset:{version.ref}", version.digest)
        return version

    def _changed(self, version: DatasetVersion) -> DatasetVersion:
        self._resolved = version
        lineage.record_output(f"dataset:{version.ref}", version.digest)
        return version

    def _versions(self) -> TableVersions:
        try:
            from noria.data.delta.versions import TableVersions
        except ImportError as error:
            raise extra_missing(error) from error
        return TableVersions(self._workspace.objects(), self._service, self.name, self._workspace.clock)

    def _table(self) -> Table:
        if self._selector is not None:
            raise Invalid(
                f"`{self.name}@{self._selector}` is a version, and versions never change",
                hint=f"Change `{self.name}`, which adds a version",
            )
        versions = self._versions()
        from noria.data.delta.table import Table

        return Table(versions)

    def _single_file(self, version: DatasetVersion, entries: Sequence[Entry]) -> pl.LazyFrame:
        import polars as pl

        entry = entries[0] if len(entries) == 1 and version.kind is not DatasetKind.ARRAYS else None
        if entry is not None and (entry.path == TABLE_FILE or entry.path.endswith(".parquet")):
            return pl.read_parquet(self._bytes(entry)).lazy()
        if entry is not None and entry.path.endswith(".csv"):
            return pl.read_csv(self._bytes(entry), infer_schema_length=None).lazy()
        raise NotATable(
            f"`{version.ref}` is not one table", hint="Read it with `.arrays()`, or `.checkout()` its files"
        )

    def _bytes(self, entry: Entry) -> io.BytesIO:
        return io.BytesIO(self._workspace.objects().get(entry.digest, limit_bytes=_LIMIT_BYTES))


def _check_once(once: str | None) -> None:
    if once is not None and not 0 < len(once) <= _MAX_ONCE_LENGTH:
        raise Invalid(f"The word in `once` has {len(once)} characters", hint="Give 1 to 200")


def _selected(
    found: pl.LazyFrame,
    columns: Sequence[str] | None,
    rows: str | pl.Expr | slice | None,
    version: DatasetVersion,
) -> pl.LazyFrame:
    from noria.data.delta.merging import chosen_columns, chosen_rows

    schema = found.collect_schema()
    return chosen_columns(chosen_rows(found, rows, schema), columns, schema, ref=version.ref)
