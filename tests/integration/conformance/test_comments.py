"""Comments: said, changed by their author, removed and restored, read by who may read the thing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from noria.access.comment_entities import MAX_COMMENT_CHARS, Comment, CommentChange, NewComment
from noria.access.comment_subjects import KINDS, SubjectInvalid
from noria.access.comment_tables import comments
from noria.access.comments import CommentChanged, CommentNotFound, CommentOfAnother, Comments
from noria.access.projects import NewProject, Projects
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Forbidden, Invalid, NotFound, TooLarge
from noria.core.events.tables import events
from noria.core.permissions import Principal, Role
from noria.monitoring.service import Monitors
from noria.registry.entities import NewName
from noria.registry.service import Models
from noria.server.upkeep import remove_deleted
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.conformance import Services
from support.wheel import PROJECT, turn_once

BEN = Principal(name="ben", project_roles={PROJECT: Role.SCIENTIST}, holds_key=True)
ADA = Principal(name="ada", project_roles={PROJECT: Role.ADMIN}, holds_key=True)


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def run_id(context: Context) -> str:
    """Give the id of a run."""
    return context.service(Runs).create(PROJECT, NewRun(experiment="Default")).id


def say(services: Services, on: str, text: str = "Looks right") -> Comment:
    return services(Comments).add(PROJECT, NewComment(on=on, text=text))


def texts(services: Services, on: str) -> list[str]:
    return [each.text for each in services(Comments).list(PROJECT, on).items]


def test_what_is_said_stands_in_the_order_of_saying(services: Services, run_id: str) -> None:
    """A comment keeps author, text without blank ends and thing; lists are read from the newest backwards."""
    made = say(services, f"run:{run_id}", "  one \n")
    for word in ("two", "three"):
        say(services, f"run:{run_id}", word)

    assert (made.author, made.text, made.on, made.revision) == ("local", "one", f"run:{run_id}", 1)
    assert texts(services, f"run:{run_id}") == ["one", "two", "three"]
    last = services(Comments).list(PROJECT, f"run:{run_id}", limit=2)
    assert [each.text for each in last.items] == ["two", "three"]
    before = services(Comments).list(PROJECT, f"run:{run_id}", limit=2, before=last.next)
    assert ([each.text for each in before.items], before.next) == (["one"], None)


def test_each_kind_of_thing_is_spoken_of(services: Services, context: Context) -> None:
    """Runs, versions of models and data, endpoints, incidents and decisions; none hears what is said of another."""
    record_id = turn_once(context, close=False)
    alert = context.service(Monitors).alerts(PROJECT, open_only=True).items[0]
    run_id = context.service(Models).version(PROJECT, "digits", 2).origin.run_id
    names = {
        "run": f"run:{run_id}",
        "model": "model:digits@2",
        "dataset": "dataset:digits-train@1",
        "endpoint": "endpoint:digits",
        "incident": f"incident:{alert.id}",
        "record": f"record:{record_id}",
    }
    assert set(names) == set(KINDS)
    for kind, on in names.items():
        say(services, on, kind)
    assert {kind: texts(services, on) for kind, on in names.items()} == {kind: [kind] for kind in names}
    assert texts(services, "model:digits@1") == []


def test_what_is_said_of_a_version_follows_its_model_to_another_name(
    services: Services, context: Context
) -> None:
    """Comments hold to the version, not to the name that it had."""
    turn_once(context)
    say(services, "model:digits@2", "keep")
    context.service(Models).rename(PROJECT, "digits", NewName(name="figures"))

    assert texts(services, "model:figures@2") == ["keep"]


def test_what_is_no_thing_is_told_with_what_is(services: Services) -> None:
    """A reference of another form is refused with the forms that there are."""
    for on in ("", "run", "run:", "experiment:0", "model:digits", "model:digits@x", "dataset:d@", "ruh:1"):
        with pytest.raises(SubjectInvalid) as refused:
            say(services, on)

        assert refused.value.hint is not None
        assert ":ID" in refused.value.hint or "@VERSION" in refused.value.hint, on


def test_a_thing_that_is_not_there_is_not_spoken_of(
    services: Services, context: Context, run_id: str
) -> None:
    """The refusal is the one of reading the thing; a run of another project is none of this one's."""
    context.service(Projects).create(NewProject(name="other"))
    for on in ("run:0", "model:digits@3", "dataset:d@1", "endpoint:e", "incident:i", "record:r"):
        with pytest.raises(NotFound):
            say(services, on)
    with pytest.raises(NotFound):
        services(Comments).add("other", NewComment(on=f"run:{run_id}", text="x"))
    with pytest.raises(NotFound):
        services(Comments).list("other", f"run:{run_id}")


def test_a_text_has_its_limits(services: Services, run_id: str) -> None:
    """Nothing but blanks, too much, and what no database keeps is refused; the longest text is kept."""
    with pytest.raises(Invalid):
        say(services, f"run:{run_id}", " \n\t")
    with pytest.raises(TooLarge):
        say(services, f"run:{run_id}", "x" * (MAX_COMMENT_CHARS + 1))
    with pytest.raises(Invalid):
        say(services, f"run:{run_id}", "a\0b")

    assert len(say(services, f"run:{run_id}", "ä" * MAX_COMMENT_CHARS).text) == MAX_COMMENT_CHARS


