"""Statements compiled once and run on the driver itself.

SQLAlchemy's execution costs ten times what SQLite takes for a small statement. What a request does for each point, run
or row goes this way instead; everything else is better off with `connection.execute`. The statement is still written
in SQLAlchemy, so it is one text for both databases, and values are still bound by the driver.

The text for SQLite of those that a function builds stands in `prepared_sqlite.json`, which `tools/make_statements.py`
writes and a test compares with what the functions build: a short command runs them without SQLAlchemy, which takes
longer to import than they all take to run.

Values pass as the driver has them: instants are microseconds (`to_micros`), JSON is text, enums are text.
"""

from __future__ import annotations

import functools
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec

from noria.core.database.alchemy import sa
from noria.core.database.sqlite import SqliteConnection, around

FILE: Final = Path(__file__).with_name("prepared_sqlite.json")

Values = Mapping[str, Any]
Build = Callable[[str], "sa.Executable"]

Rows = list[tuple[Any, ...]]


class Prepared:
    """A statement that is compiled at its first use on each kind of database.

    Parameters
    ----------
    statement
        With `sa.bindparam`s; no expanding ones. Or what makes it of the name of the dialect, for upserts and for what
        short commands run.

    Examples
    --------
    >>> engine = sa.create_engine("sqlite://")
    >>> double = Prepared(sa.select(sa.bindparam("n", type_=sa.Integer) * 2))
    >>> with engine.connect() as connection:
    ...     double.all(connection, {"n": 21})
    [(42,)]
    """

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: sa.Executable | Build) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def all(self, connection: sa.Connection, values: Values) -> Rows:
        """Run it and give every row."""
        return self._execute(connection, values).fetchall()  # type: ignore[no-any-return]

    def first(self, connection: sa.Connection, values: Values) -> tuple[Any, ...] | None:
        """Run it and give the first row, or None."""
        return self._execute(connection, values).fetchone()  # type: ignore[no-any-return]

    def run(self, connection: sa.Connection, values: Values) -> int:
        """Run it and give how many rows it changed."""
        return self._execute(connection, values).rowcount  # type: ignore[no-any-return]

    def many(self, connection: sa.Connection, values: Iterable[Values]) -> int:
        """Run it once for each set of values, in one call of the driver, and give how many rows that changed."""
        compiled = self._text(connection)
        order, constants = compiled.order, compiled.constants
        bound = ({**constants, **each} for each in values) if constants else values
        return self._run_many(
            connection, compiled.text, [tuple([each[name] for name in order]) for each in bound]
        )

    def many_tuples(self, connection: sa.Connection, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run it once for each tuple, which holds the values in the order in which the statement binds them.

        The quickest way: nothing is made for a row but the row itself. Gives how many rows that changed.
        """
        compiled = self._text(connection)
        if compiled.constants:
            raise TypeError("A statement with constants of its own takes its values by name")
        return self._run_many(connection, compiled.text, rows)

    @staticmethod
    def _run_many(connection: sa.Connection, text: str, rows: Iterable[tuple[Any, ...]]) -> int:
        cursor = _cursor(connection)
        try:
            cursor.executemany(text, rows)
        except _errors_of(connection) as error:
            raise _wrapped(connection, text, error) from error
        return cursor.rowcount  # type: ignore[no-any-return]

    def _execute(self, connection: sa.Connection, values: Values) -> Any:
        compiled = self._text(connection)
        if compiled.constants:
            values = {**compiled.constants, **values}
        cursor = _cursor(connection)
        bound = tuple([values[name] for name in compiled.order])
        try:
            cursor.execute(compiled.text, bound)
        except _errors_of(connection) as error:
            raise _wrapped(connection, compiled.text, error) from error
        return cursor

    @property
    def name(self) -> str | None:
        """Module and variable of a statement that a function builds, as it stands in the file; None of others."""
        module = sys.modules.get(getattr(self._statement, "__module__", ""))
        if module is None or not callable(self._statement):
            return None
        return next(
            (f"{module.__name__}:{name}" for name, value in vars(module).items() if value is self), None
        )

    def compiled(self, dialect: sa.Dialect) -> Compiled:
        """Compile it for a dialect."""
        statement = self._statement(dialect.name) if callable(self._statement) else self._statement
        return _compile(statement, dialect)

    def alone(self, connection: SqliteConnection) -> tuple[str, list[Any]]:
        """Give text and constants of a statement without values, for who runs it on the driver."""
        text, order, constants = self._text(cast("sa.Connection", connection))
        return text, [constants[name] for name in order]

    def _text(self, connection: sa.Connection) -> Compiled:
        lent: object = connection
        is_sqlite = type(lent) is SqliteConnection
        dialect = "sqlite" if is_sqlite else connection.dialect.name
        found = self._compiled.get(dialect)
        if found is None:
            known = _compiled_beforehand().get(self.name or "") if is_sqlite else None
            found = self._compiled[dialect] = known or self.compiled(around(connection).dialect)
        return found


class Compiled(NamedTuple):
    """A statement as the driver takes it: its text, the names of its values in their order, and its own constants."""

    text: str
    order: tuple[str, ...]
    constants: dict[str, Any]


@functools.cache
def _compiled_beforehand() -> dict[str, Compiled]:
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Compiled])


def listed(dialect: str, name: str, type_: sa.types.TypeEngine[Any]) -> sa.Select[Any]:
    """Give a query of the values of one parameter that holds many, for `column.in_(…)`.

    However many there are, the statement is the same text, prepared once. The parameter's value is `as_list(values)`.

    Parameters
    ----------
    dialect
        `sqlite` or `postgresql`.
    name
        Name of the parameter.
    type_
        Type of the values.
    """
    given = sa.bindparam(name, type_=sa.Text)
    if dialect == "sqlite":
        each = sa.func.json_each(given).table_valued("value")
        return sa.select(each.c.value)
    item = sa.func.json_array_elements_text(sa.cast(given, sa.JSON)).column_valued("item")
    return sa.select(sa.cast(item, type_))


def as_list(values: Iterable[Any]) -> str:
    """Give the value of a parameter that `listed` reads."""
    return _list_encoder.encode(list(values)).decode()


_list_encoder = msgspec.json.Encoder()


def _compile(statement: sa.Executable, dialect: sa.Dialect) -> Compiled:
    # Values by position on every driver, so that rows of values are plain tuples.
    positional = dialect if dialect.positional else type(dialect)(paramstyle="format")  # type: ignore[call-arg]
    compiled: Any = statement.compile(dialect=positional)  # type: ignore[attr-defined]
    binds = {name: compiled.binds[name] for name in compiled.positiontup}
    constants = {name: value.effective_value for name, value in binds.items() if not value.required}
    return Compiled(str(compiled), tuple(compiled.positiontup), constants)


def _cursor(connection: sa.Connection) -> Any:
    """Give a cursor of the driver, inside the transaction of the connection."""
    if isinstance(connection, SqliteConnection):
        return connection.raw.cursor()
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()


def _errors_of(connection: sa.Connection) -> type[Exception]:
    if isinstance(connection, SqliteConnection):
        return sqlite3.Error
    dialect: Any = connection.dialect
    kind: type[Exception] = dialect.loaded_dbapi.Error
    return kind


def _wrapped(connection: sa.Connection, text: str, error: Exception) -> BaseException:
    """Give an error of the driver as the one that SQLAlchemy makes of it."""
    dialect = around(connection).dialect
    return sa.exc.DBAPIError.instance(text, None, error, _errors_of(connection), dialect=dialect)
