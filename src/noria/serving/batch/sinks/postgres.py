"""Predictions in a table of PostgreSQL: the rows of a run and the word that they are there come in one transaction."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import polars as pl

from noria.core.errors import ConfigInvalid, Invalid, Unavailable
from noria.serving.batch.slot_entities import Slot

LEDGER = "noria_batch_runs"
"""Table beside the predictions: a row for each run that was written."""

_TYPES: tuple[tuple[Any, str], ...] = (
    (pl.Boolean, "boolean"),
    (pl.Float32, "real"),
    (pl.Float64, "double precision"),
    (pl.String, "text"),
    (pl.Date, "date"),
    (pl.Time, "time"),
    (pl.Duration, "interval"),
    (pl.UInt64, "numeric(20)"),
)
_MAX_NAME_BYTES = 63
_NO_SUCH = "3F000"
_NOT_A_VIEW = "42809"
_OTHER_COLUMNS = "42P16"


class PostgresSink:
    """A table.

    Parameters
    ----------
    output
        `postgresql://user@host/database#schema.table`; the schema may be left out. A password is better kept in
        `~/.pgpass` or `PGPASSWORD`, from where it is taken when none is given.
    """

    def __init__(self, output: str) -> None:
        parts = urlsplit(output)
        schema, _, table = parts.fragment.rpartition(".")
        self._schema, self._table = schema or "public", table
        for name in (self._schema, table):
            if not name or len(f"{name}_green".encode()) > _MAX_NAME_BYTES or "\0" in name:
                raise Invalid(
                    f"`{_without_password(output)}` names no table",
                    hint="Write `postgresql://user@host/database#schema.table`",
                )
        self._url = urlunsplit(("postgresql", *parts[1:4], ""))
        self.name = _without_password(output)

    def write(self, run_id: str, chunks: Sequence[Path], *, append: bool) -> str:
        """Write all rows and the run's name in one transaction.

        Raises
        ------
        Unavailable
            If the database does not answer, or ended the connection.
        Invalid
            If it refuses the rows.
        """
        with self._connected() as connection, connection.transaction():
            if self._is_new(connection, run_id):
                schema = dict(pl.scan_parquet(chunks[0], glob=False).collect_schema())
                self._make(connection, schema)
                if not append:
                    connection.execute(self._sql("delete from {}", self._here()))
                n_rows = sum(self._copy(connection, path, list(schema)) for path in chunks)
                connection.execute(
                    self._sql("update {} set n_rows = %s where run_id = %s", self._at(LEDGER)),
                    (n_rows, run_id),
                )
        return self.name

    def read(self, columns: list[str]) -> pl.DataFrame:
        """Read some columns of the table.

        Raises
        ------
        Unavailable
            As `write`.
        """
        from psycopg import sql

        named = sql.SQL(", ").join(map(sql.Identifier, columns))
        with self._connected() as connection:
            cursor = connection.execute(self._sql("select {} from {}", named, self._here()))
            return pl.DataFrame(cursor.fetchall(), schema=columns, orient="row", infer_schema_length=None)

    def point(self, slot: Slot) -> None:
        """Make the table's name a view of the slot's table.

        Raises
        ------
        Invalid
            If a table has the name.
        Unavailable
            As `write`.
        """
        import psycopg

        stable, target = self._here(), self._at(f"{self._table}_{slot}")
        view = self._sql("view {} as select * from {}", stable, target)
        with self._connected() as connection:
            try:
                connection.execute(self._sql("create or replace {}", view))
            except psycopg.errors.InvalidTableDefinition:  # other columns than before
                connection.rollback()
                with connection.transaction():
                    connection.execute(self._sql("drop view {}", stable))
                    connection.execute(self._sql("create {}", view))

    def _is_new(self, connection: Any, run_id: str) -> bool:
        """Put the run on the ledger; False when it stands there. Another writer of it is waited for."""
        # Two that make the same table at once would fail on the system's own tables.
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"{self._schema}.{LEDGER}",))
        connection.execute(
            self._sql(
                "create table if not exists {} (run_id text primary key, written_to text not null,"
                " n_rows bigint, at timestamptz not null default now())",
                self._at(LEDGER),
            )
        )
        inserted = connection.execute(
            self._sql(
                "insert into {} (run_id, written_to) values (%s, %s) on conflict do nothing", self._at(LEDGER)
            ),
            (run_id, self._table),
        )
        return bool(inserted.rowcount)

    def _make(self, connection: Any, schema: dict[str, pl.DataType]) -> None:
        from psycopg import sql

        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_type_of(name, kind)))
            for name, kind in schema.items()
        )
        connection.execute(self._sql("create table if not exists {} ({})", self._here(), columns))

    def _copy(self, connection: Any, path: Path, columns: list[str]) -> int:
        from psycopg import sql

        named = sql.SQL(", ").join(map(sql.Identifier, columns))
        frame = pl.read_parquet(path, glob=False)
        text = io.BytesIO()
        # An empty text is quoted, and what is missing is not: so PostgreSQL tells them apart.
        frame.write_csv(text, include_header=False, null_value="", quote_style="non_numeric")
        statement = self._sql("copy {} ({}) from stdin with (format csv)", self._here(), named)
        with connection.cursor().copy(statement) as copying:
            copying.write(text.getbuffer())
        return frame.height

    def _here(self) -> Any:
        return self._at(self._table)

    def _at(self, table: str) -> Any:
        from psycopg import sql

        return sql.Identifier(self._schema, table)

    def _sql(self, text: str, *parts: Any) -> Any:
        from psycopg import sql

        return sql.SQL(text).format(*parts)  # statements of this module alone

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            import psycopg
        except ImportError as error:
            raise ConfigInvalid(
                "PostgreSQL is written to by a package that is not installed",
                hint="Install it: pip install 'noria[postgres]'",
            ) from error
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection:
                yield connection
        except psycopg.OperationalError as error:
            first = str(error).strip().splitlines()
            raise Unavailable(
                f"`{self.name}` does not take the rows: {first[0] if first else error!r}"
            ) from error
        except psycopg.Error as error:
            first = str(error).strip().splitlines()
            raise Invalid(f"`{self.name}` refuses the rows: {first[0] if first else error!r}") from error


def _type_of(name: str, kind: pl.DataType) -> str:
    if kind.is_integer() and kind != pl.UInt64:
        return "bigint"
    if isinstance(kind, pl.Datetime):
        return "timestamp" if kind.time_zone is None else "timestamptz"
    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return "text"
    if isinstance(kind, pl.Decimal):
        return "numeric"
    found = next((written for known, written in _TYPES if kind == known), None)
    if found is None:
        raise Invalid(
            f"The column `{name}` of type `{kind}` has no form in PostgreSQL",
            hint="Leave it out, or write to a table of Noria",
        )
    return found


def _without_password(output: str) -> str:
    parts = urlsplit(output)
    user, at, place = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}{at}{place}"
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key != "password"])
    return urlunsplit(("postgresql", netloc, parts.path, query, parts.fragment))
