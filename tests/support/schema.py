"""The schema of a database as SQL that makes it again, and as facts that can be compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from noria.core.database.engine import Database
from noria.core.database.sqlite import around

VERSIONS = "alembic_version"

_SQLITE_SCHEMA = """
select sql from sqlite_master
where sql is not null and name not like 'sqlite_%'
order by type = 'index', name
"""


@contextmanager
def expressions_passed_over() -> Iterator[None]:
    """Reflect a SQLite database without being told that indexes on expressions are left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        yield


def dump_schema(database: Database) -> str:
    """Give the statements that make the schema, in order of names, with the revisions it stands at."""
    with database.read() as connection:
        statements = _sqlite(connection) if database.is_sqlite else _postgres(connection)
        query = sa.text(f"select version_num from {VERSIONS} order by version_num")  # noqa: S608 - a constant
        revisions = list(connection.execute(query).scalars())
    statements += [f"insert into {VERSIONS} (version_num) values ('{revision}')" for revision in revisions]  # noqa: S608
    return "".join(f"{statement.strip()};\n\n" for statement in statements).rstrip() + "\n"


def load_schema(database: Database, text: str) -> None:
    """Make the schema that was dumped."""
    with database.write() as connection:
        for statement in text.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def facts_of(database: Database) -> dict[str, Any]:
    """Tell what the database says of its tables, in a form that does not depend on the order of making."""
    with database.read() as connection:
        inspector = sa.inspect(around(connection))
        names = [name for name in inspector.get_table_names() if name != VERSIONS]
        with expressions_passed_over():
            return {name: _facts(inspector, name) for name in sorted(names)}


def _facts(inspector: sa.Inspector, table: str) -> dict[str, Any]:
    columns = [
        (c["name"], str(c["type"]), c["nullable"], _default(c["default"]), c.get("autoincrement"))
        for c in inspector.get_columns(table)
    ]
    foreign = [
        (c["constrained_columns"], c["referred_table"], c["referred_columns"], c.get("options", {}))
        for c in inspector.get_foreign_keys(table)
    ]
    uniques = [tuple(u["column_names"]) for u in inspector.get_unique_constraints(table)]
    indexes = [
        (
            i["name"],
            i.get("expressions", i["column_names"]),
            i["unique"],
            _options(i.get("dialect_options", {})),
        )
        for i in inspector.get_indexes(table)
        if not i.get("duplicates_constraint")
    ]
    indexes += _sqlite_expressions(inspector, table)
    checks = [_plain(str(c["sqltext"])) for c in inspector.get_check_constraints(table)]
    return {
        "columns": columns,
        "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
        "foreign keys": sorted(foreign, key=str),
        "unique": sorted(uniques),
        "indexes": sorted(indexes, key=str),
        "checks": sorted(checks),
    }


def _sqlite_expressions(inspector: sa.Inspector, table: str) -> list[Any]:
    """Give the indexes with an expression in them, which reflection leaves out on SQLite."""
    bind = inspector.bind
    if bind.dialect.name != "sqlite" or not isinstance(bind, sa.Connection):
        return []
    query = sa.text(
        "select sql from sqlite_master where type = 'index' and tbl_name = :table and sql like '%(%(%'"
    )
    return [(_plain(sql), [], False, {}) for sql in bind.execute(query, {"table": table}).scalars()]


def _default(text: str | None) -> str | None:
    # The sequence behind a serial column is named after its table.
    return "nextval" if text and text.startswith("nextval") else text


def _options(given: dict[str, Any]) -> dict[str, str]:
    return {
        name: _plain(str(value))
        for name, value in sorted(given.items())
        if not isinstance(value, (list, tuple, type(None)))
    }


def _plain(condition: str) -> str:
    return " ".join(condition.lower().replace("(", " ").replace(")", " ").replace('"', "").split())


def _sqlite(connection: sa.Connection) -> list[str]:
    return [str(text) for text in connection.execute(sa.text(_SQLITE_SCHEMA)).scalars()]


def _postgres(connection: sa.Connection) -> list[str]:
    reflected = sa.MetaData()
    reflected.reflect(around(connection))
    tables = reflected.sorted_tables
    made = [str(CreateTable(table).compile(dialect=connection.dialect)) for table in tables]
    indexes = sorted(
        (index for table in tables for index in table.indexes), key=lambda index: str(index.name)
    )
    made += [str(CreateIndex(index).compile(dialect=connection.dialect)) for index in indexes]
    return [
        _sorted_constraints(statement.replace("\t", "    ").replace(" NULLS DISTINCT", ""))
        for statement in made
    ]


def _sorted_constraints(statement: str) -> str:
    """Put the constraints of a table in order of their text; reflection gives them in any."""
    lines = [line.rstrip().rstrip(",") for line in statement.strip().splitlines()]
    if not lines[0].startswith("CREATE TABLE"):
        return "\n".join(lines)
    inner = [line for line in lines[1:-1] if line.strip()]
    columns = [
        line for line in inner if not line.strip().startswith(("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK"))
    ]
    constraints = sorted(line for line in inner if line not in columns)
    return "\n".join([lines[0], ",\n".join([*columns, *constraints]), lines[-1]])
