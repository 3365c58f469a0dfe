"""How tables are declared: the words of all `tables.py`, and the column types that read the same on both databases.

A declaration is SQLAlchemy's, word for word, and becomes SQLAlchemy's table when one is first asked for a column, or
stands in a statement. Until then nothing of SQLAlchemy is imported: a command whose statements were compiled beforehand
(`prepared`) knows tables by their declarations alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, cast

import msgspec

from noria.core.database.alchemy import sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Declared:
    """A part of a table that is made when the table is.

    Parameters
    ----------
    make
        Name of what makes it in SQLAlchemy, or a function.
    parts, options
        Its arguments, which may be declared themselves.
    """

    def __init__(self, make: str | Callable[..., Any], *parts: Any, **options: Any) -> None:
        self._make = make
        self.parts = parts
        self.options = options

    def made(self) -> Any:
        """Make it."""
        make = getattr(sa, self._make) if isinstance(self._make, str) else self._make
        options = {name: _made(value) for name, value in self.options.items()}
        return make(*map(_made, self.parts), **options)


def _made(part: Any) -> Any:
    return part.made() if isinstance(part, Declared) else part


class DeclaredTable(Declared):
    """A table, in whose place SQLAlchemy's own stands as soon as something of it is asked for."""

    is_clause_element = False  # SQLAlchemy asks, and takes `__clause_element__` then

    def __init__(self, name: str, *parts: Any, **options: Any) -> None:
        super().__init__("Table", name, *parts, **options)
        self._real: sa.Table | None = None
        self.types = {str(part.parts[0]): part.parts[1] for part in parts if isinstance(part, DeclaredColumn)}
        _UNMADE.append(self)

    def made(self) -> sa.Table:
        """Make it, with all tables that were declared before it: their keys name each other."""
        if self._real is None:
            with _MAKING:
                while _UNMADE:
                    _UNMADE[0]._add()
                    del _UNMADE[0]
        return cast("sa.Table", self._real)

    def _add(self) -> None:
        from noria.core.database.column_types import metadata

        name, *parts = self.parts
        self._real = sa.Table(name, metadata, *map(_made, parts), **self.options)

    def __clause_element__(self) -> sa.Table:
        """Give the table itself, wherever a statement names it."""
        return self.made()

    def __getattr__(self, name: str) -> Any:
        """Give what the table has."""
        value = getattr(self.made(), name)
        if name == "c":
            self.c = value  # asked for more often than all else
        return value


_UNMADE: Final[list[DeclaredTable]] = []
_MAKING: Final = threading.RLock()


class DeclaredColumn(Declared):
    """A column: its name, its type and what else it has."""

    def __init__(self, name: str, type_: Any, *parts: Any, **options: Any) -> None:
        super().__init__("Column", name, type_, *parts, **options)


def whole_metadata() -> sa.MetaData:
    """Make every table that was declared, and give what holds them."""
    from noria.core.database.column_types import metadata

    if _UNMADE:
        _UNMADE[-1].made()
    return metadata


# A table stands for SQLAlchemy's own to whoever reads types.
Table: Final = cast("Callable[..., sa.Table]", DeclaredTable)
Column: Final = cast("Callable[..., sa.Column[Any]]", DeclaredColumn)
ForeignKey: Final[Callable[..., Any]] = partial(Declared, "ForeignKey")
Index: Final[Callable[..., Any]] = partial(Declared, "Index")
UniqueConstraint: Final[Callable[..., Any]] = partial(Declared, "UniqueConstraint")
CheckConstraint: Final[Callable[..., Any]] = partial(Declared, "CheckConstraint")
text: Final[Callable[..., Any]] = partial(Declared, "text")

BigInteger: Final = Declared("BigInteger")
Boolean: Final = Declared("Boolean")
Double: Final = Declared("Double")
Float: Final = Declared("Float")
Integer: Final = Declared("Integer")
LargeBinary: Final = Declared("LargeBinary")
SmallInteger: Final = Declared("SmallInteger")
Text: Final = Declared("Text")


def _bytewise() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


BytewiseText: Final = Declared(_bytewise)
"""Text that compares and sorts by its bytes on both databases, whatever the locale of the server."""


