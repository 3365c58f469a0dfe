"""Read many runs with all that they hold: a fixed number of statements, whatever their number.

Params, metrics and tags come back with the integers of their keys, whose names are read once; joining the names in the
database would cost more than everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared, Rows, as_list, listed
from noria.core.database.schema import from_micros
from noria.tracking.datasets import datasets_of
from noria.tracking.entities import Dataset, Link, Run, RunSource, RunStatus
from noria.tracking.keys import key_names
from noria.tracking.model_links import ModelsOfRun, models_of_runs
from noria.tracking.tables import experiments, metric_latest, run_links, run_params, run_tags, runs

Pair = tuple[str, str]


class LatestColumns(NamedTuple):
    """The latest points of a run's metrics, column by column; moments are microseconds since 1970."""

    keys: Sequence[str]
    values: Sequence[float]
    steps: Sequence[int]
    at: Sequence[int]


_NO_MODELS = ModelsOfRun([], [])
_NO_METRICS = LatestColumns((), (), (), ())


class RunRow(msgspec.Struct):
    """A run as its rows say; moments are microseconds since 1970.

    Attributes
    ----------
    place
        Project, name, number and artifact location of its experiment.
    source
        JSON text of a `RunSource`.
    """

    pk: int
    id: str
    place: ExperimentPlace
    parent: str | None
    name: str
    status: str
    started_at: int
    ended_at: int | None
    deleted_at: int | None
    author: str
    source: str | None
    params: list[Pair] = msgspec.field(default_factory=list)
    tags: list[Pair] = msgspec.field(default_factory=list)
    metrics: LatestColumns = _NO_METRICS
    datasets: list[Dataset] = msgspec.field(default_factory=list)
    models: ModelsOfRun = _NO_MODELS


class ExperimentPlace(msgspec.Struct, frozen=True):
    """What runs of one experiment have in common."""

    project: str
    name: str
    number: int
    artifact_location: str | None


class RunRowsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs as their rows say, in the order asked for; `next` continues after them, or is None at the end."""

    items: list[RunRow]
    next: str | None


def load_run_rows(connection: sa.Connection, pks: Sequence[int]) -> list[RunRow]:
    """Read runs by their integer keys, in the order of the keys; one that is gone is left out."""
    wanted = {"runs": as_list(pks)}
    by_pk = _heads(connection, wanted)
    _fill_values(connection, wanted, by_pk)
    for pk, datasets in datasets_of(connection, pks).items():
        by_pk[pk].datasets = datasets
    for pk, models in models_of_runs(connection, pks).items():
        by_pk[pk].models = models
    return [by_pk[pk] for pk in pks if pk in by_pk]


def load_runs(connection: sa.Connection, pks: Sequence[int]) -> list[Run]:
    """Make runs of their rows, in the order of the keys."""
    rows = load_run_rows(connection, pks)
    links = _links(connection, pks)
    return [_run(row, *links.get(row.pk, ([], []))) for row in rows]


def _heads(connection: sa.Connection, wanted: dict[str, str]) -> dict[int, RunRow]:
    heads = _HEADS.all(connection, wanted)
    places = _places(connection, {head[2] for head in heads})
    parents = _ids(connection, {head[3] for head in heads} - {None})
    return {
        pk: RunRow(pk, run_id, places[experiment], parents.get(parent), *rest)
        for pk, run_id, experiment, parent, *rest in heads
    }


def _places(connection: sa.Connection, pks: set[int]) -> dict[int, ExperimentPlace]:
    rows = _PLACES.all(connection, {"experiments": as_list(pks)}) if pks else []
    return {pk: ExperimentPlace(*place) for pk, *place in rows}


def _ids(connection: sa.Connection, pks: set[Any]) -> dict[int, str]:
    return dict(_IDS.all(connection, {"runs": as_list(pks)})) if pks else {}


def _fill_values(connection: sa.Connection, wanted: dict[str, str], by_pk: dict[int, RunRow]) -> None:
    params, tags = _PARAMS.all(connection, wanted), _TAGS.all(connection, wanted)
    metrics, numbers = _METRICS.all(connection, wanted), _NUMBERS.all(connection, wanted)
    # Runs of one program have the same keys, so that few of these lists are different ones.
    lists = {text: _integers(text) for text in {row[1] for row in (*params, *tags, *metrics)}}
    names = key_names(connection, set().union(*lists.values()))
    named = {text: [names[key] for key in keys] for text, keys in lists.items()}
    for run, keys, values in params:
        by_pk[run].params = list(zip(named[keys], _texts(values), strict=True))
    for run, keys, values in tags:
        by_pk[run].tags = list(zip(named[keys], _texts(values), strict=True))
    _fill_metrics(metrics, [number for (number,) in numbers], lists, names, by_pk)


def _fill_metrics(
    metrics: Rows,
    numbers: list[float | None],
    lists: dict[str, list[int]],
    names: dict[int, str],
    by_pk: dict[int, RunRow],
) -> None:
    """Join what was gathered of each run with the numbers, which stand in the order of runs and keys."""
    values = [math.nan if number is None else number for number in numbers]
    orders = {
        text: sorted(range(len(lists[text])), key=lists[text].__getitem__)
        for text in {row[1] for row in metrics}
    }
    named = {text: [names[lists[text][i]] for i in order] for text, order in orders.items()}
    end = 0
    for run, text, steps, moments in sorted(metrics):
        order, keys = orders[text], named[text]
        begin, end = end, end + len(keys)
        by_pk[run].metrics = LatestColumns(
            keys, values[begin:end], _sorted(_integers(steps), order), _sorted(_integers(moments), order)
        )


def _sorted(column: list[int], order: Sequence[int]) -> list[int]:
    return [column[i] for i in order]


def _links(connection: sa.Connection, pks: Sequence[int]) -> dict[int, tuple[list[Link], list[Link]]]:
    found: dict[int, tuple[list[Link], list[Link]]] = {}
    for run, direction, ref, digest in _LINKS.all(connection, {"runs": as_list(pks)}):
        inputs, outputs = found.setdefault(run, ([], []))
        (inputs if direction == "input" else outputs).append(Link(ref=ref, digest=digest))
    return found


def _run(row: RunRow, inputs: list[Link], outputs: list[Link]) -> Run:
    return Run(
        id=row.id,
        project=row.place.project,
        experiment=row.place.name,
        name=row.name,
        status=RunStatus(row.status),
        started_at=from_micros(row.started_at),
        ended_at=None if row.ended_at is None else from_micros(row.ended_at),
        params=dict(sorted(row.params)),
        metrics=dict(sorted(zip(row.metrics.keys, row.metrics.values, strict=True))),
        tags=dict(sorted(row.tags)),
        inputs=inputs,
        outputs=outputs,
        datasets=row.datasets,
        source=None if row.source is None else _source.decode(row.source),
        parent=row.parent,
        author=row.author,
        deleted_at=None if row.deleted_at is None else from_micros(row.deleted_at),
    )


_source = msgspec.json.Decoder(RunSource)
_integers = msgspec.json.Decoder(list[int]).decode
_texts = msgspec.json.Decoder(list[str]).decode


def _head_columns() -> tuple[sa.Column[Any], ...]:
    return (
        runs.c.pk,
        runs.c.id,
        runs.c.experiment_pk,
        runs.c.parent_pk,
        runs.c.name,
        runs.c.status,
        runs.c.started_at,
        runs.c.ended_at,
        runs.c.deleted_at,
        runs.c.author,
        runs.c.source,
    )


def _of_runs(
    table: sa.Table, columns: Callable[[], Iterable[sa.ColumnElement[Any]]], *, order: Sequence[str] = ()
) -> Prepared:
    def build(dialect: str) -> sa.Executable:
        key = table.c.pk if table is runs else table.c.run_pk
        among = key.in_(listed(dialect, "runs", sa.BigInteger()))
        return sa.select(*columns()).where(among).order_by(*(table.c[name] for name in order))

    return Prepared(build)


def _gathered(table: sa.Table, *columns: str) -> Prepared:
    """Give, a row a run, some columns as JSON lists: the driver makes rows slowly, and lists fast.

    The lists of a run are in one order, whichever that is.
    """

    def build(dialect: str) -> sa.Executable:
        gather = sa.func.json_group_array if dialect == "sqlite" else sa.func.json_agg
        lists = [sa.cast(gather(table.c[column]), sa.Text) for column in columns]
        among = table.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger()))
        return sa.select(table.c.run_pk, *lists).where(among).group_by(table.c.run_pk)

    return Prepared(build)


_HEADS = _of_runs(runs, _head_columns)
_IDS = _of_runs(runs, lambda: (runs.c.pk, runs.c.id))
_PARAMS = _gathered(run_params, "key_pk", "value")
_TAGS = _gathered(run_tags, "key_pk", "value")
_METRICS = _gathered(metric_latest, "key_pk", "step", "at")
# SQLite's JSON keeps fifteen digits of a number, which is too few: numbers pass as themselves.
_NUMBERS = _of_runs(
    metric_latest,
    lambda: (sa.case((metric_latest.c.is_nan == sa.literal_column("0"), metric_latest.c.value)),),
    order=("run_pk", "key_pk"),
)
_LINKS = _of_runs(
    run_links,
    lambda: (run_links.c.run_pk, run_links.c.direction, run_links.c.ref, run_links.c.digest),
    order=("at", "ref"),
)
_PLACES = Prepared(
    lambda dialect: (
        sa.select(
            experiments.c.pk,
            projects.c.name.label("project"),
            experiments.c.name,
            experiments.c.number,
            experiments.c.artifact_location,
        )
        .join(projects, projects.c.pk == experiments.c.project_pk)
        .where(experiments.c.pk.in_(listed(dialect, "experiments", sa.BigInteger())))
    )
)
