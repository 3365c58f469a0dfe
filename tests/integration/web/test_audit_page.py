"""The page of the audit, over real HTTP."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.events.log import REACH, EventFilter, EventLog, EventType, append
from noria.core.events.sealer import Sealer
from noria.core.events.tables import events
from noria.core.permissions import Principal, Role
from noria.registry.entities import NewModel
from noria.registry.service import Models
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, visible_text
from support.wheel import PROJECT, turn_once

AUDIT = "/projects/default/audit"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
TOLD = EventType("test.told", "Something for a test")


def sealed(context: Context) -> None:
    """Give events their positions and hashes, which is the control loop's work."""
    Sealer(context.database, context.clock, context.settings.folder).tick()


def tell(
    context: Context, n: int, *, actor: str = "ana", project: str = PROJECT, subject: str = "x:1"
) -> None:
    """Append events."""
    with context.database.write() as connection:
        for i in range(n):
            append(
                connection,
                context.clock,
                actor=actor,
                type=TOLD,
                subject=subject,
                project=project,
                payload={"n": i},
            )


@BOTH
def test_events_are_told_newest_first_with_links(reader: Reader, context: Context) -> None:
    """What changed, who did it, to what: with the page of the thing, and the state of the chain."""
    turn_once(context)
    sealed(context)
    page = reader.get(AUDIT)
    shown = visible_text(page.text)

    assert shown.index("record.closed") < shown.index("alert.opened") < shown.index("endpoint.created")
    assert 'href="/projects/default/models/digits/versions/2"' in page.text
    assert "not checked here" in shown
    assert "whole" in reader.text(f"{AUDIT}?check=yes")


def test_a_broken_chain_is_told(reader: Reader, context: Context) -> None:
    """An event that somebody altered is found when the chain is checked, and the reason is told."""
    tell(context, 5)
    sealed(context)
    with context.database.write() as connection:
        connection.execute(sa.update(events).where(events.c.position == 3).values(actor="mallory"))

    assert "broken" in reader.text(f"{AUDIT}?check=yes")


@BOTH
def test_events_are_filtered(reader: Reader, context: Context) -> None:
    """By who, what (or a group of kinds), to what, and when."""
    context.service(Models).create(PROJECT, NewModel(name="churn"))
    tell(context, 2, actor="ana", subject="x:1")
    tell(context, 1, actor="eva", subject="x:2")
    sealed(context)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    n_of = {
        query: reader.get(f"{AUDIT}?{query}").text.count('<th scope="row">')
        for query in (
            "actor=ana",
            "actor=eva&subject=x:2",
            "type=test.told",
            "type=model.",
            "subject=x:1",
            f"since={today}&actor=ana",
            "until=2001-01-01",
            "since=2999-01-01",
        )
    }

    assert list(n_of.values()) == [2, 1, 3, 1, 2, 2, 0, 0]
    assert "No event passes this filter" in reader.text(f"{AUDIT}?actor=nobody")


def test_pages_follow_one_another(reader: Reader, context: Context) -> None:
    """Each event is on one page, and the way back to the newest is told."""
    tell(context, 120)
    sealed(context)
    first = reader.get(f"{AUDIT}?type=test.told").text
    last = EventLog(context.database).last_position()
    second = reader.get(f"{AUDIT}?type=test.told&before={last - 49}").text

    assert f"type=test.told&amp;before={last - 49}" in first
    assert f'href="{AUDIT}?type=test.told"' in second
    assert first.count('<th scope="row">') == second.count('<th scope="row">') == 50


def test_a_look_back_reads_a_bounded_stretch(context: Context) -> None:
    """A filter that nothing passes ends after so many events, and says where to look on; together all is found."""
    tell(context, 1, actor="eva")
    with context.database.write() as connection:
        start = 1 + int(connection.execute(sa.select(sa.func.max(events.c.position))).scalar_one())
        row = {"at": datetime(2026, 1, 1, tzinfo=UTC), "actor": "ana", "project": PROJECT, "type": "t.t"}
        rows = [{**row, "subject": "x:1", "payload": {}, "position": start + i} for i in range(REACH + 10)]
        connection.execute(sa.insert(events), rows)
    log = EventLog(context.database)
    first = log.look_back(EventFilter(project=PROJECT, actor="eva"))
    assert first.next is not None
    second = log.look_back(EventFilter(project=PROJECT, actor="eva"), before=first.next)

    assert (first.items, first.next) == ([], start + 10)
    assert ([event.actor for event in second.items], second.next) == (["eva"], None)


@BOTH
def test_a_moment_is_found_in_a_long_log(context: Context) -> None:
    """Looking back from a day gives exactly the events before it, as a plain search does."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    then = dataclasses.replace(context, clock=clock)
    for _ in range(60):
        tell(then, 1)
        clock.advance(3600.0)
    sealed(context)
    log = EventLog(context.database)
    everything = [event for event in log.read(0, limit=1000) if event.type == TOLD]
    for hours in (0, 1, 13, 47, 100):
        until = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
        found = log.look_back(EventFilter(type="test.", until=until), limit=1000).items

        assert found == [event for event in everything if event.at < until][::-1]


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_is_written_stays_text(reader: Reader, context: Context, language: str) -> None:
    """Markup in actors, subjects, payloads and filters is shown as text."""
    with context.database.write() as connection:
        append(
            connection,
            context.clock,
            actor=HOSTILE,
            type=TOLD,
            subject=f"model:{HOSTILE}",
            project=PROJECT,
            payload={HOSTILE: HOSTILE},
        )
    sealed(context)

    assert_harmless(reader.get(AUDIT, language=language))
    assert_harmless(reader.get(f"{AUDIT}?actor={quote(HOSTILE, safe='')}", language=language))


def test_only_admins_read_it_and_each_their_own(reader: Reader, context: Context) -> None:
    """An engineer is refused; the admin of a project sees its events and neither others' nor the chain."""
    context.service(Projects).create(NewProject(name="secret"))
    tell(context, 1, subject="x:own")
    tell(context, 1, project="secret", subject="x:hidden")
    sealed(context)
    reader.server.is_open = False
    for token, role in (("e", Role.ENGINEER), ("a", Role.ADMIN)):
        reader.server.tokens[token] = Principal(name="ana", project_roles={"default": role}, holds_key=True)
    own = reader.get(AUDIT, token="a")

    assert reader.get(AUDIT, token="e").status_code == 403
    assert "x:own" in own.text
    assert "x:hidden" not in own.text
    assert "whole workspace" not in own.text
    assert reader.get(f"{AUDIT}?of=workspace", token="a").status_code == 403
    assert reader.get("/projects/secret/audit", token="a").status_code == 403


@pytest.mark.parametrize(
    "query", ["before=x", "of=all", "since=yesterday", "until=0001-01-01", f"actor={'a' * 301}", "colour=red"]
)
def test_a_wrong_filter_is_told(reader: Reader, query: str) -> None:
    """What cannot be asked is refused with the mend."""
    assert reader.get(f"{AUDIT}?{query}").status_code == 400
