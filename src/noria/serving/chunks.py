"""Where answered requests are kept: many of them packed in a row, and an index of their ids beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.core.database.prepared import Prepared, as_list, listed
from noria.core.database.schema import from_micros
from noria.serving.locate import EndpointRow
from noria.serving.packing import PIECES, Entry, Packed, Unpacked, pack, values_of
from noria.serving.predictions import ROLES, CaptureRole, Prediction
from noria.serving.tables import capture_chunks, capture_ids, endpoints

SMALL_ROWS = 64
"""Chunks of fewer rows are put together as they come."""

_CHUNKS_AT_ONCE = 2
_ROW_OF_REQUEST = re.compile(r"(.+)-(0|[1-9][0-9]{0,8})")


class Found(NamedTuple):
    """A row that was captured."""

    position: int
    prediction: Prediction


class Wanted(NamedTuple):
    """Which rows somebody reads: those of one version or role; None means all."""

    version: int | None = None
    role: CaptureRole | None = CaptureRole.ANSWER


class Place(NamedTuple):
    """Where a prediction is."""

    endpoint_pk: int
    position: int


class Chunk:
    """A row of `capture_chunks`, which gives predictions."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._decoded: tuple[int, Entry, list[tuple[dict[str, Any], dict[str, Any]]]] | None = None

    def at(self, position: int) -> Found | None:
        """Give the row at a position."""
        found = self._unpacked.find(position)
        return None if found is None else self._row(*found)

    def behind(self, after: int, wanted: Wanted) -> Iterator[Found]:
        """Give the rows behind a position that are wanted."""
        versions, roles = self._unpacked.versions, self._unpacked.roles
        role = None if wanted.role is None else ROLES.index(wanted.role)
        for index, row in self._unpacked.places(after):
            if wanted.version in (None, versions[index]) and role in (None, roles[index]):
                yield self._row(index, row)

    def n_behind(self, after: int) -> int:
        """Count the answers behind a position."""
        roles = self._unpacked.roles
        return sum(not roles[index] for index, _ in self._unpacked.places(after))

    def _row(self, index: int, row: int) -> Found:
        if self._decoded is None or self._decoded[0] != index:
            decoded = self._unpacked.entry(index)
            self._decoded = (index, decoded, values_of(decoded))
        _, entry, values = self._decoded
        inputs, outputs = values[row]
        number = entry.row + row
        prediction = Prediction(
            id=entry.id if entry.n_whole == 1 else f"{entry.id}-{number}",
            version=entry.version,
            at=from_micros(entry.at_us),
            inputs=inputs,
            outputs=outputs,
            latency_us=entry.latency_us,
            error=entry.error,
            row=number,
            revision=entry.revision,
            role=ROLES[entry.role],
        )
        return Found(self._unpacked.positions[index] + row, prediction)


def keep(connection: sa.Connection, place: EndpointRow, unpacked: Unpacked) -> Unpacked | None:
    """Keep what was not kept before, by id. The caller holds the endpoint's lock.

    Returns
    -------
    Unpacked or None
        What was kept; None when all of it was there already.
    """
    first = _next_position(connection, place)
    unpacked.place(first)
    keys = [unpacked.key(index) for index in range(len(unpacked))]
    fresh = _enter(connection, place.pk, first, keys, unpacked)
    if not fresh:
        return None
    if len(fresh) < len(unpacked):
        unpacked = Unpacked(pack([unpacked.entry(index) for index in fresh]), first)
        _insert_ids(connection, _id_rows(place.pk, [keys[index] for index in fresh], unpacked))
    if unpacked.n_all_rows < SMALL_ROWS:
        _join_last(connection, place.pk, unpacked)
    else:
        _insert_chunk(connection, place.pk, unpacked)
    return unpacked


