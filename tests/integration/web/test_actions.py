"""Actions of pages over real HTTP: what a form does, and what keeps others from sending one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import httpx
import msgspec
import pytest

from noria.core.context import Context
from noria.core.errors import Conflict, Invalid, Unavailable
from noria.core.key import ensure_key
from noria.core.permissions import Permission, Principal, Role
from noria.core.web.actions import (
    Action,
    AnyAction,
    Confirmation,
    Done,
    FieldError,
    FieldsRefused,
    ResendContext,
    Stale,
    Undo,
)
from noria.core.web.cookies import NOTICE_COOKIE
from noria.core.web.languages import mark
from noria.core.web.pages import Page, Visit
from noria.server.assembly import load_actions, load_pages
from support.pages import ACCEPT, Form, Reader, form_in, visible_text

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}`<b>`"
WRITE = Permission(name="deeds.write", role=Role.SCIENTIST)
READ = Permission(name="deeds.read")
PAGE = "/projects/default/deeds"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What the test's form brings."""

    text: Annotated[str, msgspec.Meta(max_length=500)]
    n: int = 1
    tags: list[str] = []
    ends: str = ""


@dataclass(slots=True)
class Deeds:
    """Notes what was done."""

    done: list[Deed] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)

    def do(self, visit: Visit, form: Deed) -> Done:
        """Note a form, or end as it says."""
        project = visit.parameters["project"]
        match form.ends:
            case "stale":
                raise Stale({"text": "what somebody else wrote"})
            case "field":
                raise FieldsRefused({"text": FieldError(words=mark("Fill this in"))})
            case "invalid":
                raise Invalid(f"`{form.text}` will not do", hint="Try `another`")
            case "conflict":
                raise Conflict(f"`{form.text}` is there already")
            case "away":
                raise Unavailable("The disk does not answer")
            case "fault":
                raise ZeroDivisionError
        self.done.append(form)
        undo = Undo(to=f"/projects/{project}/deeds/{form.text}/destroy", fields={"why": ["a", "b"]})
        return Done(
            to={"evil": "//evil.example/"}.get(form.ends),
            words="`%(text)s` was done %(n)s times",
            values={"text": form.text, "n": str(form.n)},
            undo=undo,
        )

    def destroy(self, visit: Visit, form: Why) -> Done:
        """Note what was destroyed."""
        self.destroyed.append(f"{visit.parameters['name']} {' '.join(form.why)}")
        return Done(words="It is gone")

    def confirm(self, visit: Visit, form: Why) -> Confirmation | None:
        """Ask for the name."""
        name = visit.parameters["name"]
        return Confirmation(
            words="Destroy `%(name)s`?", values={"name": name}, button="Destroy", back=PAGE, typed=name
        )

    def page(self, visit: Visit) -> ResendContext:
        """Show a form; the template is that of a form which waited for a sign-in."""
        project = visit.parameters["project"]
        pairs = [("text", "a"), ("n", "2"), ("tags", "x"), ("tags", "y")]
        return ResendContext(action=f"/projects/{project}/deeds", pairs=pairs, here="/")


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Reasons."""

    why: list[str] = []


@pytest.fixture
def deeds(reader: Reader) -> Iterator[Deeds]:
    """Serve a page with a form beside the real ones."""
    made = Deeds()
    path = "/projects/{project}/deeds"
    page = Page(path=path, needs=READ, template="noria.core.web/resend.html", build=made.page, query=("q",))
    actions: list[AnyAction] = [
        Action(path=path, needs=WRITE, fields=Deed, handle=made.do),
        Action(
            path=f"{path}/{{name}}/destroy",
            needs=WRITE,
            fields=Why,
            handle=made.destroy,
            confirm=made.confirm,
        ),
    ]
    reader.server.show([*load_pages(), page], [*load_actions(), *actions])
    yield made
    reader.server.show(load_pages(), load_actions())


@pytest.fixture
def form(reader: Reader, deeds: Deeds) -> Form:
    """Give the form as the page has it."""
    return reader.form(PAGE, PAGE)


def post(reader: Reader, form: Form, **headers: str) -> httpx.Response:
    """Send a form with other headers than a browser's."""
    return reader.client.post(reader.server.url + form.action, data=form.fields, headers=headers)


def test_a_form_does_what_it_says_once(reader: Reader, deeds: Deeds, form: Form) -> None:
    """The browser is sent back to the page, which tells what was done, once."""
    answer = reader.send(form, here=f"{PAGE}?q=1&lang=en")

    assert answer.headers["location"] == f"{PAGE}?q=1&lang=en"
    assert deeds.done == [Deed(text="a", n=2, tags=["x", "y"])]
    assert "✓ a was done 2 times" in reader.follow(answer)
    assert "was done" not in reader.text(PAGE)
    assert NOTICE_COOKIE not in reader.client.cookies


