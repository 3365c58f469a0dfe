"""The page of the search over everything; a whole id leads straight to its thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.access.permissions import LIST_PROJECTS
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.pages import Crumb, Elsewhere, Page, PageContext, Visit
from noria.core.web.references import reference_url
from noria.core.web.retelling import Sentence
from noria.core.web.urls import SEARCH_PATH
from noria.decisions import course_words
from noria.server.search import SHOWN, Hit, Search

MAX_QUERY: Final = 200

_NAME = 160

GROUP_WORDS = {
    "experiment": mark("Experiments"),
    "run": mark("Runs"),
    "model": mark("Models"),
    "version": mark("Versions of models"),
    "dataset": mark("Data sets"),
    "dataset-version": mark("Versions of data sets"),
    "endpoint": mark("Endpoints"),
    "incident": mark("Incidents"),
    "decision": mark("Decisions"),
}

_DECISION_WORDS = {"selection": mark("choice of a model"), "remedy": mark("remedy")}


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRow:
    """Something that was found.

    Attributes
    ----------
    name, url
        And its page.
    note
        What tells it apart, as a user wrote it; empty for none.
    told
        The same in words of ours; None where they are a user's.
    project
        That it is in.
    id
        The whole of it.
    """

    name: str
    url: str
    note: str
    told: Sentence | None
    project: str
    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HitGroup:
    """What was found of a kind.

    Attributes
    ----------
    kind
        For the `id` of the heading.
    words
        Heading, to be translated.
    hits
        The best first.
    is_full
        Whether there may be more.
    """

    kind: str
    words: str
    hits: tuple[HitRow, ...]
    is_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchContext(PageContext):
    """What the page of the search shows.

    Attributes
    ----------
    now
        When it was read.
    text
        What was searched for; empty for nothing yet.
    groups
        What was found, by kind.
    """

    now: datetime
    text: str
    groups: tuple[HitGroup, ...]


def search_page(visit: Visit) -> SearchContext:
    """Search for a text, or go on to the thing whose whole id it is."""
    text = visit.parameters.get("q", "").strip()[:MAX_QUERY]
    found = visit.context.service(Search).find(text)
    if found.exact is not None:
        raise Elsewhere(_url(visit, found.exact))
    return SearchContext(
        trail=(Crumb(text=mark("Search"), is_ours=True),),
        now=visit.context.clock.now(),
        text=text,
        groups=tuple(
            HitGroup(
                kind=kind,
                words=GROUP_WORDS[kind],
                hits=tuple(_row(visit, hit) for hit in hits),
                is_full=len(hits) >= SHOWN,
            )
            for kind, hits in found.hits.items()
        ),
    )


def _row(visit: Visit, hit: Hit) -> HitRow:
    told = _told(hit)
    return HitRow(
        name=clipped(hit.name, _NAME),
        url=_url(visit, hit),
        note=clipped(hit.note, _NAME) if told is None else "",
        told=told,
        project=hit.project,
        id=hit.id,
        at=hit.at,
    )


def _told(hit: Hit) -> Sentence | None:
    if hit.kind == "incident":
        return course_words.found(hit.note)
    return Sentence(_DECISION_WORDS[hit.note]) if hit.kind == "decision" else None


def _url(visit: Visit, hit: Hit) -> str:
    return reference_url(visit.urls, hit.project, hit.ref) or visit.urls.overview(hit.project)


PAGES = (
    Page(
        path=SEARCH_PATH,
        needs=LIST_PROJECTS,
        template="noria.server/search.html",
        build=search_page,
        query=("q",),
    ),
)
