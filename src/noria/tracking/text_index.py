"""Keep an index of what stands in the names, params and tags of runs, behind those who log.

Only keys whose values mostly differ are worth it: of others the values are compared instead of the runs. A key that is
chosen is first indexed for the runs that are there; what changes from then on is told by the event log, goes into a
tail, and from there, some thousand runs at once, into segments of their own, which are merged as they become many.

Values are read and cut up in a transaction that reads, so nobody waits for this. What is found is written in a short
one that first makes sure that the cursor on the event log still stands where it stood. So each change is in a segment,
or in the tail, or after the cursor, at any moment; and whichever process dies, and however many do this at once, a
run is named too often at worst.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from noria.core.database.engine import Database, upsertable
from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.events.log import EventLog
from noria.core.events.tables import event_cursors, events
from noria.tracking.search.grams import KINDS, READER, grams_of, packed, runs_in
from noria.tracking.tables import run_params, run_tags, runs
from noria.tracking.text_tables import text_fields, text_grams, text_segments, text_tail

Values = list[tuple[int, str]]
"""Integer keys of runs, and a value of each."""

_NAME: Final = (KINDS["runs"], 0)
_TABLES: Final = {KINDS["run_params"]: run_params, KINDS["run_tags"]: run_tags}
_EVENTS_AT_ONCE: Final = 1_000
_TIMES_FOLLOWED: Final = 10
"""More transactions than of other kinds: searches use the index only if few events are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is done at once, and from when on at all.

    Attributes
    ----------
    least_runs
        Of the workspace; fewer are searched quickly without an index.
    sampled, least_sampled, differing
        The newest runs whose values choose the keys, how many of them must have a key, and which part of its values
        must differ.
    most_fields
        How many keys are indexed at most.
    segment
        Runs of the first segments.
    tail
        Runs that changed, from which on they become a segment.
    merged
        How many segments of about one size become one.
    steps
        How many transactions of one kind there are in one call.
    """

    least_runs: int = 50_000
    sampled: int = 200
    least_sampled: int = 50
    differing: float = 0.5
    most_fields: int = 8
    segment: int = 8_192
    tail: int = 2_048
    merged: int = 16
    steps: int = 4


class _Field(NamedTuple):
    pk: int
    kind: int
    key: int
    goal: int
    built: int


class _Overtaken(Exception):
    """Another process moved the cursor meanwhile."""


def index_texts(database: Database, sizes: Sizes | None = None) -> None:
    """Bring the index nearer to what there is."""
    sizes = sizes or Sizes()
    n_events = _follow(database, sizes)
    if n_events is None or n_events > 0:
        _choose(database, sizes)
    try:
        _empty_tail(database, sizes)
        for field in _fields(database):
            _build(database, field, sizes)
            _merge(database, field.pk, sizes)
    except _Overtaken:
        return


def _follow(database: Database, sizes: Sizes) -> int | None:
    """Move what changed into the tail; gives how many events there were, None if nobody follows them yet."""
    n_events = 0
    for _ in range(_TIMES_FOLLOWED * sizes.steps):
        with database.write() as connection:
            position = _locked_cursor(connection)
            if position is None:
                return None
            some = _EVENTS.all(connection, {"position": position, "limit": _EVENTS_AT_ONCE})
            if not some:
                return n_events
            ids = {"ids": as_list(runs_in(row[1:] for row in some))}
            _ADD_TO_TAIL.run(connection, ids)
            _MOVE.run(connection, {"reader": READER, "to": some[-1][0]})
        n_events += len(some)
        if len(some) < _EVENTS_AT_ONCE:
            break
    return n_events


def _choose(database: Database, sizes: Sizes) -> None:
    """Choose keys whose values mostly differ, of the newest runs."""
    # First: what is told after this position is followed, what was told before it can be read.
    position = EventLog(database).last_position()
    with database.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(runs.c.pk))).scalar_one()
        if newest is None or newest < sizes.least_runs:
            return
        known = {(one.kind, one.key) for one in _fields_in(connection)}
        worthy = _worthy(connection, newest - sizes.sampled, sizes)
    new = [one for one in worthy if one not in known][: max(0, sizes.most_fields - len(known))]
    if not new:
        return
    with database.write() as connection:
        _BEGIN.run(connection, {"reader": READER, "position": position})
        _locked_cursor(connection)
        goal = connection.execute(sa.select(sa.func.max(runs.c.pk))).scalar_one()
        for kind, key in new:
            _ADD_FIELD.run(connection, {"kind": kind, "key": key, "goal": goal or 0})


def _worthy(connection: sa.Connection, after: int, sizes: Sizes) -> list[tuple[int, int]]:
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    names = connection.execute(sa.select(runs.c.name).where(runs.c.pk > after))
    found[_NAME] = list(names.scalars())
    for kind, table in _TABLES.items():
        query = sa.select(table.c.key_pk, table.c.head).where(table.c.run_pk > after)
        for key, head in connection.execute(query):
            found[kind, key].append(head)
    return [one for one, values in found.items() if _differ(values, sizes)]


def _differ(values: list[str], sizes: Sizes) -> bool:
    """Tell whether most values are texts of their own; nobody looks for the middle of a number."""
    texts = {value for value in values if not _is_number(value)}
    return len(values) >= sizes.least_sampled and len(texts) > sizes.differing * len(values)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _fields(database: Database) -> list[_Field]:
    with database.read() as connection:
        return _fields_in(connection)


def _fields_in(connection: sa.Connection) -> list[_Field]:
    return [_Field(*row) for row in connection.execute(sa.select(text_fields).order_by(text_fields.c.pk))]


def _build(database: Database, field: _Field, sizes: Sizes) -> None:
    """Index some of the runs that were there when the key was chosen."""
    pk, kind, key, goal, built = field
    for _ in range(sizes.steps):
        if built >= goal:
            return
        upto = min(goal, built + sizes.segment)
        with database.read() as connection:
            position = _cursor(connection)
            values = _between(connection, kind, key, built, upto)
        with _unmoved(database, position) as connection:
            moved = sa.update(text_fields).where(text_fields.c.pk == pk, text_fields.c.built == built)
            if connection.execute(moved.values(built=upto)).rowcount != 1:
                raise _Overtaken
            _add_segment(connection, pk, values)
        built = upto


def _empty_tail(database: Database, sizes: Sizes) -> None:
    """Make segments of the runs that changed, as long as they are many."""
    some = sa.select(text_tail.c.run_pk).order_by(text_tail.c.run_pk).limit(max(sizes.segment, sizes.tail))
    while True:
        with database.read() as connection:
            position = _cursor(connection)
            tail = list(connection.execute(some).scalars())
            if len(tail) < sizes.tail:
                return
            values = {one.pk: _of_runs(connection, one, tail) for one in _fields_in(connection)}
        with _unmoved(database, position) as connection:
            if {one.pk for one in _fields_in(connection)} != set(values):
                raise _Overtaken
            for pk, found in values.items():
                _add_segment(connection, pk, found)
            _TAKE_FROM_TAIL.run(connection, {"runs": as_list(tail)})


def _merge(database: Database, field: int, sizes: Sizes) -> None:
    """Make one segment of many of about one size."""
    for some in _alike(database, field, sizes):
        with database.read() as connection:
            rows = _GRAMS.all(connection, {"field": field, "segments": as_list(some)})
        lists = [
            (gram, b"".join([row[1] for row in group])) for gram, group in groupby(rows, lambda row: row[0])
        ]
        with database.write() as connection:
            taken = _TAKE_SEGMENTS.all(connection, {"segments": as_list(some)})
            if len(taken) != len(some):
                raise _Overtaken
            _TAKE_GRAMS.run(connection, {"field": field, "segments": as_list(some)})
            _write_segment(connection, field, sum(row[0] for row in taken), lists)


def _alike(database: Database, field: int, sizes: Sizes) -> Iterator[list[int]]:
    """Give segments that are to be merged: those below a bound, and those between it and its multiple, and so on."""
    query = sa.select(text_segments.c.n_runs, text_segments.c.pk).where(text_segments.c.field_pk == field)
    with database.read() as connection:
        left = sorted((n_runs, pk) for n_runs, pk in connection.execute(query))
    bound = sizes.tail * sizes.merged
    while left:
        some = [pk for n_runs, pk in left if n_runs < bound]
        left = [one for one in left if one[0] >= bound]
        bound *= sizes.merged
        if len(some) >= sizes.merged:
            yield some


def _add_segment(connection: sa.Connection, field: int, values: Values) -> None:
    found: dict[str, list[int]] = defaultdict(list)
    for run, value in values:
        for gram in grams_of(value):
            found[gram].append(run)
    _write_segment(connection, field, len(values), [(gram, packed(found[gram])) for gram in sorted(found)])


def _write_segment(
    connection: sa.Connection, field: int, n_runs: int, lists: Iterable[tuple[str, bytes]]
) -> None:
    insert = sa.insert(text_segments).values(field_pk=field, n_runs=n_runs)
    pk = connection.execute(insert.returning(text_segments.c.pk)).scalar_one()
    rows = [(field, gram, pk, len(data) // len(packed([0])), data) for gram, data in lists]
    if rows:
        _ADD_GRAMS.many_tuples(connection, rows)


@contextmanager
def _unmoved(database: Database, position: int | None) -> Iterator[sa.Connection]:
    """Write, if the cursor still stands where it stood; then no change was taken note of meanwhile."""
    with database.write() as connection:
        if _locked_cursor(connection) != position:
            raise _Overtaken
        yield connection


def _cursor(connection: sa.Connection) -> int | None:
    query = sa.select(event_cursors.c.position).where(event_cursors.c.reader == READER)
    return connection.execute(query).scalar_one_or_none()


def _locked_cursor(connection: sa.Connection) -> int | None:
    query = sa.select(event_cursors.c.position).where(event_cursors.c.reader == READER).with_for_update()
    return connection.execute(query).scalar_one_or_none()


def _between(connection: sa.Connection, kind: int, key: int, after: int, upto: int) -> Values:
    return _values(connection, kind, key, lambda column: (column > after) & (column <= upto))


def _of_runs(connection: sa.Connection, field: _Field, keys: list[int]) -> Values:
    among = listed(connection.dialect.name, "runs", sa.BigInteger())
    return _values(
        connection, field.kind, field.key, lambda column: column.in_(among), {"runs": as_list(keys)}
    )


def _values(
    connection: sa.Connection,
    kind: int,
    key: int,
    which: Callable[[sa.Column[int]], sa.ColumnElement[bool]],
    given: dict[str, Any] | None = None,
) -> Values:
    if (kind, key) == _NAME:
        query = sa.select(runs.c.pk, runs.c.name).where(which(runs.c.pk))
    else:
        table = _TABLES[kind]
        query = sa.select(table.c.run_pk, table.c.value).where(which(table.c.run_pk), table.c.key_pk == key)
    return [(run, value) for run, value in connection.execute(query, given or {})]


_EVENTS = Prepared(
    sa.select(events.c.position, events.c.type, events.c.subject)
    .where(events.c.position > sa.bindparam("position"))
    .order_by(events.c.position)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_ADD_TO_TAIL = Prepared(
    lambda dialect: (
        upsertable(dialect, text_tail)
        .from_select(
            ["run_pk"],
            sa.select(runs.c.pk).where(runs.c.id.in_(listed(dialect, "ids", sa.Text()))),
        )
        .on_conflict_do_nothing()
    )
)
_TAKE_FROM_TAIL = Prepared(
    lambda dialect: sa.delete(text_tail).where(
        text_tail.c.run_pk.in_(listed(dialect, "runs", sa.BigInteger()))
    )
)
_MOVE = Prepared(
    sa.update(event_cursors)
    .where(event_cursors.c.reader == sa.bindparam("reader"))
    .values(position=sa.bindparam("to"))
)
_BEGIN = Prepared(
    lambda dialect: (
        upsertable(dialect, event_cursors)
        .values(reader=sa.bindparam("reader"), position=sa.bindparam("position"))
        .on_conflict_do_nothing()
    )
)
_ADD_FIELD = Prepared(
    lambda dialect: (
        upsertable(dialect, text_fields)
        .values(
            kind=sa.bindparam("kind"),
            key_pk=sa.bindparam("key"),
            goal=sa.bindparam("goal"),
            built=sa.literal_column("0"),
        )
        .on_conflict_do_nothing()
        .inline()
    )
)
_ADD_GRAMS = Prepared(
    sa.insert(text_grams).values({column.name: sa.bindparam(column.name) for column in text_grams.c}).inline()
)
_GRAMS = Prepared(
    lambda dialect: (
        sa.select(text_grams.c.gram, text_grams.c.runs)
        .where(text_grams.c.field_pk == sa.bindparam("field"))
        .where(text_grams.c.segment_pk.in_(listed(dialect, "segments", sa.BigInteger())))
        .order_by(text_grams.c.gram)
    )
)
_TAKE_GRAMS = Prepared(
    lambda dialect: (
        sa.delete(text_grams)
        .where(text_grams.c.field_pk == sa.bindparam("field"))
        .where(text_grams.c.segment_pk.in_(listed(dialect, "segments", sa.BigInteger())))
    )
)
_TAKE_SEGMENTS = Prepared(
    lambda dialect: (
        sa.delete(text_segments)
        .where(text_segments.c.pk.in_(listed(dialect, "segments", sa.BigInteger())))
        .returning(text_segments.c.n_runs)
    )
)
