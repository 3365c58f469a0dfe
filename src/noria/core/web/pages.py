"""What a page is: an address, a permission, a template, and the function that gathers its context.

A capability lists its pages in `pages.py` as `PAGES`; the server makes a route of each. A page's template sees its
context (`page`), the frame around it (`frame`), the formats of the reader's language (`fmt`) and the translation
functions, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from noria.core.context import Context
from noria.core.permissions import Permission
from noria.core.web.languages import Language
from noria.core.web.urls import Urls


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
    """

    language: Language
    languages: tuple[Language, ...]
    urls: Urls
    here: str
    caller: str
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What a template sees. Each page has a subclass of its own, and each field a line in its docstring.

    Attributes
    ----------
    live
        Whether what is shown may change while it is read.
    """

    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request for a page.

    Attributes
    ----------
    context
        The workspace, on behalf of the reader.
    parameters
        From the path and the query; a query parameter that was not given is absent.
    urls
        Makes the addresses of links.
    """

    context: Context
    parameters: dict[str, str]
    urls: Urls


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
