"""The metadata that all `tables.py` share, and the column types that read the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

metadata = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


_WHERE = "where"
"""Key in `Index.info` under which the rows of a partial index stand."""


def partial_index(name: str, *columns: str | sa.TextClause, where: str, unique: bool = False) -> sa.Index:
    """Make an index of some rows.

    SQLAlchemy loads a dialect, in a tenth of the time that a command takes, to check an option that names it. So the
    option is set when tables are made, for the one dialect that they are made with.
    """
    index = sa.Index(name, *columns, unique=unique)
    index.info[_WHERE] = sa.text(where)
    return index


@sa.event.listens_for(metadata, "before_create")
def _limit_partial_indexes(target: sa.MetaData, connection: sa.Connection, **_options: Any) -> None:
    for table in target.tables.values():
        for index in table.indexes:
            if _WHERE in index.info:
                index.dialect_kwargs[f"{connection.dialect.name}_where"] = index.info[_WHERE]


BytewiseText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that compares and sorts by its bytes on both databases, whatever the locale of the server."""


class UtcMicros(sa.types.TypeDecorator[datetime]):
    """An instant in UTC, kept as whole microseconds since 1970: orders and compares alike on both databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - the base's signature
        """Turn an aware datetime into microseconds."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base's signature
        """Turn microseconds into a datetime in UTC."""
        return None if value is None else from_micros(value)


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


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value as text, read back as a given type.

    Parameters
    ----------
    type_
        What to decode to; anything that msgspec knows.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, type_: Any = Any) -> None:
        super().__init__()
        self.type_ = type_
        # Made when it is needed: for all columns that a command never reads it would take a fiftieth of its time.
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Encode; None stays null."""
        return None if value is None else _ENCODER.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - the base's signature
        """Decode; null stays None."""
        if value is None:
            return None
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self.type_)
        return self._decoder.decode(value)


def pk() -> sa.Column[int]:
    """Give an integer primary key that counts up, for joins and for pages.

    On SQLite the key of the newest row is given again once that row is deleted. A table whose keys are a cursor of
    somebody sets `sqlite_autoincrement=True` before it may delete rows.
    """
    return sa.Column(
        "pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    )


class Converters:
    """Turns values of columns into what the driver takes, and back, for statements that are `Prepared`.

    Parameters
    ----------
    columns
        Whose types convert; all others pass as they are.
    """

    def __init__(self, *columns: sa.Column[Any]) -> None:
        self._columns = {column.name: column.type for column in columns}
        self._own = {
            name: type_ for name, type_ in self._columns.items() if isinstance(type_, (JsonText, UtcMicros))
        }

    def to_driver(self, values: dict[str, Any]) -> dict[str, Any]:
        """Convert the values of a row to be written."""
        made = dict(values)
        for name, type_ in self._own.items():
            if name in made:
                made[name] = type_.process_bind_param(made[name], _NO_DIALECT)
        return made

    def from_driver(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """Convert a row that was read, whose values stand in the order of the columns."""
        made = dict(zip(self._columns, row, strict=True))
        for name, type_ in self._own.items():
            made[name] = type_.process_result_value(made[name], _NO_DIALECT)
        return made


_ENCODER = msgspec.json.Encoder()
_NO_DIALECT: Any = None  # both types convert alike on every database
