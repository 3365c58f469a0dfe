"""The table of runs put together by a param or tag: what each group has, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noria.core.stats.means import interval_of_mean
from noria.core.web.cells import CellKind, Mean
from noria.core.web.pages import Visit
from noria.core.web.parts import Choice
from noria.tracking.known import KeyKind, KnownKeys
from noria.tracking.run_tables import RunGroup, RunTables, Spread
from noria.tracking.search.completion import key_text, value_text
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.table_view import TableView, split_key, wanted_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """Runs with one value.

    Attributes
    ----------
    value
        None for runs without one.
    url
        The table of these runs.
    cells
        One for each metric; None where no run has it.
    """

    value: str | None
    url: str
    n_runs: int
    cells: tuple[Mean | None, ...]

    @property
    def kinds(self) -> tuple[CellKind, ...]:
        """What the cells are."""
        return (CellKind.MEAN,) * len(self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The table when runs are put together.

    Attributes
    ----------
    name
        Of the param or tag.
    metrics
        Whose values are summed up.
    n_runs, is_capped
        How many runs were grouped, and whether there are more.
    n_left_out
        Groups that are not shown.
    """

    name: str
    metrics: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    n_runs: int
    is_capped: bool
    n_left_out: int


def grouping_of(visit: Visit, tables: RunTables, view: TableView, chosen: Sequence[str]) -> Grouping:
    """Put the runs of a view together by the param or tag that it names."""
    kind, name = split_key(view.group)
    if kind is None or kind is KeyKind.METRICS:
        raise FilterInvalid(
            f"Runs cannot be put together by `{view.group[:100]}`", hint="Choose a param or a tag"
        )
    metrics = wanted_of(chosen).metrics
    found = tables.groups(view.project, view.experiment, view.asked(), (kind, name), metrics)
    return Grouping(
        name=name,
        metrics=metrics,
        rows=tuple(_group_row(visit, view, group, key_text(kind, name), metrics) for group in found.groups),
        n_runs=found.n_runs,
        is_capped=found.is_capped,
        n_left_out=found.n_left_out,
    )


def _group_row(visit: Visit, view: TableView, group: RunGroup, key: str, metrics: Sequence[str]) -> GroupRow:
    clause = f"{key} IS NULL" if group.value is None else f"{key} = {value_text(group.value)}"
    narrowed = f"{view.filter} AND {clause}" if view.filter.strip() else clause
    return GroupRow(
        value=group.value,
        url=view.url(visit.urls, group="", filter=narrowed),
        n_runs=group.n_runs,
        cells=tuple(_group_cell(group.spreads.get(metric)) for metric in metrics),
    )


def _group_cell(spread: Spread | None) -> Mean | None:
    if spread is None:
        return None
    values = spread.values
    half = None
    if len(values) > 1:
        low, high = interval_of_mean(values)
        half = float(f"{(high - low) / 2:.2g}")
    return Mean(
        mean=math.fsum(values) / len(values),
        least=min(values),
        greatest=max(values),
        half=half,
        n=len(values),
    )


def group_choices(view: TableView, keys: KnownKeys) -> tuple[Choice, ...]:
    """Give the params and tags to put runs together by."""
    return tuple(
        Choice(value=f"{kind}.{key}", words=f"{kind}.{key}", is_chosen=view.group == f"{kind}.{key}")
        for kind in (KeyKind.PARAMS, KeyKind.TAGS)
        for key in keys.of(kind)
    )
