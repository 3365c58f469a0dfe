"""What a page is: an address, a permission, a template, and the function that gathers its context.

A capability lists its pages in `pages.py` as `PAGES`; the server makes a route of each. A page's template sees its
context (`page`), the frame around it (`frame`), the formats of the reader's language (`fmt`) and the translation
functions, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from noria.core.context import Context
from noria.core.permissions import Permission
from noria.core.web.discussions import Discussion
from noria.core.web.forms import FormState, FormView
from noria.core.web.languages import Language
from noria.core.web.notices import Notice
from noria.core.web.themes import Theme
from noria.core.web.urls import Urls


@dataclass(frozen=True, slots=True, kw_only=True)
class Crumb:
    """A step of the way from the project to a page.

    Attributes
    ----------
    text
        A name, or words of ours.
    url
        Where it leads; None for the page itself, which comes last.
    is_ours
        Whether the text is words of ours (`mark`), to be translated.
    """

    text: str
    url: str | None = None
    is_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a project in the main navigation.

    Attributes
    ----------
    words
        Its name, to be translated.
    url
        Where it begins.
    key
        The letter that leads there after `g`.
    is_current
        Whether the page is in it.
    """

    words: str
    url: str
    key: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds every page.

    Attributes
    ----------
    language
        Language of the answer.
    languages
        All that there are, for the switch.
    urls
        Makes the addresses of links.
    here
        Path and query of this page.
    caller
        Name of the one who asks; empty when nobody is known.
    release
        Version of Noria.
    theme, themes
        How the page looks, and all ways that there are.
    project
        The project that the page is of; empty for a page of none.
    sections
        Main navigation of that project, by what the reader may see.
    is_signed_in
        Whether the reader has signed in here, and can sign out.
    csrf
        What each form carries to show that it is ours.
    notice
        What the last action has to say.
    form
        A form that was sent and not taken.
    """

    language: Language
    languages: tuple[Language, ...]
    urls: Urls
    here: str
    caller: str
    release: str
    theme: Theme = Theme.AUTO
    themes: tuple[Theme, ...] = tuple(Theme)
    project: str = ""
    sections: tuple[Section, ...] = ()
    is_signed_in: bool = False
    csrf: str = ""
    notice: Notice | None = None
    form: FormState | None = None

    def form_view(self, action: str, name: str = "") -> FormView:
        """Give a form of this page: fresh, or as it was sent before and not taken.

        A form with a name is known by it: its buttons may send it elsewhere (`formaction`).
        """
        sent = self.form
        if sent is not None and (sent.form != name or not (name or sent.action == action)):
            sent = None
        return FormView(action=action, name=name, csrf=self.csrf, here=self.here, state=sent)


class Elsewhere(Exception):
    """What was asked for stands at another address of ours: the browser is sent there.

    Parameters
    ----------
    to
        Made by `visit.urls`.
    """

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """What asks for a page.

    Attributes
    ----------
    name
        As it calls itself (`User-Agent`).
    is_secure
        Whether a form came by https.
    session
        The secret of the session that the request belongs to; empty when there is none.
    cookies
        The header `Cookie`, for `cookies.read_cookie`.
    """

    name: str = ""
    is_secure: bool = False
    session: str = ""
    cookies: str = ""


_RARELY_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What a template sees. Each page has a subclass of its own, and each field a line in its docstring.

    Attributes
    ----------
    live
        Whether what is shown may change while it is read. Parts of the template that have an `id` and `data-live`
        are then kept up to date.
    beat_s
        Seconds after which a live page looks again though no event told it to: less for what changes without
        events, such as the points of a running run.
    project
        The project that the page is of, where the address does not say it.
    projects
        Names of the projects to change to.
    trail
        The way from the project to this page, this page last.
    comments
        What people said about the thing that the page shows; None where there is none, or the reader may not read it.
    """

    live: bool = False
    beat_s: int = 15
    project: str = ""
    projects: tuple[str, ...] = ()
    trail: tuple[Crumb, ...] = ()
    comments: Discussion | None = None

    @property
    def is_live(self) -> bool:
        """Whether the page is kept up to date: what it shows, or what is said about it."""
        return self.live or self.comments is not None

    @property
    def look_s(self) -> int:
        """Seconds after which it looks again though no event told it to; comments are events."""
        return self.beat_s if self.live else _RARELY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request for a page.

    Attributes
    ----------
    context
        The workspace, on behalf of the reader.
    parameters
        From the path and the query; a query parameter that was not given is absent, and of one that was given
        several times it has the last.
    urls
        Makes the addresses of links.
    lists
        All values of each query parameter that was given.
    browser
        What asks.
    here
        Path and query of the page, or of the page that the form stands on.
    language
        Of the answer: for words that go into a chart, which templates do not translate.
    """

    context: Context
    parameters: dict[str, str]
    urls: Urls
    lists: dict[str, list[str]] = field(default_factory=dict)
    browser: Browser = field(default_factory=Browser)
    here: str = ""
    language: Language = Language.ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the web interface.

    Attributes
    ----------
    path
        With `{name}` for its parameters. A `{project}` is what the gate checks the role in.
    needs
        The permission without which the gate refuses.
    template
        `package/file`: `noria.decisions/decision.html` is in the folder `templates` of `noria.decisions`.
    build
        Gathers the context.
    query
        Names of the query parameters that it knows.
    """

    path: str
    needs: Permission
    template: str
    build: Callable[[Visit], PageContext]
    query: tuple[str, ...] = ()
