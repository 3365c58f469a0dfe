"""Captured rows with their labels, as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import sqlalchemy as sa

from noria.core.database.prepared import as_list, listed
from noria.serving.chunks import Chunk, Found, Wanted, find_predictions, rows_at, rows_behind
from noria.serving.label_trust import LabelTrust
from noria.serving.packed_reading import PackedPage
from noria.serving.packing import Packed, Unpacked
from noria.serving.predictions import CapturedRow, CaptureRole, Label
from noria.serving.tables import labels

_AT_ONCE = 250


class Reading:
    """Reads the rows of one endpoint: answers, unless others are wanted."""

    def __init__(self, connection: sa.Connection, endpoint_pk: int, wanted: Wanted = Wanted()) -> None:  # noqa: B008
        self._connection = connection
        self._endpoint_pk = endpoint_pk
        self._wanted = wanted

    def captured(self, after: int, n: int, *, without_label: bool) -> Iterator[CapturedRow]:
        """Give rows in the order of their capture.

        Parameters
        ----------
        n
            About how many the caller takes.
        """
        rows = rows_behind(self._connection, self._endpoint_pk, after, self._wanted)
        while some := list(islice(rows, n + 1)):
            given = self.labels_of([row.position for row in some])
            for row in some:
                if not (without_label and row.position in given):
                    yield _captured(row, given.get(row.position))

    def labelled(self, after: int, *, by_label: bool) -> Iterator[CapturedRow]:
        """Give the rows that have a label, in the order in which the labels came, or in that of their capture."""
        key = labels.c.pk if by_label else labels.c.position
        while True:
            query = _labels().where(labels.c.endpoint_pk == self._endpoint_pk, key > after)
            some = self._connection.execute(query.order_by(key).limit(_AT_ONCE)).all()
            if not some:
                return
            rows = rows_at(self._connection, self._endpoint_pk, [label.position for label in some])
            for label in some:
                row = rows.get(label.position)
                if row is not None and self._wanted.version in (None, row.prediction.version):
                    yield _captured(row, label)
            after = some[-1].pk if by_label else some[-1].position

    def by_id(self, ids: Iterable[str]) -> dict[str, CapturedRow]:
        """Give rows by the ids of their predictions; those that are not there are left out."""
        found = find_predictions(self._connection, ids, self._endpoint_pk)
        positions = [places[0].position for places in found.values()]
        rows = rows_at(self._connection, self._endpoint_pk, positions)
        given = self.labels_of(positions)
        return {
            row.prediction.id: _captured(row, given.get(row.position))
            for row in (rows[position] for position in positions)
            if row.prediction.role is CaptureRole.ANSWER
        }

    def labels_of(self, positions: list[int]) -> dict[int, sa.Row[Any]]:
        """Give the labels of rows as they are stored, by position; rows without one are left out."""
        wanted = listed(self._connection.dialect.name, "positions", sa.BigInteger())
        query = _labels().where(labels.c.endpoint_pk == self._endpoint_pk, labels.c.position.in_(wanted))
        rows = self._connection.execute(query, {"positions": as_list(positions)})
        return {row.position: row for row in rows}


def rows_of_page(page: PackedPage) -> list[Found]:
    """Give the answers of a page behind its `after`, in order."""
    found: list[Found] = []
    for item in page.items:
        unpacked = Unpacked(Packed(heads=item.heads, data=item.data), item.first_position)
        found += Chunk(unpacked).behind(page.after, Wanted())
    return found


def last_label(connection: sa.Connection, endpoint_pk: int) -> int:
    """Give the position of the newest label; 0 when there is none."""
    query = sa.select(sa.func.max(labels.c.pk)).where(labels.c.endpoint_pk == endpoint_pk)
    return connection.execute(query).scalar_one() or 0


def _labels() -> sa.Select[Any]:
    c = labels.c
    told = (c.n_contradictions, c.trust, c.n_corrections, c.received_at)
    return sa.select(c.pk, c.position, c.value, c.at, c.source, *told)


def _captured(row: Found, label: sa.Row[Any] | None) -> CapturedRow:
    return CapturedRow(
        position=row.position,
        prediction=row.prediction,
        label=None if label is None else _label(row.prediction.id, label),
    )


def _label(prediction_id: str, label: sa.Row[Any]) -> Label:
    return Label(
        prediction_id=prediction_id,
        value=label.value,
        at=label.at,
        source=label.source,
        position=label.pk,
        n_contradictions=label.n_contradictions,
        trust=LabelTrust.TRUSTED if label.trust is None else LabelTrust(label.trust),
        n_corrections=label.n_corrections,
        received_at=label.received_at,
    )