def find_predictions(
    connection: sa.Connection, ids: Iterable[str], endpoint_pk: int | None = None
) -> dict[str, list[Place]]:
    """Find predictions by id, at one endpoint or at all; those that are nowhere are left out."""
    wanted: dict[str, list[tuple[str, int]]] = {}
    for identity in ids:
        if "-" in identity:
            for key, row in _keys_of(identity):
                wanted.setdefault(key, []).append((identity, row))
        else:  # the whole of a request of one row, as nearly all are
            wanted.setdefault(identity, []).append((identity, 0))
    found: dict[str, list[Place]] = {}
    query = _IDS if endpoint_pk is None else _IDS_OF_ENDPOINT
    for key, endpoint, position, n_rows in query.all(
        connection, {"ids": as_list(wanted), "endpoint_pk": endpoint_pk}
    ):
        for identity, row in wanted[key]:
            if row < n_rows:
                found.setdefault(identity, []).append(Place(endpoint, position + row))
    return found


def find_beside(connection: sa.Connection, endpoint_pk: int, ids: Iterable[str]) -> list[Place]:
    """Find what else than answers was predicted under the ids of predictions, at one endpoint."""
    wanted: dict[str, set[int]] = {}
    for identity in ids:
        wanted.setdefault(identity, set()).add(0)
        match = _ROW_OF_REQUEST.fullmatch(identity)
        if match is not None:
            wanted.setdefault(match[1], set()).add(int(match[2]))
    found = _BESIDE.all(connection, {"ids": as_list(wanted), "endpoint_pk": endpoint_pk})
    places = []
    for request, key, position, n_rows in found:
        piece = _ROW_OF_REQUEST.fullmatch(key)
        first = 0 if piece is None else int(piece[2])
        rows = [row for row in wanted[request] if first <= row < first + n_rows]
        places += [Place(endpoint_pk, position + row - first) for row in rows]
    return places


def rows_at(connection: sa.Connection, endpoint_pk: int, positions: Iterable[int]) -> dict[int, Found]:
    """Give the rows at some positions; each chunk is unpacked once."""
    found: dict[int, Found] = {}
    for unpacked, here in unpacked_at(connection, endpoint_pk, positions):
        chunk = Chunk(unpacked)
        for position in here:
            at = chunk.at(position)
            if at is not None:
                found[position] = at
    return found


def unpacked_at(
    connection: sa.Connection, endpoint_pk: int, positions: Iterable[int]
) -> Iterator[tuple[Unpacked, list[int]]]:
    """Give the chunks that hold some positions, each with those that it may hold."""
    left = sorted(set(positions), reverse=True)
    while left:
        row = connection.execute(_behind(endpoint_pk, left[-1] - 1).limit(1)).one_or_none()
        if row is None:
            return
        here = []
        while left and left[-1] <= row.last_position:
            here.append(left.pop())
        yield _unpacked(row), here


def rows_behind(connection: sa.Connection, endpoint_pk: int, after: int, wanted: Wanted) -> Iterator[Found]:
    """Give the rows behind a position that are wanted, in order."""
    c = capture_chunks.c
    while True:
        query = _behind(endpoint_pk, after).limit(_CHUNKS_AT_ONCE)
        if wanted.version is not None:
            query = query.where(c.oldest_version <= wanted.version, c.newest_version >= wanted.version)
        if wanted.role is not None:
            is_answer = wanted.role is CaptureRole.ANSWER
            query = query.where(c.n_others < c.n_rows if is_answer else c.n_others > 0)
        rows = connection.execute(query).all()
        if not rows:
            return
        for row in rows:
            yield from _chunk(row).behind(after, wanted)
            after = row.last_position


def chunks_backwards(connection: sa.Connection, endpoint_pk: int) -> Iterator[Chunk]:
    """Give the chunks of an endpoint, the newest first."""
    c = capture_chunks.c
    query = _chunks().where(c.endpoint_pk == endpoint_pk).order_by(c.last_position.desc())
    before: int | None = None
    while True:
        further = query if before is None else query.where(c.last_position < before)
        rows = connection.execute(further.limit(_CHUNKS_AT_ONCE)).all()
        if not rows:
            return
        for row in rows:
            yield _chunk(row)
            before = row.last_position


def last_position(connection: sa.Connection, endpoint_pk: int) -> int:
    """Give the position of the newest row; 0 when there is none."""
    query = sa.select(sa.func.max(capture_chunks.c.last_position))
    return connection.execute(query.where(capture_chunks.c.endpoint_pk == endpoint_pk)).scalar_one() or 0


