"""Find things of every project that the caller may read, by name, tag or the beginning of an id.

Every query is led by an index or bounded: names are looked up as they begin, and words within them among the newest
`REACH` of a kind. Runs, which are many, are found by the search of runs (`noria.tracking.search`): among tens of
thousands it has an index of the pieces of their names. What the caller may not read is left out in the query itself,
so that it takes no place of what they may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.operations import Service
from noria.core.permissions import Permission
from noria.core.web.references import split_version
from noria.data.tables import dataset_versions, datasets
from noria.registry.tables import model_tags, model_version_tags, model_versions, models
from noria.server.search_sources import SOURCES, Source
from noria.tracking.search.fields import TAG
from noria.tracking.search.grammar import ATTRIBUTE, Clause
from noria.tracking.search.runs import RunQuery, search_runs
from noria.tracking.tables import experiment_tags, experiments, runs, tracking_keys

SHOWN: Final = 8
"""Hits of a kind."""

REACH: Final = 5_000
"""Things of a kind whose names are looked through for words within."""

EXPERIMENTS: Final = 20_000
"""The newest experiments, which are found by their tags, and whose runs are found by name and tag."""

WHOLE_ID: Final = 32

LEAST_PART: Final = 3
"""Characters of a part of a run's name that is looked for anywhere in it; a shorter one is a beginning."""

_RUN_NAME: Final = "run_name"

_ID = re.compile(r"[0-9a-f]{4,32}")
_LAST = chr(0x10FFFF)
"""Follows everything that begins with a text."""

