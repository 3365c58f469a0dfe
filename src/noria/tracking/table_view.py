"""How a table of runs is looked at: its filter, order, columns and group, as the address of the page says it. Pure."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from noria.core.errors import Invalid
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.parts import Choice, Column, Direction
from noria.core.web.urls import Urls
from noria.tracking.entities import Lifecycle
from noria.tracking.known import KeyKind, KnownKeys
from noria.tracking.run_cells import Wanted
from noria.tracking.run_tables import TableAsked
from noria.tracking.search.completion import key_text

ROWS: Final = 50
MAX_COLUMNS: Final = 100
MAX_OPEN: Final = 20
"""Runs whose children are shown at once."""

QUERY = ("filter", "sort", "columns", "group", "show", "nested", "open", "after")
COLUMNS_COOKIE = "noria_columns"
_MAX_COOKIE = 3_000
_TOP_LEVEL = "tags.`mlflow.parentRunId` IS NULL"

STATUS, STARTED, ENDED, DURATION, AUTHOR = "status", "started", "ended", "duration", "author"
ATTRIBUTE_WORDS = {
    STATUS: mark("Status"),
    STARTED: mark("Started"),
    ENDED: mark("Ended"),
    DURATION: mark("Duration"),
    AUTHOR: mark("By"),
}
GROUP_WORDS = {KeyKind.PARAMS: mark("Params"), KeyKind.METRICS: mark("Metrics"), KeyKind.TAGS: mark("Tags")}
RUN_WORDS = mark("Run")
RUN_GROUP_WORDS = mark("Runs")

_ORDERS = {
    "name": "run_name",
    STATUS: "status",
    STARTED: "start_time",
    ENDED: "end_time",
    AUTHOR: "user_id",
}
_KINDS = {kind.value: kind for kind in KeyKind}
_DEFAULT_PARAMS = 4
_DEFAULT_METRICS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """What the address says.

    Attributes
    ----------
    project, experiment
        Names.
    filter
        In MLflow's grammar.
    sort
        Key of a column, with `-` before it for descending; empty for the newest first.
    columns
        Keys of the columns; None where the address names none.
    group
        Key of the param or tag by which runs are put together; empty for single runs.
    deleted
        Whether deleted runs are shown instead.
    nested
        Whether runs inside others are folded away.
    open
        Runs whose children are shown all the same.
    after
        Token of the page before.
    """

    project: str
    experiment: str
    filter: str = ""
    sort: str = ""
    columns: tuple[str, ...] | None = None
    group: str = ""
    deleted: bool = False
    nested: bool = False
    open: tuple[str, ...] = ()
    after: str | None = None

    def url(self, urls: Urls, **changes: Any) -> str:
        """Give the address of this view with some changes; one of anything but `open` begins with the first page."""
        if "after" not in changes and set(changes) != {"open"}:
            changes["after"] = None
        view = dataclasses.replace(self, **changes)
        return urls.experiment(self.project, self.experiment, **dict(view.pairs()))

    def pairs(self) -> list[tuple[str, Any]]:
        """Give what the address holds, besides the path."""
        return [
            ("filter", self.filter or None),
            ("sort", self.sort or None),
            ("columns", list(self.columns) if self.columns is not None else None),
            ("group", self.group or None),
            ("show", "deleted" if self.deleted else None),
            ("nested", "folded" if self.nested else None),
            ("open", list(self.open) or None),
            ("after", self.after),
        ]

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """Give what a form of the page must keep, as hidden fields."""
        left_out = {*but, "after", "open"}
        return [
            (name, each)
            for name, value in self.pairs()
            if value is not None and name not in left_out
            for each in (value if isinstance(value, list) else [value])
        ]

    def asked(self) -> TableAsked:
        """Give what to ask for."""
        clauses = [self.filter.strip(), _TOP_LEVEL if self.nested else ""]
        return TableAsked(
            filter=" AND ".join(clause for clause in clauses if clause),
            order_by=(order_of(self.sort),) if self.sort else (),
            lifecycle=Lifecycle.DELETED if self.deleted else Lifecycle.ACTIVE,
            limit=ROWS,
            after=self.after,
        )

    def sorted_by(self, key: str) -> Direction:
        """Tell how the table is sorted by a column."""
        if self.sort.removeprefix("-") != key:
            return Direction.NONE
        return Direction.DESCENDING if self.sort.startswith("-") else Direction.ASCENDING

    def next_sort(self, key: str) -> str:
        """Give the sort that a click on a heading asks for: numbers and times begin with the greatest."""
        is_text = key.partition(".")[0] in ("name", STATUS, AUTHOR, "params", "tags")
        first, second = (key, f"-{key}") if is_text else (f"-{key}", key)
        return second if self.sort == first else first


def read_view(visit: Visit) -> TableView:
    """Read the view that an address asks for."""
    given, lists = visit.parameters, visit.lists
    columns = tuple(dict.fromkeys(lists.get("columns", ())))
    if len(columns) > MAX_COLUMNS:
        raise Invalid(f"{len(columns)} columns were asked for", hint=f"Choose at most {MAX_COLUMNS}")
    sort = given.get("sort", "")
    if sort:
        order_of(sort)
    return TableView(
        project=given["project"],
        experiment=given["experiment"],
        filter=given.get("filter", ""),
        sort=sort,
        columns=columns or None,
        group=given.get("group", ""),
        deleted=given.get("show") == "deleted",
        nested=given.get("nested") == "folded",
        open=tuple(dict.fromkeys(lists.get("open", ())))[:MAX_OPEN],
        after=given.get("after"),
    )


def order_of(sort: str) -> str:
    """Give a sort as a search takes it.

    Raises
    ------
    Invalid
        If no table can be sorted so.

    Examples
    --------
    >>> order_of("-metrics.val/acc"), order_of("started")
    ('metrics.`val/acc` DESC', 'start_time ASC')
    """
    key = sort.removeprefix("-")
    kind, name = split_key(key)
    text = _ORDERS.get(key) if kind is None else key_text(kind, name)
    if text is None or "`" in name:
        raise Invalid(f"Runs cannot be sorted by `{key[:100]}`", hint="Choose the heading of a column")
    return f"{text} {'DESC' if sort.startswith('-') else 'ASC'}"


def split_key(key: str) -> tuple[KeyKind | None, str]:
    """Take the key of a column apart.

    Examples
    --------
    >>> split_key("metrics.val/acc"), split_key("status")
    ((<KeyKind.METRICS: 'metrics'>, 'val/acc'), (None, 'status'))
    """
    kind, _, name = key.partition(".")
    found = _KINDS.get(kind) if name else None
    return (None, key) if found is None else (found, name)


def default_columns(keys: KnownKeys, varying: Sequence[str]) -> tuple[str, ...]:
    """Give columns that tell something of most runs.

    Parameters
    ----------
    varying
        Params that are not the same in all runs.
    """
    metrics = [key for key in keys.metrics if not key.startswith("system/")][:_DEFAULT_METRICS]
    params = [*varying, *(key for key in keys.params if key not in varying)][:_DEFAULT_PARAMS]
    return (
        STATUS,
        STARTED,
        DURATION,
        *(f"{KeyKind.METRICS}.{key}" for key in metrics),
        *(f"{KeyKind.PARAMS}.{key}" for key in params),
    )


def in_order(chosen: Sequence[str]) -> list[str]:
    """Put what is of a kind together: attributes, metrics, params, tags; within, the order of choice stays."""
    ranks = {KeyKind.METRICS: 1, KeyKind.PARAMS: 2, KeyKind.TAGS: 3}
    return sorted(
        (key for key in chosen if key in ATTRIBUTE_WORDS or split_key(key)[0] is not None),
        key=lambda key: ranks.get(split_key(key)[0], 0),  # type: ignore[arg-type]
    )


def wanted_of(chosen: Sequence[str]) -> Wanted:
    """Give the params, metrics and tags among columns."""
    found: dict[KeyKind | None, list[str]] = {}
    for key in chosen:
        kind, name = split_key(key)
        found.setdefault(kind, []).append(name)
    return Wanted(
        params=tuple(found.get(KeyKind.PARAMS, ())),
        metrics=tuple(found.get(KeyKind.METRICS, ())),
        tags=tuple(found.get(KeyKind.TAGS, ())),
    )


def table_columns(view: TableView, urls: Urls, chosen: Sequence[str]) -> tuple[Column, ...]:
    """Give the headings of the table."""
    name = Column(
        key="name",
        words=RUN_WORDS,
        url=view.url(urls, sort=view.next_sort("name")),
        direction=view.sorted_by("name"),
    )
    return (name, *(_column(view, urls, key) for key in chosen))


def _column(view: TableView, urls: Urls, key: str) -> Column:
    kind, name = split_key(key)
    can_sort = kind is not None or key in _ORDERS
    return Column(
        key=key,
        words=ATTRIBUTE_WORDS[key] if kind is None else name,
        url=view.url(urls, sort=view.next_sort(key)) if can_sort and "`" not in name else None,
        direction=view.sorted_by(key),
        is_number=kind is KeyKind.METRICS or key == DURATION,
        is_ours=kind is None,
        group="" if kind is None else GROUP_WORDS[kind],
    )


def column_choices(keys: KnownKeys, chosen: Sequence[str]) -> tuple[Choice, ...]:
    """Give what may be ticked: attributes, and every known metric, param and tag."""
    ticked = set(chosen)
    attributes = [
        Choice(value=key, words=words, is_chosen=key in ticked, is_ours=True, group=RUN_GROUP_WORDS)
        for key, words in ATTRIBUTE_WORDS.items()
    ]
    rest = [
        Choice(value=f"{kind}.{key}", words=key, is_chosen=f"{kind}.{key}" in ticked, group=GROUP_WORDS[kind])
        for kind in (KeyKind.METRICS, KeyKind.PARAMS, KeyKind.TAGS)
        for key in keys.of(kind)
    ]
    return (*attributes, *rest)


def keep_columns(kept: str, number: int, chosen: Sequence[str]) -> str:
    """Give the value of the cookie after a choice of columns: the newest choices that fit, by experiment's number."""
    known = [each for each in _read_kept(kept) if each[0] != number]
    choices = [(number, list(chosen)), *known]
    while choices:
        text = base64.urlsafe_b64encode(msgspec.json.encode(choices)).decode()
        if len(text) <= _MAX_COOKIE:
            return text
        choices.pop()
    return ""


def kept_columns(kept: str, number: int) -> list[str] | None:
    """Give the columns that were chosen last for an experiment; None where the browser kept none."""
    return next((columns for each, columns in _read_kept(kept) if each == number), None)


def _read_kept(kept: str) -> list[tuple[int, list[str]]]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(kept), type=list[tuple[int, list[str]]])
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return []
