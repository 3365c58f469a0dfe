"""Signing in with a browser: sessions, who else may not use them, and what becomes of a form when one ends."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from noria.access.entities import NewToken, NewUser, PasswordChange
from noria.access.pages import TOKENS_PER_PAGE
from noria.access.passwords import FAILURES_OF_A_NAME
from noria.access.projects import NewProject, Projects
from noria.access.sessions import IDLE, LIFE, list_sessions
from noria.access.tables import sessions
from noria.access.tokens import Tokens
from noria.access.users import Users
from noria.core.context import Context
from noria.core.key import ensure_key
from noria.core.permissions import Principal, Role
from noria.core.web.cookies import NOTICE_COOKIE, SESSION_COOKIE
from support.pages import Reader, form_in, reading, visible_text

PASSWORD = "correct horse battery"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)


@pytest.fixture
def closed(reader: Reader, context: Context) -> Reader:
    """Close the server to strangers, and make the users `ana`, who is an admin, and `ben`."""
    context.service(Users).create(NewUser(name="ana", password=PASSWORD, role=Role.ADMIN))
    context.service(Users).create(NewUser(name="ben", password=PASSWORD, role=Role.VIEWER))
    reader.server.is_open = False
    return reader


def sign_in(
    reader: Reader, name: str = "ana", password: str = PASSWORD, path: str = "/sign-in"
) -> httpx.Response:
    """Sign in by the page's form."""
    return reader.send(reader.form(path, "/sign-in"), name=name, password=password)


def secret_of(reader: Reader) -> str:
    """Give the secret that the browser holds."""
    return reader.client.cookies[SESSION_COOKIE]


def as_user(context: Context, name: str) -> Context:
    """Give the workspace on behalf of a user."""
    return context.acting_as(Principal(name=name, role=Role.ADMIN, holds_key=True))


@BOTH
def test_a_password_opens_the_pages(closed: Reader, context: Context) -> None:
    """Who signs in goes on to the page that was asked for, and reads it in their own name."""
    asked = closed.get("/projects/default")
    answer = sign_in(closed, path=asked.headers["location"])
    page = closed.get(answer.headers["location"]).text

    assert answer.headers["location"] == "/projects/default"
    assert "Reading as ana" in visible_text(page)
    assert [session.browser for session in list_sessions(as_user(context, "ana"))] == [
        closed.client.headers["user-agent"]
    ]


def test_the_cookie_is_out_of_reach(closed: Reader) -> None:
    """No script reads the cookie, other sites' forms do not bring it, and by https it never goes in the clear."""
    form = closed.form("/sign-in", "/sign-in")
    told = closed.send(form, name="ana", password=PASSWORD).headers["set-cookie"]
    closed.client.cookies.clear()
    by_https = closed.client.post(
        f"{closed.server.url}/sign-in",
        data={**form.fields, "name": "ana", "password": PASSWORD},
        headers={"origin": "https://localhost", "host": "localhost"},
    )

    assert re.fullmatch(
        rf"{SESSION_COOKIE}=[\w-]{{43}}; Path=/; Max-Age={30 * 86400}; HttpOnly; SameSite=Lax", told
    )
    assert by_https.headers["set-cookie"].endswith("; SameSite=Lax; Secure")


@BOTH
def test_a_session_ends_when_it_is_not_used_and_at_last_anyway(closed: Reader, context: Context) -> None:
    """Twelve hours without a page end a session, and thirty days in any case; use keeps it alive in between."""
    sign_in(closed)
    now = context.clock.now()

    def set_times(**times: object) -> int:
        with context.database.write() as connection:
            connection.execute(sa.update(sessions).values(**times))
        return closed.get("/").status_code

    assert set_times(seen_at=now - IDLE + timedelta(minutes=1)) == 200
    with context.database.read() as connection:
        seen_at = connection.execute(sa.select(sessions.c.seen_at)).scalar_one()
    assert seen_at >= now
    assert set_times(seen_at=now - IDLE - timedelta(minutes=1)) == 303
    assert set_times(seen_at=now, expires_at=now) == 303
    assert set_times(seen_at=now, expires_at=now + LIFE) == 200


def test_signing_out_ends_the_session(closed: Reader, context: Context) -> None:
    """After signing out neither the browser nor a copy of its cookie gets in."""
    sign_in(closed)
    secret = secret_of(closed)
    answer = closed.send(closed.form("/account", "/sign-out"))

    assert "You are signed out" in closed.follow(answer)
    assert SESSION_COOKIE not in closed.client.cookies
    closed.client.cookies[SESSION_COOKIE] = secret
    assert closed.get("/").status_code == 303
    assert list_sessions(as_user(context, "ana")) == []