def count_behind(connection: sa.Connection, endpoint_pk: int, after: int, most: int) -> int:
    """Count the answers behind a position, as far as `most`."""
    total = 0
    c = capture_chunks.c
    columns = (c.first_position, c.last_position, c.n_rows, c.n_others)
    query = sa.select(*columns).where(
        c.endpoint_pk == endpoint_pk, c.last_position > after, c.n_others < c.n_rows
    )
    for first, last, n_rows, n_others in connection.execute(query.order_by(columns[1]).limit(most)):
        if first > after:
            total += n_rows - n_others
        elif n_rows == last - first + 1 and not n_others:
            total += last - after
        else:
            total += _chunk(connection.execute(_behind(endpoint_pk, after).limit(1)).one()).n_behind(after)
        if total >= most:
            return most
    return total


def _next_position(connection: sa.Connection, place: EndpointRow) -> int:
    last = last_position(connection, place.pk)
    if last:
        return last + 1
    # A deleted endpoint gave its name free: whoever has read to a position of it reads on here.
    namesakes = endpoints.alias()
    query = (
        sa.select(sa.func.max(capture_chunks.c.last_position))
        .join(endpoints, endpoints.c.pk == capture_chunks.c.endpoint_pk)
        .join(
            namesakes,
            (namesakes.c.project_pk == endpoints.c.project_pk) & (namesakes.c.name == endpoints.c.name),
        )
        .where(namesakes.c.pk == place.pk)
    )
    return (connection.execute(query).scalar_one() or 0) + 1


def _enter(
    connection: sa.Connection, endpoint_pk: int, first: int, keys: list[str], unpacked: Unpacked
) -> list[int]:
    """Put ids into the index, and give which entries are new. Unless all are, the index is as it was."""
    fresh = sorted({key: index for index, key in reversed(list(enumerate(keys)))}.values())
    rows = _id_rows(endpoint_pk, keys, unpacked)
    if len(fresh) == len(keys) and _insert_ids(connection, rows) == len(keys):
        return fresh
    given = {"ids": as_list(keys), "endpoint_pk": endpoint_pk, "first": first}
    _FORGET.run(connection, given)
    known = {row[0] for row in _IDS_OF_ENDPOINT.all(connection, given)}
    return [index for index in fresh if keys[index] not in known]


IdRow = tuple[str, int, int, int]


def _id_rows(endpoint_pk: int, keys: Sequence[str], unpacked: Unpacked) -> list[IdRow]:
    return list(zip(keys, [endpoint_pk] * len(keys), unpacked.positions, unpacked.n_rows, strict=True))


def _insert_ids(connection: sa.Connection, rows: list[IdRow]) -> int:
    """Insert ids that are not there; give how many were not."""
    if connection.dialect.name == "sqlite":
        return _INSERT_ID.many_tuples(connection, rows)
    ids, endpoint_pks, positions, n_rows = map(list, zip(*rows, strict=True))
    values = {"ids": ids, "endpoint_pk": endpoint_pks[0], "positions": positions, "n_rows": n_rows}
    return connection.execute(_INSERT_IDS, values).rowcount


def _join_last(connection: sa.Connection, endpoint_pk: int, unpacked: Unpacked) -> None:
    """Put few rows to the few before them: a chunk for each would cost more than they."""
    query = _chunks().where(capture_chunks.c.endpoint_pk == endpoint_pk)
    last = connection.execute(query.order_by(capture_chunks.c.last_position.desc()).limit(1)).one_or_none()
    if last is None or last.n_rows >= SMALL_ROWS:
        _insert_chunk(connection, endpoint_pk, unpacked)
        return
    before = _unpacked(last)
    positions = [*before.positions, *unpacked.positions]
    follow = positions[-1] + unpacked.n_rows[-1] - positions[0] == last.n_rows + unpacked.n_all_rows
    packed = pack([*before.entries(), *unpacked.entries()], [] if follow else positions)
    connection.execute(
        sa.delete(capture_chunks).where(
            capture_chunks.c.endpoint_pk == endpoint_pk,
            capture_chunks.c.last_position == last.last_position,
        )
    )
    _insert_chunk(connection, endpoint_pk, Unpacked(packed, positions[0]))


