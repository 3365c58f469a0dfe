"""Comments on pages: said, changed, removed and brought back by plain forms, and shown as text that does nothing."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from noria.access.comment_entities import NewComment
from noria.access.comments import Comments
from noria.access.entities import NewUser
from noria.access.users import Users
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.core.web.cookies import SESSION_COOKIE
from noria.monitoring.service import Monitors
from noria.registry.service import Models
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.hostile import HOSTILE, assert_harmless
from support.pages import Form, Reader, form_in, visible_text
from support.wheel import PROJECT, turn_once

ADD = "/projects/default/comments"
PASSWORD = "correct horse battery"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


@pytest.fixture
def run(context: Context) -> str:
    """Give the address of a run's page."""
    made = context.service(Runs).create(PROJECT, NewRun(experiment="Default", name="forest"))
    return f"/projects/default/runs/{made.id}"


def say(context: Context, run: str, text: str, *, author: str = "") -> str:
    """Say something about a run; gives the comment's id."""
    who = Principal(name=author, role=Role.SCIENTIST, holds_key=True)
    acting = context.acting_as(who) if author else context
    on = f"run:{run.rpartition('/')[2]}"
    return acting.service(Comments).add(PROJECT, NewComment(on=on, text=text)).id


def add_form(reader: Reader, page: str) -> Form:
    return reader.form(page, ADD, name="comment")


def edit_form(reader: Reader, page: str, comment_id: str) -> Form:
    return reader.form(page, f"{ADD}/{comment_id}/edit", name=f"comment-{comment_id}")


@BOTH
def test_a_comment_is_said_changed_removed_and_brought_back(reader: Reader, run: str) -> None:
    """Each step is a plain form, answered with a notice that takes it back."""
    told = reader.follow(reader.send(add_form(reader, run), text="Looks **right**"))
    assert "The comment stands there now" in told
    page = reader.get(run).text
    assert "<strong>right</strong>" in page
    comment_id = page.partition('id="comment-')[2].partition('"')[0]

    changed = reader.send(edit_form(reader, run, comment_id), text="Looks wrong")
    notice = reader.get(changed.headers["location"]).text
    assert "The comment is changed" in visible_text(notice)
    assert "Looks wrong" in visible_text(notice)
    undone = reader.send(form_in(notice, f"{ADD}/{comment_id}/edit", name="undo"))
    assert "Looks right" in reader.follow(undone)

    removed = reader.send(reader.form(run, f"{ADD}/{comment_id}/remove", name=f"remove-{comment_id}"))
    notice = reader.get(removed.headers["location"]).text
    assert "Looks right" not in visible_text(notice)
    assert "Looks right" in reader.follow(
        reader.send(form_in(notice, f"{ADD}/{comment_id}/restore", name="undo"))
    )


@BOTH
def test_comments_stand_on_every_page_that_has_them(reader: Reader, context: Context) -> None:
    """Runs, versions of models and data, endpoints, incidents and decisions show theirs, and take more."""
    record_id = turn_once(context, close=False)
    alert = context.service(Monitors).alerts(PROJECT, open_only=True).items[0]
    run_id = context.service(Models).version(PROJECT, "digits", 2).origin.run_id
    pages = {
        f"/projects/default/runs/{run_id}": f"run:{run_id}",
        "/projects/default/models/digits/versions/2": "model:digits@2",
        "/projects/default/datasets/digits-train/versions/1": "dataset:digits-train@1",
        "/projects/default/endpoints/digits": "endpoint:digits",
        f"/projects/default/incidents/{alert.id}": f"incident:{alert.id}",
        f"/decisions/default/{record_id}": f"record:{record_id}",
    }
    for page, on in pages.items():
        form = add_form(reader, page)
        assert form.shown("on") == on
        assert f"I read {on}" in reader.follow(reader.send(form, text=f"I read {on}"))
        shown = reader.get(page).text
        assert f"I read {on}" in shown
        # What others say appears on the open page.
        assert 'id="comments-said" data-live' in shown
        assert 'data-events="/projects/default/live"' in shown


def test_what_is_wrong_is_told_at_the_field_with_the_text_kept(reader: Reader, run: str) -> None:
    """An empty or overlong text comes back as typed; so does one on a thing that is gone meanwhile."""
    empty = reader.send(add_form(reader, run), text="")
    long = reader.send(add_form(reader, run), text="x" * 20_001)
    form = add_form(reader, run)
    form.fields["on"] = ["run:0"]
    gone = reader.send(form, text="Much thought went into this")

    assert (empty.status_code, long.status_code, gone.status_code) == (422, 422, 404)
    assert "Fill this in" in visible_text(empty.text)
    assert "Use at most 20000 characters" in visible_text(long.text)
    assert form_in(gone.text, ADD, name="comment").shown("text").strip() == "Much thought went into this"
    assert "Nobody has said anything yet" in reader.text(run)


