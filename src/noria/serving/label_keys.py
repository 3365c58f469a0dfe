"""Find the predictions that labels are of by a key and a time, where nobody kept the prediction's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa

from noria.serving.chunks import Found, Wanted, chunks_backwards
from noria.serving.predictions import KEY, Instant, LabelReport, LabelValue, NewLabel, ShortText

MOST_SCANNED = 100_000
"""Rows that are looked through, newest first; what lies behind them is not found."""

KeyValue = bool | int | float | str


class KeyedLabel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about whatever had a key at a time.

    Attributes
    ----------
    key
        Input, or column that names the rows of a batch → value: `{"customer": 42}`. All of them have to be equal.
    at
        The newest prediction at or before this instant is meant.
    value, source, corrects, client
        As those of a `NewLabel`.
    """

    key: Annotated[dict[str, KeyValue], msgspec.Meta(min_length=1, max_length=20)]
    at: Instant
    value: LabelValue
    source: ShortText | None = None
    corrects: bool = False
    client: ShortText | None = None

    def of(self, prediction_id: str) -> NewLabel:
        """Give it as the label of a prediction."""
        return NewLabel(
            prediction_id=prediction_id,
            value=self.value,
            at=self.at,
            source=self.source,
            corrects=self.corrects,
            client=self.client,
        )


class KeyedLabelBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels by key and time.

    Attributes
    ----------
    within_s
        A prediction that is older than this before a label's time is not meant by it.
    """

    labels: list[KeyedLabel]
    within_s: Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)] = 86_400.0


class KeyedLabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes
    ----------
    labels
        Of those whose prediction was found.
    unmatched
        Places in the batch, from 0, of labels whose prediction was not found.
    """

    labels: LabelReport
    unmatched: list[int]


def find_by_key(connection: sa.Connection, endpoint_pk: int, batch: KeyedLabelBatch) -> list[str | None]:
    """Give the id of the prediction that each label of a batch is of; None where there is none."""
    within = timedelta(seconds=batch.within_s)
    wanted = _Wanted(batch.labels, within)
    for row in _backwards(connection, endpoint_pk, wanted.earliest):
        wanted.look_at(row)
    return wanted.ids


class _Wanted:
    def __init__(self, labels: Sequence[KeyedLabel], within: timedelta) -> None:
        self._labels = labels
        self._within = within
        self.ids: list[str | None] = [None] * len(labels)
        self._times: list[datetime | None] = [None] * len(labels)
        self.earliest = min((label.at for label in labels), default=datetime.max.replace(tzinfo=UTC)) - within
        # Names of inputs → their values → which labels have them.
        self._by_key: dict[tuple[str, ...], dict[tuple[Any, ...], list[int]]] = {}
        for index, label in enumerate(labels):
            names = tuple(sorted(label.key))
            values = tuple(label.key[name] for name in names)
            self._by_key.setdefault(names, {}).setdefault(values, []).append(index)

    def look_at(self, row: Found) -> None:
        inputs, outputs, at = row.prediction.inputs, row.prediction.outputs, row.prediction.at
        for names, by_values in self._by_key.items():
            values = tuple(inputs.get(name, outputs.get(f"{KEY}{name}")) for name in names)
            if any(isinstance(value, list | dict) for value in values):
                continue
            for index in by_values.get(values, ()):
                self._take(index, row.prediction.id, at)

    def _take(self, index: int, identity: str, at: datetime) -> None:
        label, known = self._labels[index], self._times[index]
        # Of two at one instant the first that is seen stands: it was captured later.
        if label.at - self._within <= at <= label.at and (known is None or at > known):
            self.ids[index], self._times[index] = identity, at


def _backwards(connection: sa.Connection, endpoint_pk: int, earliest: datetime) -> Iterator[Found]:
    """Give answers from the newest on, as far as they may matter."""
    n_seen = 0
    for chunk in chunks_backwards(connection, endpoint_pk):
        rows = list(chunk.behind(0, Wanted()))
        yield from reversed(rows)
        n_seen += len(rows)
        if n_seen >= MOST_SCANNED or (rows and max(row.prediction.at for row in rows) < earliest):
            return