def test_what_was_done_can_be_taken_back(reader: Reader, deeds: Deeds, form: Form) -> None:
    """The notice has a button that sends the fields of the way back."""
    shown = reader.get(reader.send(form).headers["location"]).text
    asked = reader.send(form_in(shown, f"{PAGE}/a/destroy", name="undo"))
    reader.send(form_in(asked.text, f"{PAGE}/a/destroy"), confirmed="a")

    assert deeds.destroyed == ["a a b"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "{url}", "sec-fetch-site": "cross-site"},
        {"authorization": "Bearer t"},
    ],
)
def test_another_site_sends_no_form(
    reader: Reader, deeds: Deeds, form: Form, headers: dict[str, str]
) -> None:
    """A form with the right token does nothing unless the browser says that it comes from a page of ours."""
    reader.server.tokens["t"] = Principal(name="ana", role=Role.ADMIN, holds_key=True)
    sent = {name: value.format(url=reader.server.url) for name, value in headers.items()}
    answer = post(reader, form, **sent)

    assert answer.status_code == 403
    assert answer.json()["code"] == "origin_refused"
    assert deeds.done == []


def test_a_browser_that_tells_no_origin_tells_the_site(reader: Reader, deeds: Deeds, form: Form) -> None:
    """`Sec-Fetch-Site: same-origin` will do, which no page can forge."""
    assert post(reader, form, **{"sec-fetch-site": "same-origin"}).status_code == 303


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("application/json", PAGE),
        ("multipart/form-data; boundary=x", PAGE),
        ("text/plain", PAGE),
        ("application/octet-stream", PAGE),
        ("application/x-www-form-urlencoded", "/api/v1/projects"),
        ("application/x-www-form-urlencoded", "/api/2.0/mlflow/experiments/create"),
        ("application/x-www-form-urlencoded", "//projects/default/deeds"),
        ("application/x-www-form-urlencoded", f"{PAGE}/"),
    ],
)
def test_forms_are_for_actions_and_actions_for_forms(
    reader: Reader, deeds: Deeds, form: Form, kind: str, path: str
) -> None:
    """An action takes nothing but a form, and nothing but an action takes one."""
    answer = reader.client.post(
        reader.server.url + path,
        content=b"text=a&csrf=" + form.shown("csrf").encode(),
        headers={"content-type": kind, "origin": reader.server.url},
    )

    assert answer.status_code == 415
    assert deeds.done == []


def test_a_form_without_our_token_is_shown_again(reader: Reader, deeds: Deeds, form: Form) -> None:
    """A missing or forged token, or one of another reader, does nothing; what was typed stays, with a new token."""
    reader.server.tokens["ana"] = Principal(name="ana", role=Role.ADMIN, holds_key=True)
    hers = form_in(reader.get(PAGE, token="ana").text, PAGE).shown("csrf")
    for token in ("", "forged", hers, form.shown("csrf")[:-4], form.shown("csrf").lower()):
        answer = reader.send(form, csrf=token)
        again = form_in(answer.text, PAGE)

        assert answer.status_code == 403
        assert "This form had become too old" in visible_text(answer.text)
        assert again.shown("csrf") == form.shown("csrf")
    assert deeds.done == []
    assert reader.send(again).status_code == 303


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [
        ({"text": ""}, 422, "Nothing was saved"),
        ({"n": "two"}, 422, "Nothing was saved"),
        ({"text": "a\x00b"}, 422, "Nothing was saved"),
        ({"ends": "field"}, 422, "Nothing was saved"),
        ({"ends": "stale"}, 409, "Somebody else has changed this"),
        ({"ends": "invalid", "text": "bad"}, 422, "bad will not do"),
        ({"ends": "conflict", "text": "bad"}, 409, "bad is there already"),
        ({"ends": "away"}, 503, "The disk does not answer"),
        ({"ends": "fault"}, 500, "The server failed"),
        ({"nonsense": "1"}, 422, "This form has no field nonsense"),
    ],
)
def test_a_form_that_is_not_taken_says_why(
    reader: Reader, deeds: Deeds, form: Form, typed: dict[str, str], status: int, told: str
) -> None:
    """The page that the form stands on is shown again with the reason."""
    answer = reader.send(form, **typed)

    assert answer.status_code == status
    assert told in visible_text(answer.text)
    assert deeds.done == []
    if status != 500:
        assert form_in(answer.text, PAGE).shown("n") == "2"


@pytest.mark.parametrize(
    "body", [b"\xff", b"a", b"%ff=1", b"text=%ff", b"&".join(b"tags=%d" % n for n in range(6000))]
)
def test_what_is_no_form_is_refused(reader: Reader, deeds: Deeds, body: bytes) -> None:
    """Broken and endless forms are refused with the reason."""
    answer = reader.client.post(
        reader.server.url + PAGE,
        content=body,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "origin": reader.server.url,
            "accept": ACCEPT,
        },
    )

    assert answer.status_code == 400
    assert "The form cannot be read" in visible_text(answer.text)


def test_a_huge_form_is_refused(reader: Reader, deeds: Deeds, form: Form) -> None:
    """Nobody makes the server hold a gigabyte."""
    assert reader.send(form, text="a" * 1_100_000).status_code == 413


