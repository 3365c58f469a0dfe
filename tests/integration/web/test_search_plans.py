"""No search reads a whole table or index: by the plans of SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.events.log import EventFilter, EventLog
from noria.server.search import Look
from noria.server.search_sources import SOURCES, Source
from support.conformance import open_test_context, workspace_settings
from support.plans import Recorded, RecordingConnection, scans
from support.wheel import turn_once


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give a workspace with one of each kind."""
    folder: Path = tmp_path_factory.mktemp("plans")
    with open_test_context(workspace_settings(folder), SystemClock()) as opened:
        turn_once(opened)
        yield opened


@pytest.mark.parametrize("text", ["digits", "team=vision", "digits@2", "01a1", "0" * 32])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_each_query_is_led_by_an_index(context: Context, source: Source, text: str) -> None:
    """Whatever is searched for, a kind is found without reading all of its table."""
    recorded = Recorded()
    with context.database.read() as connection:
        recording: Any = RecordingConnection(connection, recorded)
        Look(recording, lambda _: {1: "default", 2: "other"}, text).hits(source)
        found = {
            statement: scans(connection, statement, values)
            for statement, values in recorded.statements.items()
        }

    assert {statement: tables for statement, tables in found.items() if tables} == {}


def test_a_look_back_begins_where_its_project_does(context: Context) -> None:
    """The events of a project are read by the index of projects, from the newest on."""
    log = EventLog(context.database)
    query = log.window(EventFilter(project="default"))
    with context.database.read() as connection:
        text = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        plan = [row[3] for row in connection.exec_driver_sql(f"explain query plan {text}")]

    assert len(plan) == 1
    assert "USING INDEX events_by_project (project=? AND position>?)" in plan[0]
