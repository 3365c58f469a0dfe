"""A new SQLite database made at once, instead of by every migration that there ever was.

`new_sqlite.sql` holds what the migrations make of an empty file: the schema, and the few rows that each database has.
It is written by `tools/make_schema.py`. It names the revisions that it stands at; where these are not those of the
code, it is not used, and the migrations do the work.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.database.engine import Database
from noria.core.database.sqlite import driver_of
from noria.core.ids import new_id

if TYPE_CHECKING:
    import sqlalchemy as sa

FILE: Final = Path(__file__).with_name("new_sqlite.sql")

_REVISIONS: Final = "-- revisions: "
_HEAD: Final = (
    "-- What the migrations make of an empty SQLite file. Written by tools/make_schema.py; a test compares.\n"
)
_END: Final = ";\n\n"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_NOW: Final = ":now"
_SCHEMA: Final = """
select sql from sqlite_master
where sql is not null and name not like 'sqlite_%'
order by type = 'index', name
"""
_HOUR_US: Final = 3_600_000_000


def make_new(database: Database, *, heads: set[str], text: str | None = None) -> bool:
    """Make the schema and the first rows in an empty database, in one transaction.

    Parameters
    ----------
    heads
        Revisions at which the code stands.
    text
        What `written` gave; that of the file by default.

    Returns
    -------
    bool
        False if nothing was done, since the database is not on SQLite, is not empty, or the text is of other
        revisions: migrations are needed then.
    """
    if not database.is_sqlite:
        return False
    first, *statements = (text or FILE.read_text(encoding="utf-8")).removeprefix(_HEAD).split(_END)
    if set(first.removeprefix(_REVISIONS).split()) != heads:
        return False
    values: dict[str, object] = {"now": time.time_ns() // 1000}
    with database.write(durable=True) as connection:
        driver = driver_of(connection)
        if driver.execute("select 1 from sqlite_master").fetchone() is not None:
            return False
        driver.execute("pragma defer_foreign_keys = on")  # tables are filled in order of their names
        for statement in statements:
            for name in re.findall(r":(id_\d+)", statement) if statement.startswith("insert") else ():
                values.setdefault(name, new_id())
            driver.execute(statement, values)
    return True


def written(database: Database) -> str:
    """Give the text that makes a database like this one, which migrations have just made of nothing.

    Ids and the moment of making become names, since each new database has its own.
    """
    with database.read() as connection:
        statements = list(connection.exec_driver_sql(_SCHEMA).scalars())
        revisions = sorted(connection.exec_driver_sql("select version_num from alembic_version").scalars())
        tables = connection.exec_driver_sql(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name"
        ).scalars()
        ids: dict[str, str] = {}
        for table in list(tables):
            statements += _rows(connection, table, ids)
    return _HEAD + _END.join([f"{_REVISIONS}{' '.join(revisions)}", *map(_plain, statements)]) + "\n"


def _rows(connection: sa.Connection, table: str, ids: dict[str, str]) -> list[str]:
    result = connection.exec_driver_sql(f'select * from "{table}" order by 1')  # noqa: S608 - a name of the schema
    columns = ", ".join(result.keys())
    given = [", ".join(_literal(value, ids) for value in row) for row in result]
    return [f"insert into {table} ({columns}) values ({values})" for values in given]  # noqa: S608 - the same


def _literal(value: object, ids: dict[str, str]) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return _NOW if abs(value - time.time_ns() // 1000) < _HOUR_US else str(value)
    text = str(value)
    if _ID.fullmatch(text):
        return ids.setdefault(text, f":id_{len(ids) + 1}")
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def _plain(statement: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in statement.strip().splitlines())
