"""Web pages of a test's workspace: asked for as a browser asks, and read without one."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

from noria.core.context import Context
from noria.core.trust import trust_for
from noria.core.web.actions import AnyAction
from noria.core.web.pages import Page
from noria.server.assembly import load_actions, load_pages
from support.live_server import LiveServer

ACCEPT = "text/html,application/xhtml+xml,*/*;q=0.8"


@dataclass(frozen=True, slots=True)
class Reader:
    """A browser without the window."""

    server: LiveServer
    client: httpx.Client

    def get(self, path: str, *, language: str = "en", token: str | None = None) -> httpx.Response:
        """Ask for a page."""
        headers = {"accept": ACCEPT, "accept-language": language}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.client.get(self.server.url + path, headers=headers)

    def form(self, path: str, action: str, *, name: str = "", language: str = "en") -> Form:
        """Give a form of a page as it stands there, filled in with what the page says."""
        return form_in(self.get(path, language=language).text, action, name=name)

    def send(self, form: Form, /, *, language: str = "en", **fields: str | list[str]) -> httpx.Response:
        """Send a form as a browser does, with some fields typed, and follow nothing."""
        headers = {"accept": ACCEPT, "accept-language": language, "origin": self.server.url}
        return self.client.post(
            self.server.url + form.action, data={**form.fields, **fields}, headers=headers
        )

    def follow(self, answer: httpx.Response, *, language: str = "en") -> str:
        """Give what a person reads where an answer sends the browser."""
        assert answer.status_code == 303, answer.text
        return self.text(answer.headers["location"], language=language)

    def text(self, path: str, *, language: str = "en") -> str:
        """Give what a person reads on a page, with single spaces."""
        answer = self.get(path, language=language)
        assert answer.status_code == 200, answer.text
        return visible_text(answer.text)


@dataclass(slots=True)
class Form:
    """A form in a page.

    Attributes
    ----------
    action
        Where it goes.
    fields
        Values by name; those of one name as a list.
    kinds
        What each field is: `hidden`, `text`, `select` …
    """

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: str | None, kind: str) -> None:
        """Take in a field; None for a box that is not ticked."""
        self.kinds[name] = kind
        if value is not None:
            self.fields.setdefault(name, []).append(value)

    def shown(self, name: str) -> str:
        """Give what stands in a field."""
        return self.fields[name][-1]


def forms_in(html: str) -> list[Form]:
    """Give the forms of a page that are posted."""
    parser = _Forms()
    parser.feed(html)
    return parser.forms


def form_in(html: str, action: str, *, name: str = "") -> Form:
    """Give the form of a page that goes to an address."""
    found = [
        form for form in forms_in(html) if form.action == action and form.fields.get("form", [""]) == [name]
    ]
    assert found, (
        f"no form goes to {action}: {[form.action for form in forms_in(html)]}\n{visible_text(html)}"
    )
    return found[0]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and given.get("method") == "post":
            self._form = Form(given["action"] or "")
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "input" and name:
            kind = given.get("type") or "text"
            is_off = kind in ("checkbox", "radio") and "checked" not in given
            self._form.add(name, None if is_off else value, kind)
        elif tag == "select":
            self._select = name
        elif tag == "option" and (name := self._select):
            if name not in self._form.fields or "selected" in given:
                self._form.fields[name] = [value]
            self._form.kinds[name] = "select"
        elif tag == "textarea":
            self._area = name
            self._form.add(name, "", "textarea")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._form:
            # A browser drops the line end after the tag.
            self._form.fields[self._area] = [self._form.fields[self._area][0] + data]


@functools.cache
def _all_of_the_package() -> tuple[list[Page], list[AnyAction]]:
    return load_pages(), load_actions()


@contextmanager
def reading(server: LiveServer, context: Context) -> Iterator[Reader]:
    """Show a workspace's pages for the length of the block."""
    server.show(*_all_of_the_package())
    with (
        server.serving(context),
        httpx.Client(verify=trust_for(server.url), trust_env=False) as client,
    ):
        yield Reader(server, client)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def visible_text(html: str) -> str:
    """Give the text of a page, with single spaces."""
    parser = _Text()
    parser.feed(html)
    return " ".join(" ".join(parser.parts).split())