def test_a_text_changed_in_another_window_is_not_written_over(
    reader: Reader, context: Context, run: str
) -> None:
    """A form made before the last change is answered with both texts; sent again it is the writer's own wish."""
    comment_id = say(context, run, "one")
    old = edit_form(reader, run, comment_id)
    reader.send(edit_form(reader, run, comment_id), text="two")
    stale = reader.send(old, text="three")

    assert stale.status_code == 409
    assert "Stands there now: two" in visible_text(stale.text)
    again = form_in(stale.text, f"{ADD}/{comment_id}/edit", name=f"comment-{comment_id}")
    assert again.shown("text").strip() == "three"
    assert reader.text(run).count("two") == 2  # shown, and in the form
    assert "three" in reader.follow(reader.send(again))


def test_a_text_outlives_the_sign_in(reader: Reader, context: Context, run: str) -> None:
    """Where the session has ended, the text waits in the page to sign in, and is sent after it."""
    context.service(Users).create(NewUser(name="ana", password=PASSWORD, role=Role.SCIENTIST))
    reader.server.is_open = False
    reader.send(reader.form("/sign-in", "/sign-in"), name="ana", password=PASSWORD)
    form = add_form(reader, run)
    reader.client.cookies.delete(SESSION_COOKIE)
    asked = reader.send(form, text="Much thought went into this")
    assert asked.status_code == 401
    resend = reader.send(form_in(asked.text, "/sign-in"), name="ana", password=PASSWORD)
    sent = reader.send(form_in(resend.text, ADD))

    assert "ana" in reader.follow(sent)
    assert "Much thought went into this" in reader.text(run)


def test_each_may_do_what_the_role_allows(reader: Reader, context: Context, run: str) -> None:
    """A viewer reads, a scientist changes their own, an admin removes anybody's and rewrites nobody's."""
    for name, role in (("vera", Role.VIEWER), ("sam", Role.SCIENTIST), ("ada", Role.ADMIN)):
        context.service(Users).create(NewUser(name=name, password=PASSWORD, role=role))
    own, other = say(context, run, "of sam", author="sam"), say(context, run, "of tim", author="tim")
    reader.server.is_open = False
    seen = {}
    for name in ("vera", "sam", "ada"):
        reader.client.cookies.clear()
        reader.send(reader.form("/sign-in", "/sign-in"), name=name, password=PASSWORD)
        page = reader.get(run).text
        assert "of sam" in visible_text(page)
        seen[name] = [
            address in page for address in (f'"{ADD}"', f"{own}/edit", f"{own}/remove", f"{other}/remove")
        ]
    forged = reader.form(run, f"{ADD}/{own}/remove", name=f"remove-{own}")
    forged.action = f"{ADD}/{own}/edit"
    refused = reader.send(forged, form=f"comment-{own}", text="said otherwise", revision="1")

    assert seen == {
        "vera": [False, False, False, False],
        "sam": [True, True, True, False],
        "ada": [True, False, True, True],
    }
    assert refused.status_code == 403
    assert "said otherwise" not in reader.text(run)


def test_hostile_comments_do_nothing(reader: Reader, context: Context, run: str) -> None:
    """Markup in the text and in the author's name is text; links that run something are none."""
    say(context, run, HOSTILE, author=HOSTILE)
    say(context, run, '[x](javascript:alert(1)) <a href="javascript:alert(2)">y</a> <style>*{}</style>')
    say(context, run, "![x](http://elsewhere/x.png) </textarea><script>alert(3)</script>")
    answer = reader.get(run)

    assert_harmless(answer)
    found = _Links()
    found.feed(answer.text)
    assert not [each for each in found.hrefs if each.startswith("javascript")]
    assert found.tags.isdisjoint({"style", "iframe", "object"})
    assert found.images == [each for each in found.images if each.startswith("/static/")]
    assert found.scripts == [each for each in found.scripts if each.startswith("/static/")]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.images: list[str] = []
        self.scripts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.hrefs += [given["href"]] if "href" in given else []
        self.images += [given.get("src", "")] if tag == "img" else []
        self.scripts += [given.get("src", "")] if tag == "script" else []


def test_many_comments_are_read_backwards(reader: Reader, context: Context, run: str) -> None:
    """The page has the last fifty; a link leads to those before, and one back, with the rest of the address kept."""
    for i in range(53):
        say(context, run, f"said {i:02}.")
    page = reader.get(f"{run}?show=all").text
    earlier = next(part for part in page.split('"') if "comments=" in part).replace("&amp;", "&")
    before = reader.get(earlier.partition("#")[0]).text

    assert "said 03." in page
    assert "said 02." not in page
    assert "show=all" in earlier
    assert "said 02." in before
    assert "said 03." not in before
    assert f'href="{run}?show=all#comments"' in before