@pytest.mark.parametrize(
    "here",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\r\nset-cookie: a=b",
        "/" + "a" * 5000,
        "/ñ",
    ],
)
def test_the_way_back_stays_on_this_server(reader: Reader, deeds: Deeds, form: Form, here: str) -> None:
    """Whatever `here` says, the browser is sent to a page of this server, and no header is slipped in."""
    answer = reader.send(form, here=here)

    assert answer.headers["location"] == "/"
    assert "a=b" not in answer.headers.get("set-cookie", "")
    assert reader.send(form, ends="evil").headers["location"] == PAGE


def test_markup_in_a_form_stays_text(reader: Reader, deeds: Deeds, form: Form) -> None:
    """What is typed is text in the notice, in an error, in a question, and in a form that waits."""
    done = reader.get(reader.send(form, text=HOSTILE).headers["location"]).text
    refused = reader.send(form, text=HOSTILE, ends="invalid").text
    unknown = reader.send(form, **{HOSTILE: HOSTILE}).text
    asked = reader.send(form_in(done, f"{PAGE}/{HOSTILE}/destroy", name="undo"), why=HOSTILE).text
    reader.server.is_open = False
    waiting = reader.send(form, text=HOSTILE, here=f"{PAGE}?q=%22%3E%3Cscript%3E").text

    for html in (done, refused, unknown, asked, waiting):
        assert "<script>alert" not in html
        assert "<img" not in html.replace('<img src="/static', "")
        assert "&gt;49`" not in html


def test_a_name_is_typed_before_something_is_destroyed(reader: Reader, deeds: Deeds, form: Form) -> None:
    """The question comes first, another name is told, and the right one does it."""
    page = reader.get(reader.send(form).headers["location"]).text
    asked = reader.send(form_in(page, f"{PAGE}/a/destroy", name="undo"))
    question = form_in(asked.text, f"{PAGE}/a/destroy")
    mistyped = reader.send(question, confirmed="A")
    clicked = reader.send(question, confirmed="yes")
    before = list(deeds.destroyed)
    done = reader.send(question, confirmed="a")

    assert [answer.status_code for answer in (asked, mistyped, clicked, done)] == [200, 422, 422, 303]
    assert "Destroy a ?" in visible_text(asked.text)
    assert "This is another name" in visible_text(mistyped.text)
    assert question.fields["why"] == ["a", "b"]
    assert before == []
    assert deeds.destroyed == ["a a b"]


def test_an_action_asks_for_its_permission(reader: Reader, deeds: Deeds) -> None:
    """Who may see the page may not use its form without the role, nor with one in another project."""
    for token, principal in {
        "viewer": Principal(name="v", role=Role.VIEWER, holds_key=True),
        "elsewhere": Principal(
            name="e", project_roles={"energy": Role.ADMIN, "default": Role.VIEWER}, holds_key=True
        ),
        "narrow": Principal(name="n", role=Role.ADMIN, holds_key=True, only=frozenset({"deeds.read"})),
    }.items():
        reader.server.tokens[token] = principal
        form = form_in(reader.get(PAGE, token=token).text, PAGE)
        headers = {
            "authorization": f"Bearer {token}",
            "origin": reader.server.url,
            "accept": ACCEPT,
        }
        answer = reader.client.post(reader.server.url + PAGE, data=form.fields, headers=headers)

        assert answer.status_code == 403
        assert "may not do this" in visible_text(answer.text)
    assert deeds.done == []


def test_a_stranger_signs_in_first(reader: Reader, deeds: Deeds, form: Form) -> None:
    """On a closed server a form of nobody leads to the page to sign in, and does nothing."""
    reader.server.is_open = False
    answer = reader.send(form)

    assert answer.status_code == 401
    assert form_in(answer.text, "/sign-in").shown("to") == PAGE
    assert deeds.done == []


def test_the_largest_form_waits_too(reader: Reader, context: Context, deeds: Deeds, form: Form) -> None:
    """A page of text survives a sign-in in between, whole."""
    reader.server.is_open = False
    text = "ñ\n" * 100_000
    stopped = reader.send(form, tags=[text, "x"])
    key = ensure_key(context.settings.folder)
    asked = reader.send(form_in(stopped.text, "/sign-in"), name="owner", password=key)
    reader.send(form_in(asked.text, PAGE))

    assert deeds.done == [Deed(text="a", n=2, tags=[text, "x"])]


def test_a_forged_notice_is_not_shown(reader: Reader, context: Context) -> None:
    """A cookie that is not ours says nothing, and is taken back."""
    for forged in ("x", "AAAA" * 30, "%%%", ""):
        reader.client.cookies[NOTICE_COOKIE] = forged
        answer = reader.get("/")

        assert answer.status_code == 200
        assert "notice is-good" not in answer.text
        reader.client.cookies.clear()


def test_an_action_may_not_take_the_machinery_s_fields() -> None:
    """A field that the forms need themselves is refused when the action is declared."""

    class Own(msgspec.Struct, frozen=True, kw_only=True):
        here: str

    def handle(_visit: Visit, _form: Own) -> Done:
        return Done()

    with pytest.raises(TypeError, match="`here`"):
        Action(path="/x", needs=WRITE, fields=Own, handle=handle)
