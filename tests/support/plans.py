"""What statements a connection ran, and which tables their plans read from one end to the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa

SMALL = {"projects", "experiments", "alembic_version"}
"""Tables that do not grow with the number of runs."""


@dataclass(slots=True)
class Recorded:
    """What went to the driver: text → values of one execution."""

    statements: dict[str, Any] = field(default_factory=dict)


class RecordingCursor:
    """A cursor of the driver that notes what it executes."""

    def __init__(self, cursor: Any, recorded: Recorded) -> None:
        self._cursor, self._recorded = cursor, recorded

    def execute(self, text: str, values: Any = (), **options: Any) -> Any:
        """Note it, and run it."""
        self._recorded.statements.setdefault(text, values)
        return self._cursor.execute(text, values, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class RecordingDriver:
    """A connection of the driver whose cursors note what they execute."""

    def __init__(self, driver: Any, recorded: Recorded) -> None:
        self._driver, self._recorded = driver, recorded

    def cursor(self, **options: Any) -> RecordingCursor:
        """Give a cursor that notes."""
        return RecordingCursor(self._driver.cursor(**options), self._recorded)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


class RecordingConnection:
    """A connection whose statements are noted, those of SQLAlchemy and those past it."""

    def __init__(self, connection: sa.Connection, recorded: Recorded) -> None:
        self._connection, self._recorded = connection, recorded

    @property
    def connection(self) -> RecordingDriver:
        """Give the driver's connection."""
        return RecordingDriver(self._connection.connection, self._recorded)

    def execute(self, statement: Any, *values: Any) -> Any:
        """Run a statement of SQLAlchemy, and note what it came to."""
        result = self._connection.execute(statement, *values)
        context: Any = result.context
        self._recorded.statements.setdefault(context.statement, context.parameters[0])
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def scans(connection: sa.Connection, text: str, values: Any) -> set[str]:
    """Name the tables that grow and that a statement reads as a whole, by their rows or by an index."""
    driver: Any = connection.connection.dbapi_connection
    kind = _scans_of_sqlite if connection.dialect.name == "sqlite" else _scans_of_postgres
    return kind(driver, text, values) - SMALL


def _scans_of_sqlite(driver: Any, text: str, values: Any) -> set[str]:
    """Name the tables of which a cursor is set to one end, in the program that the statement is compiled to."""
    cursor = driver.cursor()
    pages = "select rootpage, tbl_name from sqlite_schema where rootpage > 0"
    tables = dict(cursor.execute(pages).fetchall())
    opened: dict[int, str] = {}
    found: set[str] = set()
    for _, opcode, p1, p2, *_ in cursor.execute(f"explain {text}", values).fetchall():
        if opcode == "OpenRead":
            opened[p1] = tables[p2]
        elif opcode in ("Rewind", "Last", "Count") and p1 in opened:
            found.add(opened[p1])
    return found


def _scans_of_postgres(driver: Any, text: str, values: Any) -> set[str]:
    """Name the tables that a plan reads without a condition on an index."""
    cursor = psycopg.ClientCursor(driver)
    cursor.execute(f"explain (format json) {text}", values or None)
    row = cursor.fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return set(_scans_in(plan[0]["Plan"]))


def _scans_in(node: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in node and "Index Cond" not in node:
        bitmap = any("Index Cond" in part for part in node.get("Plans", ()))
        if not bitmap:
            yield node["Relation Name"]
    for part in node.get("Plans", ()):
        yield from _scans_in(part)