def _insert_chunk(connection: sa.Connection, endpoint_pk: int, unpacked: Unpacked) -> None:
    values = {
        "endpoint_pk": endpoint_pk,
        "last_position": unpacked.positions[-1] + unpacked.n_rows[-1] - 1,
        "first_position": unpacked.positions[0],
        "n_rows": unpacked.n_all_rows,
        "n_others": unpacked.n_others,
        "oldest_version": min(unpacked.versions),
        "newest_version": max(unpacked.versions),
        "heads": unpacked.packed.heads,
        "data": unpacked.packed.data,
    }
    connection.execute(sa.insert(capture_chunks), values)


def _chunks() -> sa.Select[Any]:
    c = capture_chunks.c
    return sa.select(c.first_position, c.last_position, c.n_rows, c.heads, c.data)


def _behind(endpoint_pk: int, after: int) -> sa.Select[Any]:
    place = (capture_chunks.c.endpoint_pk == endpoint_pk, capture_chunks.c.last_position > after)
    return _chunks().where(*place).order_by(capture_chunks.c.last_position)


def _chunk(row: sa.Row[Any]) -> Chunk:
    return Chunk(_unpacked(row))


def _unpacked(row: sa.Row[Any]) -> Unpacked:
    return Unpacked(Packed(heads=row.heads, data=row.data), row.first_position)


def _keys_of(identity: str) -> list[tuple[str, int]]:
    """Give by which ids a prediction may be in the index, and which row of that it then is."""
    found = {identity: 0}
    match = _ROW_OF_REQUEST.fullmatch(identity)
    if match is not None:
        row = int(match[2])
        found |= {f"{match[1]}-{row - row % size}": row % size for size in PIECES}
    return list(found.items())


def _beside(dialect: str) -> str:
    """Look for keys that follow `<id>~`, and then a version: `key_of` makes them."""
    several = "json_each(:ids)" if dialect == "sqlite" else "json_array_elements_text(cast(:ids as json))"
    name = "wanted" if dialect == "sqlite" else "wanted (value)"
    return (
        f"select wanted.value, c.id, c.position, c.n_rows from {several} as {name} join capture_ids c"  # noqa: S608
        " on c.id >= wanted.value || '~0' and c.id < wanted.value || '~:' where c.endpoint_pk = :endpoint_pk"
    )


def _ids(dialect: str) -> sa.Select[Any]:
    c = capture_ids.c
    return sa.select(c.id, c.endpoint_pk, c.position, c.n_rows).where(
        c.id.in_(listed(dialect, "ids", sa.Text()))
    )


_OF_ENDPOINT = capture_ids.c.endpoint_pk == sa.bindparam("endpoint_pk", type_=sa.BigInteger)
_IDS = Prepared(_ids)
_IDS_OF_ENDPOINT = Prepared(lambda dialect: _ids(dialect).where(_OF_ENDPOINT))
_BESIDE = Prepared(lambda dialect: sa.text(_beside(dialect)))
_FORGET = Prepared(
    lambda dialect: sa.delete(capture_ids).where(
        capture_ids.c.id.in_(listed(dialect, "ids", sa.Text())),
        _OF_ENDPOINT,
        capture_ids.c.position >= sa.bindparam("first", type_=sa.BigInteger),
    )
)
_INSERT_ID = Prepared(
    sa.text(
        "insert into capture_ids (id, endpoint_pk, position, n_rows) values (:id, :endpoint_pk, :position, :n_rows)"
        " on conflict do nothing"
    )
)
_INSERT_IDS = sa.text(
    "insert into capture_ids (id, endpoint_pk, position, n_rows) select id, :endpoint_pk, position, n_rows from"
    " unnest(cast(:ids as text[]), cast(:positions as bigint[]), cast(:n_rows as bigint[])) as new"
    " (id, position, n_rows) on conflict do nothing"
)