def test_an_author_changes_the_text_and_nobody_writes_over_a_newer_one(
    services: Services, run_id: str
) -> None:
    """A change carries the revision that it was made from; the same text again changes nothing."""
    made = say(services, f"run:{run_id}", "one")
    service = services(Comments)
    changed = service.edit(PROJECT, made.id, CommentChange(text="two", revision=1))

    assert (changed.text, changed.revision) == ("two", 2)
    assert changed.edited_at is not None
    with pytest.raises(CommentChanged) as stale:
        service.edit(PROJECT, made.id, CommentChange(text="three", revision=1))
    assert stale.value.details == {"revision": 2}
    assert service.edit(PROJECT, made.id, CommentChange(text="two", revision=1)).revision == 2
    assert service.edit(PROJECT, made.id, CommentChange(text="three")).text == "three"
    with pytest.raises(CommentNotFound):
        service.edit(PROJECT, "nobody", CommentChange(text="x"))


def test_a_removed_comment_comes_back(services: Services, run_id: str) -> None:
    """Removing and restoring may be repeated, and what is removed is not listed."""
    made = say(services, f"run:{run_id}", "one")
    service = services(Comments)

    assert service.remove(PROJECT, made.id).deleted_at is not None
    assert service.remove(PROJECT, made.id).deleted_at is not None
    assert texts(services, f"run:{run_id}") == []
    assert service.restore(PROJECT, made.id).deleted_at is None
    assert service.restore(PROJECT, made.id).text == "one"
    assert texts(services, f"run:{run_id}") == ["one"]


def test_others_neither_change_nor_remove_what_one_said(context: Context, run_id: str) -> None:
    """An admin may remove what another said, and cannot change its text either."""
    made = context.service(Comments).add(PROJECT, NewComment(on=f"run:{run_id}", text="mine"))
    ben, ada = (context.acting_as(who).service(Comments) for who in (BEN, ADA))

    with pytest.raises(CommentOfAnother):
        ben.edit(PROJECT, made.id, CommentChange(text="yours"))
    with pytest.raises(CommentOfAnother):
        ben.remove(PROJECT, made.id)
    with pytest.raises(CommentOfAnother):
        ada.edit(PROJECT, made.id, CommentChange(text="yours"))
    assert ada.remove(PROJECT, made.id).deleted_at is not None
    with pytest.raises(CommentOfAnother):
        ben.restore(PROJECT, made.id)


def test_who_may_not_read_a_thing_neither_reads_nor_says_anything_about_it(
    context: Context, run_id: str
) -> None:
    """A token for comments alone reads none on runs; one that may read runs as well does."""
    context.service(Comments).add(PROJECT, NewComment(on=f"run:{run_id}", text="mine"))
    alone = Principal(name="t", role=Role.SCIENTIST, only=frozenset({"comments.read", "comments.write"}))
    both = Principal(name="t", role=Role.SCIENTIST, only=frozenset({"comments.read", "runs.read"}))

    with pytest.raises(Forbidden):
        context.acting_as(alone).service(Comments).list(PROJECT, f"run:{run_id}")
    with pytest.raises(Forbidden):
        context.acting_as(alone).service(Comments).add(PROJECT, NewComment(on=f"run:{run_id}", text="x"))
    assert len(context.acting_as(both).service(Comments).list(PROJECT, f"run:{run_id}").items) == 1


def test_what_is_done_to_a_comment_is_told_without_its_text(
    services: Services, context: Context, run_id: str
) -> None:
    """Each change appends an event that names the thing; no text gets into the log."""
    made = say(services, f"run:{run_id}", "secret words")
    service = services(Comments)
    service.edit(PROJECT, made.id, CommentChange(text="other words"))
    service.remove(PROJECT, made.id)
    service.restore(PROJECT, made.id)
    with context.database.read() as connection:
        query = sa.select(events.c.type, events.c.payload).where(events.c.subject == f"comment:{made.id}")
        told = connection.execute(query.order_by(events.c.seq)).all()

    assert [row.type for row in told] == [
        f"comment.{each}" for each in ("added", "edited", "removed", "restored")
    ]
    assert all("words" not in str(row.payload) and run_id in str(row.payload) for row in told)


def test_removed_comments_and_those_on_purged_things_go_for_good(
    services: Services, context: Context, clock: ManualClock, run_id: str
) -> None:
    """After the grace period a removed comment is gone, and with a purged run all that was said about it."""
    other = context.service(Runs).create(PROJECT, NewRun(experiment="Default")).id
    removed = say(services, f"run:{run_id}", "removed")
    say(services, f"run:{run_id}", "kept")
    say(services, f"run:{other}", "with its run")
    services(Comments).remove(PROJECT, removed.id)
    context.service(Runs).delete(PROJECT, other)
    clock.advance(timedelta(days=2).total_seconds())

    assert remove_deleted(context, older_than=timedelta(days=1), dry_run=True).rows["comments"] == 1
    assert remove_deleted(context, older_than=timedelta(days=1)).rows["comments"] == 1
    with context.database.read() as connection:
        left = connection.execute(sa.select(comments.c.text)).scalars().all()
    assert left == ["kept"]
    with pytest.raises(CommentNotFound):
        services(Comments).restore(PROJECT, removed.id)
