"""What SQLAlchemy makes of the declarations of `schema`: the metadata that all tables share, and types that convert."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import Converted

metadata = sa.MetaData()

_WHERE = "where"
"""Key in `Index.info` under which the rows of a partial index stand."""


class InstantType(sa.types.TypeDecorator[datetime]):
    """An instant, as whole microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, declared: Converted) -> None:
        super().__init__()
        self.declared = declared

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002 - the base's signature
        """Turn an aware datetime into microseconds."""
        made: int | None = self.declared.to_driver(value)
        return made

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - the base's signature
        """Turn microseconds into a datetime in UTC."""
        made: datetime | None = self.declared.from_driver(value)
        return made


class JsonType(sa.types.TypeDecorator[Any]):
    """A JSON value, as text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, declared: Converted) -> None:
        super().__init__()
        self.declared = declared

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - the base's signature
        """Encode; None stays null."""
        made: str | None = self.declared.to_driver(value)
        return made

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002 - the base's signature
        """Decode; null stays None."""
        return self.declared.from_driver(value)


def index_of_some(name: str, *columns: Any, where: str, unique: bool) -> sa.Index:
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
