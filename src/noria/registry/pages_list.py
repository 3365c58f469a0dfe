"""The page that lists models, and what the other pages of models have from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.lists import ListContext, keyset_pager
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.parts import Column
from noria.core.web.urls import MODELS_PATH
from noria.registry.deleted import DeletedModels
from noria.registry.entities import DeletedModel, Stage
from noria.registry.page_reads import ListedModel, ModelPages
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS

MODELS_PER_PAGE: Final = 50
MODELS_WORDS = mark("Models")

STAGE_WORDS = {
    Stage.NONE: "",
    Stage.STAGING: mark("staging"),
    Stage.PRODUCTION: mark("production"),
    Stage.ARCHIVED: mark("archived"),
}


_SENTENCE = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRow:
    """An endpoint that answers with a version."""

    endpoint: str
    url: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMark:
    """An alias beside what it points at."""

    alias: str
    version: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model in the list.

    Attributes
    ----------
    name, url
        And its page.
    description
        Its beginning; empty where nobody said.
    aliases
        With the version of each.
    newest, newest_url
        Number of the newest version, and its page; None while there is none.
    stage
        Of the newest version, in words to be translated; empty for none.
    metric, metric_value
        How the newest version did on rows kept apart.
    author, at
        Who made the newest version, or the model where there is none, and when.
    serving
        Endpoints that answer with its newest or an aliased version.
    tags
        Key and value.
    """

    name: str
    url: str
    description: str
    aliases: tuple[AliasMark, ...]
    newest: int | None
    newest_url: str
    stage: str
    metric: str
    metric_value: float | None
    author: str
    at: datetime
    serving: tuple[ServingRow, ...]
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsContext(ListContext):
    """What the list of models shows.

    Attributes
    ----------
    models
        In the order of their names.
    deleted
        Those that can come back, in place of the others; None when the others are shown.
    other_url
        From the models that there are to the deleted ones, and back; None where the reader cannot restore.
    """

    models: tuple[ModelRow, ...]
    deleted: tuple[DeletedModel, ...] | None
    other_url: str | None


def models_page(visit: Visit) -> ModelsContext:
    """List models with their newest versions."""
    project, after = visit.parameters["project"], visit.parameters.get("after", "")
    may_restore = visit.context.principal.may(PROMOTE_MODELS, project)
    if may_restore and visit.parameters.get("show") == "deleted":
        return _deleted_page(visit, project, after)
    found, following = visit.context.service(ModelPages).list(project, limit=MODELS_PER_PAGE, after=after)
    return ModelsContext(
        trail=(Crumb(text=MODELS_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        columns=_MODEL_COLUMNS,
        models=tuple(_model_row(visit, project, each) for each in found),
        pager=keyset_pager(
            lambda key: visit.urls.models(project, after=key),
            here=after,
            following=following,
            n_shown=len(found),
        ),
        deleted=None,
        other_url=visit.urls.models(project, show="deleted") if may_restore else None,
    )


def _deleted_page(visit: Visit, project: str, after: str) -> ModelsContext:
    urls = visit.urls
    page = visit.context.service(DeletedModels).list(project, limit=MODELS_PER_PAGE, before=after or None)
    return ModelsContext(
        trail=(models_crumb(visit, project), Crumb(text=mark("deleted"), is_ours=True)),
        now=visit.context.clock.now(),
        columns=_DELETED_COLUMNS,
        models=(),
        pager=keyset_pager(
            lambda key: urls.models(project, show="deleted", after=key),
            here=after,
            following=page.next,
            n_shown=len(page.items),
        ),
        deleted=tuple(page.items),
        other_url=urls.models(project),
    )


def models_crumb(visit: Visit, project: str) -> Crumb:
    """Give the step of the way that is the list of models."""
    return Crumb(text=MODELS_WORDS, url=visit.urls.models(project), is_ours=True)


def serving_rows(visit: Visit, project: str, found: list[tuple[str, int]]) -> tuple[ServingRow, ...]:
    """Give endpoints with their pages."""
    return tuple(
        ServingRow(endpoint=name, url=visit.urls.endpoint(project, name), version=version)
        for name, version in found
    )


def _model_row(visit: Visit, project: str, listed: ListedModel) -> ModelRow:
    model, newest = listed.model, listed.newest
    holdout = newest.holdout if newest else None
    return ModelRow(
        name=model.name,
        url=visit.urls.model(project, model.name),
        description=_first_line(model.description or ""),
        aliases=tuple(
            AliasMark(alias=alias, version=number, url=visit.urls.version(project, model.name, number))
            for alias, number in model.aliases.items()
        ),
        newest=newest.version if newest else None,
        newest_url=visit.urls.version(project, model.name, newest.version) if newest else "",
        stage=STAGE_WORDS[newest.stage] if newest else "",
        metric=holdout.metric if holdout else "",
        metric_value=holdout.value if holdout else None,
        author=newest.author if newest else model.author or "",
        at=newest.created_at if newest else model.created_at,
        serving=serving_rows(visit, project, list(listed.serving)),
        tags=tuple(model.tags.items()),
    )


def _first_line(text: str) -> str:
    """Give the beginning of a description without the signs of Markdown."""
    line = next((line for line in text.splitlines() if line.strip("#*_`> -")), "")
    return clipped(line.strip("#*_`> ").replace("**", "").replace("`", ""), _SENTENCE)


_DELETED_COLUMNS = (
    Column(key="name", words=mark("Model")),
    Column(key="versions", words=mark("Versions"), is_number=True),
    Column(key="deleted", words=mark("Deleted")),
)

_MODEL_COLUMNS = (
    Column(key="name", words=mark("Model")),
    Column(key="newest", words=mark("Newest")),
    Column(key="aliases", words=mark("Aliases")),
    Column(key="serving", words=mark("Serves")),
    Column(key="metric", words=mark("Held-out metric"), is_number=True),
    Column(key="author", words=mark("By")),
    Column(key="at", words=mark("When")),
)

PAGES = (
    Page(
        path=MODELS_PATH,
        needs=READ_MODELS,
        template="noria.registry/models.html",
        build=models_page,
        query=("after", "show"),
    ),
)