@BOTH
def test_a_session_elsewhere_can_be_ended(closed: Reader, context: Context) -> None:
    """The account lists the sessions of its owner, marks the present one, and ends any other; nobody ends another's."""
    with reading(closed.server, context) as other:
        closed.server.is_open = False
        sign_in(other)
        sign_in(closed)
        mine, theirs = list_sessions(as_user(context, "ana"))
        page = closed.get("/account").text
        answer = closed.send(form_in(page, f"/account/sessions/{theirs.id}/end"))
        after = [closed.get("/").status_code, other.get("/").status_code]
        closed.client.cookies.clear()
        sign_in(closed, "ben")
        form = closed.form("/account", "/sign-out")
        form.action = f"/account/sessions/{mine.id}/end"
        refused = closed.send(form)

    assert visible_text(page).count("this one") == 1
    assert "The session has ended" in visible_text(closed.get("/account").text) or answer.status_code == 303
    assert after == [200, 303]
    assert refused.status_code == 404
    assert "You have no session" in visible_text(refused.text)
    assert [session.id for session in list_sessions(as_user(context, "ana"))] == [mine.id]


@BOTH
def test_a_new_password_ends_the_other_sessions(closed: Reader, context: Context) -> None:
    """The browser in which it was changed goes on, under a new secret; the others are out, and the old password too."""
    with reading(closed.server, context) as other:
        closed.server.is_open = False
        sign_in(other)
        sign_in(closed)
        before = secret_of(closed)
        form = closed.form("/account", "/account/password")
        typed = {"current": PASSWORD, "password": "new horse battery", "again": "new horse battery"}
        told = closed.follow(closed.send(form, **typed))
        inside = [closed.get("/").status_code, other.get("/").status_code]
        closed.client.cookies.clear()

        assert "The password is changed" in told
        assert before != secret_of_answer(sign_in(closed, password="new horse battery"))
        assert inside == [200, 303]
        closed.client.cookies.clear()
        assert sign_in(closed).status_code == 401


def secret_of_answer(answer: httpx.Response) -> str:
    """Give the secret that an answer sets."""
    return answer.cookies[SESSION_COOKIE]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"current": "wrong horse", "password": "x" * 12, "again": "x" * 12}, "This is not your password"),
        ({"current": PASSWORD, "password": "x" * 12, "again": "y" * 12}, "The two new passwords differ"),
        ({"current": PASSWORD, "password": "short", "again": "short"}, "Use at least 10 characters"),
        ({"current": PASSWORD, "password": "x" * 12, "again": ""}, "Fill this in"),
        ({"current": PASSWORD, "password": "x" * 1001, "again": "x"}, "Use at most 1000 characters"),
    ],
)
def test_a_password_that_will_not_do_is_told_at_its_field(
    closed: Reader, typed: dict[str, str], told: str
) -> None:
    """What is wrong stands at its field, no password is shown again, and nothing changes."""
    sign_in(closed)
    answer = closed.send(closed.form("/account", "/account/password"), **typed)

    assert answer.status_code == 422
    assert told in visible_text(answer.text)
    assert not [value for value in typed.values() if value and f'"{value}"' in answer.text]
    assert sign_in(closed).status_code == 303


def test_guessing_is_slow(closed: Reader) -> None:
    """After some wrong passwords a name has to wait, with the right one too, and is told how long."""
    answers = [sign_in(closed, password="wrong") for _ in range(FAILURES_OF_A_NAME + 1)]
    right = sign_in(closed)

    assert [answer.status_code for answer in answers] == [401] * FAILURES_OF_A_NAME + [429]
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 0
    assert "too many wrong passwords" in visible_text(right.text)
    assert SESSION_COOKIE not in closed.client.cookies


def test_a_wrong_password_and_an_unknown_name_look_alike(closed: Reader) -> None:
    """Nobody learns which names exist; what was typed as the name stays, the password does not."""
    wrong, unknown = (sign_in(closed, name, "guessed it") for name in ("ana", "eve"))
    texts = [re.sub("ana|eve", "NAME", visible_text(answer.text)) for answer in (wrong, unknown)]

    assert wrong.status_code == unknown.status_code == 401
    assert texts[0] == texts[1]
    assert form_in(unknown.text, "/sign-in").shown("name") == "eve"
    assert "guessed it" not in wrong.text + unknown.text
    assert wrong.headers["www-authenticate"] == "Bearer"  # `Basic` would open the browser's own window


def test_a_planted_secret_becomes_no_session(closed: Reader, context: Context) -> None:
    """A cookie that was in the browser before is not the session after the sign-in (fixation)."""
    planted = "a" * 43
    closed.client.cookies[SESSION_COOKIE] = planted
    answer = sign_in(closed)
    closed.client.cookies.clear()
    closed.client.cookies[SESSION_COOKIE] = planted

    assert secret_of_answer(answer) != planted
    assert closed.get("/").status_code == 303