_NEAR: Final = 1_000
"""Things with one beginning of an id that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that was found.

    Attributes
    ----------
    kind
        Name of its source: `run`, `version` …
    ref
        What its page is made of: `run:<id>`, `model:digits@3`, `incident:<id>`.
    name
        What people call it.
    note
        What tells it apart from others of the name; empty for none.
    """

    kind: str
    id: str
    ref: str
    project: str
    name: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found.

    Attributes
    ----------
    hits
        By kind, in the order of `SOURCES`, the best first; kinds without hits are left out.
    exact
        The thing whose whole id was searched for.
    """

    hits: dict[str, tuple[Hit, ...]] = field(default_factory=dict)
    exact: Hit | None = None


class Search(Service):
    """Reads for the page of the search; no operations: programs have those of each capability."""

    def find(self, text: str) -> Found:
        """Find things by a name or a part of it, `key=value` of a tag, `model@3`, or an id or its beginning."""
        if not text:
            return Found()
        with self.context.database.read() as connection:
            look = Look(connection, self._readable(connection), text)
            by_kind = {source.kind: look.hits(source) for source in SOURCES}
        exact = [
            hit
            for hits in by_kind.values()
            for hit in hits
            if len(text) == WHOLE_ID and hit.id == text.lower()
        ]
        return Found(
            hits={kind: hits for kind, hits in by_kind.items() if hits},
            exact=exact[0] if len(exact) == 1 else None,
        )

    def _readable(self, connection: sa.Connection) -> Callable[[Permission], dict[int, str]]:
        rows = connection.execute(sa.select(projects.c.pk, projects.c.name))
        names = {int(key): str(name) for key, name in rows}
        principal = self.context.principal

        def readable(needs: Permission) -> dict[int, str]:
            return {key: name for key, name in names.items() if principal.may(needs, name)}

        return readable


@dataclass(frozen=True, slots=True)
class Look:
    """A search in a transaction, for what `readable` gives by permission: names of projects by their keys."""

    connection: sa.Connection
    readable: Callable[[Permission], dict[int, str]]
    text: str

    def hits(self, source: Source) -> tuple[Hit, ...]:
        """Give the best hits of a kind."""
        names = self.readable(source.needs)
        if not names:
            return ()
        found: dict[str, Hit] = {}
        for query in self._queries(source, list(names)):
            for row in self.connection.execute(query):
                name = str(row.name)
                found.setdefault(
                    row.id,
                    Hit(
                        kind=source.kind,
                        id=row.id,
                        ref=source.ref(row.id, name),
                        project=names[row.project_pk],
                        name=name,
                        note=row.note or "",
                        at=row.at,
                    ),
                )
        newest = sorted(found.values(), key=lambda hit: hit.at, reverse=True)
        return tuple(sorted(newest, key=self._distance)[:SHOWN])

    def _distance(self, hit: Hit) -> int:
        name, text = hit.name.casefold(), self.text.casefold()
        return 0 if text in (name, hit.id) else 1 if name.startswith(text) else 2

    def _queries(self, source: Source, keys: list[int]) -> Iterator[sa.Select[Any]]:
        if _ID.fullmatch(self.text.lower()):
            yield _by_id(source, keys, self.text.lower())
        if source.kind == "run":
            yield from self._runs(source, keys)
            return
        key, is_tag, value = self.text.partition("=")
        if is_tag and source.kind in _TAGS:
            yield _TAGS[source.kind](source, keys, key.strip(), value.strip())
        if source.kind in ("version", "dataset-version"):
            yield from _by_reference(source, keys, self.text)
        else:
            yield from _by_name(source, keys, self.text)

    def _runs(self, source: Source, keys: list[int]) -> Iterator[sa.Select[Any]]:
        """Find runs by a part of their name in any case, by their whole name, and by a tag."""
        among = list(self.connection.execute(_newest_experiments(keys)).scalars())
        found = self._search_runs(among, _of_name(self.text))
        if len(found) == SHOWN:  # newer ones whose name only holds it may hide the one that is called so
            whole = Clause(entity=ATTRIBUTE, key=_RUN_NAME, comparator="=", value=self.text)
            found += self._search_runs(among, whole)
        tagged = _of_tag(self.text)
        found += self._search_runs(among, tagged) if tagged else []
        if found:
            yield source.select.where(runs.c.pk.in_(found))

    def _search_runs(self, among: list[int], clause: Clause) -> list[int]:
        return search_runs(self.connection, among, RunQuery(clauses=(clause,)), limit=SHOWN)[0]


def _of_name(text: str) -> Clause:
    # Shorter parts are in no index, and are in nearly every name anyway.
    if len(text) < LEAST_PART:
        return Clause(entity=ATTRIBUTE, key=_RUN_NAME, comparator="LIKE", value=f"{text}%")
    return Clause(entity=ATTRIBUTE, key=_RUN_NAME, comparator="ILIKE", value=f"%{text}%")


def _of_tag(text: str) -> Clause | None:
    key, is_tag, value = (part.strip() for part in text.partition("="))
    if not (is_tag and key):
        return None
    if not value:
        return Clause(entity=TAG, key=key, comparator="IS NOT NULL", value=None)
    return Clause(entity=TAG, key=key, comparator="LIKE", value=f"{value}%")


def _by_id(source: Source, keys: Sequence[int], text: str) -> sa.Select[Any]:
    near = (
        source.select.where(source.id >= text, source.id < text + "g")
        .order_by(source.id)
        .limit(_NEAR)
        .subquery()
    )
    return sa.select(near).where(near.c.project_pk.in_(keys)).limit(SHOWN)


def _by_name(source: Source, keys: Sequence[int], text: str) -> Iterator[sa.Select[Any]]:
    of_these = source.select.where(source.project.in_(keys))
    if source.is_bytewise:
        yield (
            of_these.where(source.name >= text, source.name < text + _LAST).order_by(source.name).limit(SHOWN)
        )
    if source.newest is not None:
        near = of_these.order_by(source.newest).limit(REACH).subquery()
        within = near.c.name.icontains(text, autoescape=True)
        if source.also is not None:
            within = sa.or_(within, near.c.note.icontains(text, autoescape=True))
        yield sa.select(near).where(within).limit(2 * SHOWN)


def _by_reference(source: Source, keys: Sequence[int], text: str) -> Iterator[sa.Select[Any]]:
    name, version = split_version(text)
    if version is not None:
        parent, number = (
            (models.c.name, model_versions.c.version)
            if source.kind == "version"
            else (datasets.c.name, dataset_versions.c.version)
        )
        yield source.select.where(source.project.in_(keys), parent == name, number == version)


def _newest_experiments(keys: Sequence[int]) -> sa.Select[Any]:
    return (
        sa.select(experiments.c.pk)
        .where(experiments.c.project_pk.in_(keys), experiments.c.deleted_at.is_(None))
        .order_by(experiments.c.created_at.desc())
        .limit(EXPERIMENTS)
    )


def _tagged_experiments(source: Source, keys: Sequence[int], key: str, value: str) -> sa.Select[Any]:
    named = sa.select(tracking_keys.c.pk).where(tracking_keys.c.key == key).scalar_subquery()
    having = (
        sa.select(experiment_tags.c.experiment_pk)
        .where(experiment_tags.c.experiment_pk.in_(_newest_experiments(keys)))
        .where(experiment_tags.c.key_pk == named, experiment_tags.c.value.startswith(value, autoescape=True))
    )
    return source.select.where(experiments.c.pk.in_(having)).limit(SHOWN)


def _tagged_models(source: Source, keys: Sequence[int], key: str, value: str) -> sa.Select[Any]:
    return (
        source.select.join(model_tags, model_tags.c.model_pk == models.c.pk)
        .where(source.project.in_(keys), model_tags.c.key == key)
        .where(model_tags.c.value.startswith(value, autoescape=True))
        .limit(SHOWN)
    )


def _tagged_versions(source: Source, keys: Sequence[int], key: str, value: str) -> sa.Select[Any]:
    return (
        source.select.join(model_version_tags, model_version_tags.c.version_pk == model_versions.c.pk)
        .where(source.project.in_(keys), model_version_tags.c.key == key)
        .where(model_version_tags.c.value.startswith(value, autoescape=True))
        .limit(SHOWN)
    )


_TAGS = {
    "experiment": _tagged_experiments,
    "model": _tagged_models,
    "version": _tagged_versions,
}