class Converted(Declared):
    """A type whose values are others to the driver than to us."""

    def to_driver(self, value: Any) -> Any:
        """Turn a value into the driver's; None stays null."""
        raise NotImplementedError

    def from_driver(self, value: Any) -> Any:
        """Turn the driver's value into ours; null stays None."""
        raise NotImplementedError


class _Instant(Converted):
    def made(self) -> Any:
        from noria.core.database.column_types import InstantType

        return InstantType(self)

    def to_driver(self, value: datetime | None) -> int | None:
        return None if value is None else to_micros(value)

    def from_driver(self, value: int | None) -> datetime | None:
        return None if value is None else from_micros(value)


UtcMicros: Final = _Instant("BigInteger")
"""An instant in UTC, kept as whole microseconds since 1970: orders and compares alike on both databases."""


class JsonText(Converted):
    """A JSON value as text, read back as a given type.

    Parameters
    ----------
    type_
        What to decode to; anything that msgspec knows.
    """

    def __init__(self, type_: Any = Any) -> None:
        super().__init__("Text")
        self._type = type_
        # Made when it is needed: for all columns that a command never reads it would take a fiftieth of its time.
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def made(self) -> Any:
        """Make SQLAlchemy's type that converts in the same way."""
        from noria.core.database.column_types import JsonType

        return JsonType(self)

    def to_driver(self, value: Any) -> str | None:
        """Encode; None stays null."""
        return None if value is None else _ENCODER.encode(value).decode()

    def from_driver(self, value: str | None) -> Any:
        """Decode; null stays None."""
        if value is None:
            return None
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self._type)
        return self._decoder.decode(value)


def partial_index(name: str, *columns: Any, where: str, unique: bool = False) -> Any:
    """Declare an index of some rows."""
    return Declared(_index_of_some, name, *columns, where=where, unique=unique)


def _index_of_some(*columns: Any, **options: Any) -> sa.Index:
    from noria.core.database.column_types import index_of_some

    return index_of_some(*columns, **options)


def pk(name: str = "pk") -> sa.Column[int]:
    """Declare an integer primary key that counts up, for joins and for pages.

    On SQLite the key of the newest row is given again once that row is deleted. A table whose keys are a cursor of
    somebody sets `sqlite_autoincrement=True` before it may delete rows.
    """
    return Column(name, Declared(_counting), primary_key=True, autoincrement=True)


def _counting() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def to_micros(at: datetime) -> int:
    """Give whole microseconds since 1970.

    Raises
    ------
    ValueError
        If `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"`{at.isoformat()}` has no time zone")
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Give the instant, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class Converters:
    """Turns values of columns into what the driver takes, and back, for statements that are `Prepared`.

    Parameters
    ----------
    sources
        Tables, each with the names of its columns; a table alone stands for all of them. Types of theirs that are
        `Converted` convert; all other values pass as they are.
    """

    def __init__(self, *sources: sa.Table | tuple[sa.Table, Sequence[str]]) -> None:
        self._sources = [_named(source) for source in sources]
        types = {name: table.types[name] for table, names in self._sources for name in names}
        self._names = tuple(types)
        self._own = {name: type_ for name, type_ in types.items() if isinstance(type_, Converted)}

    @property
    def columns(self) -> list[sa.Column[Any]]:
        """The columns themselves, in their order, for a statement that selects them."""
        return [table.made().c[name] for table, names in self._sources for name in names]

    def to_driver(self, values: dict[str, Any]) -> dict[str, Any]:
        """Convert the values of a row to be written."""
        made = dict(values)
        for name, type_ in self._own.items():
            if name in made:
                made[name] = type_.to_driver(made[name])
        return made

    def from_driver(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """Convert a row that was read, whose values stand in the order of the columns."""
        made = dict(zip(self._names, row, strict=True))
        for name, type_ in self._own.items():
            made[name] = type_.from_driver(made[name])
        return made


def _named(source: Any) -> tuple[DeclaredTable, Sequence[str]]:
    table, names = source if isinstance(source, tuple) else (source, None)
    return table, tuple(table.types) if names is None else names


_ENCODER = msgspec.json.Encoder()