def test_signing_in_anew_ends_the_session_before(closed: Reader, context: Context) -> None:
    """A browser has one session: signing in as somebody else ends it."""
    sign_in(closed)
    sign_in(closed, "ben")

    assert list_sessions(as_user(context, "ana")) == []
    assert "Reading as ben" in closed.text("/account")


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        " //evil.example",
    ],
)
def test_the_way_on_stays_on_this_server(closed: Reader, to: str) -> None:
    """Whatever `to` says, a sign-in leads to a page of this server."""
    form = closed.form("/sign-in", "/sign-in")
    answer = closed.send(form, name="ana", password=PASSWORD, to=to)
    shown = closed.client.get(
        f"{closed.server.url}/sign-in", params={"to": to}, headers={"accept": "text/html"}
    )

    assert answer.headers["location"] == "/"
    assert (
        "evil.example" not in shown.text.replace(f"to={to}", "")
        or form_in(shown.text, "/sign-in").shown("to") == ""
    )


def test_the_workspace_key_signs_its_owner_in(reader: Reader, context: Context) -> None:
    """On an open server the key, as a password, opens what a visitor is not let in to."""
    before = reader.get("/account/tokens")
    answer = sign_in(reader, "anybody", ensure_key(context.settings.folder))

    assert before.status_code == 403
    assert answer.status_code == 303
    assert reader.get("/account/tokens").status_code == 200
    assert "this one" in reader.text("/account")


def test_a_form_survives_the_end_of_the_session(closed: Reader, context: Context) -> None:
    """Who has to sign in again before a form is taken keeps what was typed, and is asked whether to send it."""
    sign_in(closed)
    form = closed.form("/account/tokens", "/account/tokens")
    with context.database.write() as connection:
        connection.execute(sa.delete(sessions))
    stopped = closed.send(form, name="night<b>ly", days="7")
    again = closed.send(form_in(stopped.text, "/sign-in"), name="ana", password="wrong guess")
    asked = closed.send(form_in(again.text, "/sign-in"), name="ana", password=PASSWORD)
    resent = form_in(asked.text, "/account/tokens")
    made = closed.send(resent, name="nightly")

    assert stopped.status_code == 401
    assert "what you typed is kept" in visible_text(stopped.text)
    assert again.status_code == 401
    assert "night<b>ly" in visible_text(asked.text)
    assert "<b>ly" not in asked.text
    assert resent.shown("days") == "7"
    assert "This is the token nightly" in closed.follow(made)
    assert [token.name for token in context.service(Tokens).list().items] == ["nightly"]


def test_a_password_does_not_wait_with_its_form(closed: Reader, context: Context) -> None:
    """A form with passwords is kept without them."""
    sign_in(closed)
    form = closed.form("/account", "/account/password")
    with context.database.write() as connection:
        connection.execute(sa.delete(sessions))
    stopped = closed.send(form, current="my old secret", password="my new secret", again="my new secret")

    assert stopped.status_code == 401
    assert "secret" not in stopped.text
    assert form_in(stopped.text, "/sign-in").shown("kept") == ""


@BOTH
def test_a_token_is_shown_once(closed: Reader, context: Context) -> None:
    """The secret of a new token stands on the next page alone, and works."""
    context.service(Projects).create(NewProject(name="energy"))
    sign_in(closed)
    form = closed.form("/account/tokens", "/account/tokens")
    answer = closed.send(form, name="nightly", days="7", role="viewer", project="energy", only="runs.read")
    shown = closed.text("/account/tokens")
    (secret,) = set(re.findall(r"noria_[\w-]{43}", shown))
    (token,) = context.service(Tokens).list().items

    assert answer.headers["location"] == "/account/tokens"
    assert secret not in closed.text("/account/tokens")
    assert (token.user, token.project, token.role, token.permissions) == (
        "ana",
        "energy",
        Role.VIEWER,
        ["runs.read"],
    )
    assert timedelta(0) <= timedelta(days=7) - (token.expires_at - token.created_at) < timedelta(seconds=5)
    assert secret not in answer.headers["set-cookie"]
    assert NOTICE_COOKIE not in closed.client.cookies


def test_a_token_that_cannot_be_is_told(closed: Reader, context: Context) -> None:
    """Wrong days are told at their field, a service's refusal in its words; what was typed stays."""
    sign_in(closed)
    form = closed.form("/account/tokens", "/account/tokens")
    many = closed.send(form, name="a", days="367", role="viewer")
    named = closed.send(form, name="a b", days="7", role="viewer")
    role = closed.send(form, name="a", role="emperor")

    assert "This must be at most 366" in visible_text(many.text)
    assert form_in(many.text, "/account/tokens").fields["role"] == ["viewer"]
    assert form_in(many.text, "/account/tokens").fields["days"] == ["367"]
    assert "a b cannot be the name of a token" in visible_text(named.text)
    assert "Choose one of the list" in visible_text(role.text)
    assert {answer.status_code for answer in (many, named, role)} == {422}
    assert context.service(Tokens).list().items == []


