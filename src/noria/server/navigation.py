"""The main navigation of a project: the sections that exist, by what the reader may see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from noria.access.permissions import READ_AUDIT, READ_PROJECTS
from noria.catalog.permissions import READ_RECORDS
from noria.core.permissions import Permission, Principal
from noria.core.web.languages import mark
from noria.core.web.pages import Section
from noria.core.web.urls import (
    AUDIT_PATH,
    BATCHES_PATH,
    COMPARE_PATH,
    DATASETS_PATH,
    DECISION_PATH,
    ENDPOINTS_PATH,
    EXPERIMENTS_PATH,
    INCIDENTS_PATH,
    MODELS_PATH,
    OVERVIEW_PATH,
    PIPELINES_PATH,
    PROJECT_PATH,
    SCHEDULES_PATH,
    Urls,
)
from noria.data.permissions import READ_DATA
from noria.pipelines.permissions import READ_PIPELINES
from noria.registry.permissions import READ_MODELS
from noria.serving.batch.permissions import READ_BATCHES
from noria.serving.permissions import READ_ENDPOINTS
from noria.tracking.permissions import READ_RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section as it is declared.

    Attributes
    ----------
    words
        To be translated.
    key
        The letter that leads there after `g`.
    needs
        What its first page needs.
    path
        Of its first page; where no such page is served, the section is left out.
    url
        Makes the address for a project.
    within
        Beginnings of the paths of its pages, besides `path`.
    """

    words: str
    key: str
    needs: Permission
    path: str
    url: Callable[[Urls, str], str]
    within: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Tell whether a page is in this section."""
        if self.path == PROJECT_PATH:
            return path in (PROJECT_PATH, OVERVIEW_PATH)
        return path.startswith((self.path, *self.within))


PARTS = (
    Part(words=mark("Overview"), key="o", needs=READ_PROJECTS, path=PROJECT_PATH, url=Urls.overview),
    Part(
        words=mark("Experiments"),
        key="e",
        needs=READ_RUNS,
        path=EXPERIMENTS_PATH,
        url=Urls.experiments,
        within=("/projects/{project}/runs", COMPARE_PATH),
    ),
    Part(
        words=mark("Pipelines"),
        key="p",
        needs=READ_PIPELINES,
        path=PIPELINES_PATH,
        url=Urls.pipelines,
        within=("/projects/{project}/pipeline-runs", SCHEDULES_PATH),
    ),
    Part(words=mark("Models"), key="m", needs=READ_MODELS, path=MODELS_PATH, url=Urls.models),
    Part(words=mark("Data"), key="d", needs=READ_DATA, path=DATASETS_PATH, url=Urls.datasets),
    Part(
        words=mark("Endpoints"),
        key="n",
        needs=READ_ENDPOINTS,
        path=ENDPOINTS_PATH,
        url=Urls.endpoints,
        within=("/projects/{project}/rollouts",),
    ),
    Part(words=mark("Batches"), key="b", needs=READ_BATCHES, path=BATCHES_PATH, url=Urls.batches),
    Part(
        words=mark("Incidents"),
        key="i",
        needs=READ_RECORDS,
        path=INCIDENTS_PATH,
        url=Urls.incidents,
        within=(DECISION_PATH,),
    ),
    Part(words=mark("Audit"), key="a", needs=READ_AUDIT, path=AUDIT_PATH, url=Urls.audit),
)
"""The sections in the order of the navigation."""


def sections(
    principal: Principal, project: str, *, path: str, served: Iterable[str], urls: Urls
) -> tuple[Section, ...]:
    """Give the navigation of a project.

    Parameters
    ----------
    principal
        Who reads.
    path
        Of the page, with `{name}` for its parameters.
    served
        Paths of all pages that there are.
    """
    known = frozenset(served)
    return tuple(
        Section(words=part.words, url=part.url(urls, project), key=part.key, is_current=part.holds(path))
        for part in PARTS
        if part.path in known and principal.may(part.needs, project)
    )
