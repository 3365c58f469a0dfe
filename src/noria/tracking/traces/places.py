"""Where traces belong, and who may read them there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.prepared import Prepared
from noria.core.errors import NotFound
from noria.core.permissions import Principal
from noria.tracking.tables import experiments
from noria.tracking.traces.entities import TracePlace
from noria.tracking.traces.permissions import READ_TRACES
from noria.tracking.traces.tables import traces

_IN_CHUNK = 500


class TraceNotFound(NotFound):
    """There is no trace of this id that the caller may read."""

    code = "trace_not_found"

    def __init__(self, trace_id: str) -> None:
        super().__init__(
            f"There is no trace `{trace_id[:100]}`",
            hint="See `noria traces list`",
            details={"trace_id": trace_id[:100]},
        )


class Place(NamedTuple):
    """An experiment."""

    pk: int
    number: int
    name: str
    project: str


def experiment_in(connection: sa.Connection, project: str, number: int, *, hold: bool = False) -> Place:
    """Get an experiment of a project by its number.

    Parameters
    ----------
    hold
        Let nobody remove it until the commit. To be asked for before a trace is held: whoever removes an experiment
        holds it, then its traces.

    Raises
    ------
    NotFound
        If the project has none of that number.
    """
    row = (_HELD_BY_NUMBER if hold else _BY_NUMBER).first(connection, {"number": number})
    if row is None or row[3] != project:
        raise NotFound(
            f"The project `{project}` has no experiment number {number}", hint="See `noria experiments list`"
        )
    return Place(*row)


def project_of(connection: sa.Connection, experiment: int) -> str:
    """Give the name of the project that an experiment belongs to."""
    row = _PROJECT.first(connection, {"experiment": experiment})
    return "" if row is None else str(row[0])


def readable(connection: sa.Connection, caller: Principal, numbers: Sequence[int]) -> list[Place]:
    """Give those of the numbered experiments that the caller may read, each once, in the order asked for."""
    found = (_BY_NUMBER.first(connection, {"number": number}) for number in dict.fromkeys(numbers))
    places = [Place(*row) for row in found if row is not None]
    return [place for place in places if caller.may(READ_TRACES, place.project)]


def place_of(connection: sa.Connection, caller: Principal, trace_id: str) -> TracePlace:
    """Find where a trace belongs.

    Raises
    ------
    TraceNotFound
        Also if the caller may not read it.
    """
    row = _PLACE.first(connection, {"id": trace_id})
    if row is None or not caller.may(READ_TRACES, row[0]):
        raise TraceNotFound(trace_id)
    return TracePlace(trace_id=trace_id, project=row[0], experiment_number=row[1])


def trace_pk(connection: sa.Connection, project: str, trace_id: str) -> int:
    """Get the key of a trace of a project.

    Raises
    ------
    TraceNotFound
        If the project has none of this id.
    """
    row = _PLACE.first(connection, {"id": trace_id})
    if row is None or row[0] != project:
        raise TraceNotFound(trace_id)
    return int(row[2])


def in_chunks(keys: Iterable[int]) -> list[list[int]]:
    """Split keys into lists that one statement takes."""
    every = list(keys)
    return [every[at : at + _IN_CHUNK] for at in range(0, len(every), _IN_CHUNK)]


_EXPERIMENT = (
    sa.select(experiments.c.pk, experiments.c.number, experiments.c.name, projects.c.name)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(experiments.c.number == sa.bindparam("number"))
)
_BY_NUMBER = Prepared(_EXPERIMENT)
_HELD_BY_NUMBER = Prepared(_EXPERIMENT.with_for_update(read=True, key_share=True, of=experiments))
_PROJECT = Prepared(
    sa.select(projects.c.name)
    .join_from(experiments, projects, projects.c.pk == experiments.c.project_pk)
    .where(experiments.c.pk == sa.bindparam("experiment"))
)
_PLACE = Prepared(
    sa.select(projects.c.name, experiments.c.number, traces.c.pk)
    .join_from(traces, experiments, experiments.c.pk == traces.c.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .where(traces.c.id == sa.bindparam("id"))
)