def test_a_token_is_revoked_after_a_question(closed: Reader, context: Context) -> None:
    """Revoking asks first, in words, and does it at the second click."""
    sign_in(closed)
    closed.send(closed.form("/account/tokens", "/account/tokens"), name="nightly")
    (token,) = context.service(Tokens).list().items
    path = f"/account/tokens/{token.id}/revoke"
    asked = closed.send(closed.form("/account/tokens", path))
    kept = len(context.service(Tokens).list().items)
    told = closed.follow(closed.send(form_in(asked.text, path)))

    assert "Revoke the token nightly ?" in visible_text(asked.text)
    assert kept == 1
    assert "The token nightly is revoked" in told
    assert context.service(Tokens).list().items == []


def test_a_viewer_sees_own_tokens_only(closed: Reader, context: Context) -> None:
    """Tokens of others are for admins; nobody else revokes them."""
    sign_in(closed)
    closed.send(closed.form("/account/tokens", "/account/tokens"), name="of-ana")
    (token,) = context.service(Tokens).list().items
    sign_in(closed, "ben")
    form = closed.form("/account/tokens", "/account/tokens")
    too_strong = closed.send(form, name="strong", role="admin")
    form.action = f"/account/tokens/{token.id}/revoke"
    form.fields = {name: form.fields[name] for name in ("csrf", "here")}
    refused = closed.send(form, name="of-ana", confirmed="yes")

    assert "of-ana" not in closed.text("/account/tokens")
    assert too_strong.status_code == 403
    assert refused.status_code == 404
    assert len(context.service(Tokens).list().items) == 1


def test_a_user_who_is_gone_is_out(closed: Reader, context: Context) -> None:
    """With the user go the sessions; a role that changes counts at the next page."""
    sign_in(closed, "ben")
    first = closed.get("/").status_code
    context.service(Users).set_password("ben", PasswordChange(password="an admin set this"))
    second = closed.get("/").status_code
    sign_in(closed, "ben", "an admin set this")
    context.service(Users).delete("ben")

    assert (first, second, closed.get("/").status_code) == (200, 303, 303)


def test_pages_of_one_s_own_are_in_both_languages(closed: Reader) -> None:
    """Sign-in, account and tokens are told in Spanish too."""
    page = closed.get("/sign-in", language="es").text
    sign_in(closed)

    assert "Iniciar sesión" in visible_text(page)
    assert "Dónde tiene la sesión abierta" in closed.text("/account", language="es")
    assert "Crear un token" in closed.text("/account/tokens", language="es")


@pytest.fixture(autouse=True)
def without_cookies(reader: Reader) -> None:
    """Begin with a browser that nobody has used."""
    reader.client.cookies.clear()


HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}`<b>`"


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_browsers_and_people_write_stays_text(closed: Reader, context: Context, language: str) -> None:
    """The name of a browser and the permissions of a token are shown as text, however long they are."""
    closed.client.headers["user-agent"] = HOSTILE + "x" * 900
    sign_in(closed)
    form = closed.form("/account/tokens", "/account/tokens")
    closed.send(form, name="a" * 120, only=f"{HOSTILE.replace(' ', '')} {'p' * 500}")
    refused = closed.send(form, name=HOSTILE[:100]).text
    wrong = closed.send(closed.form("/sign-in", "/sign-in"), name=HOSTILE, password="x").text
    shown = [closed.get(path, language=language).text for path in ("/account", "/account/tokens")]
    closed.client.headers["user-agent"] = "test"

    assert "&lt;script&gt;" in shown[0]
    assert "&lt;script&gt;" in shown[1]
    assert "p" * 500 in shown[1]
    for html in (*shown, refused, wrong):
        assert "<script>alert" not in html
        assert "onerror=alert(1)>" not in html.replace("&gt;", "").replace("&lt;", "")
        assert "<b>" not in html


def test_many_tokens_are_paged(closed: Reader, context: Context) -> None:
    """The list of tokens goes on on further pages, each token once."""
    sign_in(closed)
    for i in range(TOKENS_PER_PAGE + 3):
        context.service(Tokens).create(NewToken(name=f"t{i:02}"))
    seen: list[str] = []
    path: str | None = "/account/tokens"
    while path is not None:
        page = closed.get(path).text
        seen += re.findall(r"<strong>(t\d\d)</strong>", page)
        found = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = found[1] if found else None

    assert seen == [f"t{i:02}" for i in reversed(range(TOKENS_PER_PAGE + 3))]
