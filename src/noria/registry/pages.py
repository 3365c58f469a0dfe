"""The page of a model, with its versions and aliases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.errors import Invalid
from noria.core.events.log import Event
from noria.core.web.languages import mark
from noria.core.web.lists import keyset_pager
from noria.core.web.pages import Crumb, Page, PageContext, Visit
from noria.core.web.parts import Column, Pager
from noria.core.web.retelling import Sentence
from noria.core.web.revisions import text_revision
from noria.core.web.urls import MODEL_PATH
from noria.registry.entities import Model, ModelVersion, Stage
from noria.registry.message_sentences import retelling
from noria.registry.page_reads import ModelPages
from noria.registry.pages_list import (
    STAGE_WORDS,
    ServingRow,
    models_crumb,
    serving_rows,
)
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS, REGISTER_MODELS
from noria.registry.service import Models

VERSIONS_PER_PAGE: Final = 25

STAGE_CHOICES = {**STAGE_WORDS, Stage.NONE: mark("no stage")}
"""Stages in a list to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version in the table of a model.

    Attributes
    ----------
    version, url
        Number and page.
    message
        What its maker said, or its description.
    aliases
        That point at it.
    stage
        In words to be translated; empty for none.
    metric, metric_value
        How it did on rows kept apart.
    format
        Which runtime loads it; empty when it is not known.
    run_id, run_url
        The run that made it; empty for none.
    dataset, dataset_url
        What it was trained on; empty where that is not known.
    author, created_at
        Who registered it, and when.
    serving
        Endpoints that answer with it.
    """

    version: int
    url: str
    message: Sentence
    aliases: tuple[str, ...]
    stage: str
    metric: str
    metric_value: float | None
    format: str
    run_id: str
    run_url: str
    dataset: str
    dataset_url: str
    author: str
    created_at: datetime
    serving: tuple[ServingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow:
    """An alias of a model.

    Attributes
    ----------
    moved_at
        Since when it points there.
    url
        Page of the version.
    """

    alias: str
    version: int
    moved_at: datetime
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """A step in the history of the aliases.

    Attributes
    ----------
    version
        Where it points since; None when it was taken away.
    before
        Where it pointed before; None when it was new.
    """

    at: datetime
    actor: str
    alias: str
    version: int | None
    before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContext(PageContext):
    """What the page of a model shows.

    Attributes
    ----------
    now
        When it was read.
    name
        Of the model.
    description
        Markdown; empty where nobody said.
    description_revision
        Tells it apart from another.
    author, created_at, updated_at
        Who made it, and when; when it last changed. The author is empty when it is not known.
    latest
        Number of the newest version; 0 while there is none.
    tags
        Key and value.
    aliases
        In their order.
    history
        The last moves of aliases, newest first.
    columns
        Headings of the table of versions.
    versions
        Newest first.
    pager
        The place in the list of versions.
    serving
        Endpoints that answer with a version of this page; such a model cannot be deleted.
    may_promote, may_write
        Whether the reader may move aliases and delete, and describe and tag.
    """

    now: datetime
    name: str
    description: str
    description_revision: str
    author: str
    created_at: datetime
    updated_at: datetime
    latest: int
    tags: tuple[tuple[str, str], ...]
    aliases: tuple[AliasRow, ...]
    history: tuple[MoveRow, ...]
    columns: tuple[Column, ...]
    versions: tuple[VersionRow, ...]
    pager: Pager
    serving: tuple[ServingRow, ...]
    may_promote: bool
    may_write: bool


def model_page(visit: Visit) -> ModelContext:
    """Show a model: what it is for, its aliases with their history, and its versions."""
    project, before = visit.parameters["project"], _number(visit, "before")
    models, reads = visit.context.service(Models), visit.context.service(ModelPages)
    model = models.get(project, visit.parameters["model"])
    page = models.versions(project, model.name, limit=VERSIONS_PER_PAGE, before=before)
    serving = reads.serving(project, page.items)
    rows = tuple(version_row(visit, each, serving.get(each.version, ())) for each in page.items)
    caller = visit.context.principal
    return ModelContext(
        trail=(models_crumb(visit, project), Crumb(text=model.name)),
        now=visit.context.clock.now(),
        name=model.name,
        description=model.description or "",
        description_revision=text_revision(model.description or ""),
        author=model.author or "",
        created_at=model.created_at,
        updated_at=model.updated_at,
        latest=model.latest,
        tags=tuple(model.tags.items()),
        aliases=_alias_rows(visit, project, model),
        history=tuple(_move_row(event) for event in reads.history(project, model.name)),
        columns=_VERSION_COLUMNS,
        versions=rows,
        pager=_version_pager(visit, model, before, page.next, len(rows)),
        serving=tuple(each for row in rows for each in row.serving),
        may_promote=caller.may(PROMOTE_MODELS, project),
        may_write=caller.may(REGISTER_MODELS, project),
    )


def version_row(visit: Visit, version: ModelVersion, endpoints: tuple[str, ...]) -> VersionRow:
    """Give a version as a table shows it."""
    project, holdout, origin = version.project, version.holdout, version.origin
    return VersionRow(
        version=version.version,
        url=visit.urls.version(project, version.model, version.version),
        message=retelling.find(version.message or version.description or ""),
        aliases=tuple(version.aliases),
        stage=STAGE_WORDS[version.stage],
        metric=holdout.metric if holdout else "",
        metric_value=holdout.value if holdout else None,
        format=version.format or "",
        run_id=origin.run_id or "",
        run_url=visit.urls.run(project, origin.run_id) if origin.run_id else "",
        dataset=origin.dataset or "",
        dataset_url=dataset_url(visit, project, origin.dataset),
        author=version.author,
        created_at=version.created_at,
        serving=serving_rows(visit, project, [(name, version.version) for name in endpoints]),
    )


def dataset_url(visit: Visit, project: str, ref: str | None) -> str:
    """Give the page of a version of a data set; empty for a reference that names none."""
    name, _, number = (ref or "").rpartition("@")
    if not name or not number.isascii() or not number.isdecimal():
        return ""
    return visit.urls.dataset_version(project, name, int(number))


def _alias_rows(visit: Visit, project: str, model: Model) -> tuple[AliasRow, ...]:
    return tuple(
        AliasRow(
            alias=each.alias,
            version=each.version,
            moved_at=each.moved_at,
            url=visit.urls.version(project, model.name, each.version),
        )
        for each in visit.context.service(ModelPages).aliases(project, model.name)
    )


def _move_row(event: Event) -> MoveRow:
    told = event.payload
    is_move = event.type == "model.alias_moved"
    return MoveRow(
        at=event.at,
        actor=event.actor,
        alias=str(told.get("alias", "")),
        version=told.get("version") if is_move else None,
        before=told.get("before") if is_move else told.get("version"),
    )


def _version_pager(
    visit: Visit, model: Model, before: int | None, following: int | None, n_shown: int
) -> Pager:
    def at(key: str | None) -> str:
        return visit.urls.model(model.project, model.name, before=key)

    return keyset_pager(at, here=before, following=following, n_shown=n_shown)


def _number(visit: Visit, name: str) -> int | None:
    given = visit.parameters.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise Invalid(f"`{name}` must be a number, not `{given[:100]}`", hint="Leave it out")
    return int(given)


_VERSION_COLUMNS = (
    Column(key="version", words=mark("Version")),
    Column(key="aliases", words=mark("Aliases")),
    Column(key="metric", words=mark("Held-out metric"), is_number=True),
    Column(key="run", words=mark("Run")),
    Column(key="dataset", words=mark("Data set")),
    Column(key="format", words=mark("Format")),
    Column(key="author", words=mark("By")),
    Column(key="at", words=mark("When")),
)

PAGES = (
    Page(
        path=MODEL_PATH,
        needs=READ_MODELS,
        template="noria.registry/model.html",
        build=model_page,
        query=("before",),
    ),
)
