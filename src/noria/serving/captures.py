"""Operations on captured predictions and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import Invalid, NotFound, TooLarge
from noria.core.operations import Service, operation
from noria.serving.beside import count_late, judged, pairs_of, shadows_beside
from noria.serving.captured_rows import Reading, last_label
from noria.serving.chunks import Wanted, count_behind, find_predictions, keep, last_position
from noria.serving.counts import Judged, add_counts, count_labels, count_requests, read_counts
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.packing import Packed, Unpacked, json_entry, pack
from noria.serving.pairs import add_pairs, count_labelled, count_pair
from noria.serving.permissions import GIVE_FEEDBACK, READ_CAPTURES, SERVE
from noria.serving.predictions import (
    CaptureBatch,
    CapturedRow,
    CaptureHead,
    CaptureOrder,
    CapturePage,
    CaptureReport,
    CaptureRole,
    LabelBatch,
    LabelReport,
    LocatedPrediction,
    LocatedPredictions,
    NewLabel,
    PredictionIds,
    StatsTable,
)
from noria.serving.tables import endpoints, labels

MAX_BATCH = 10_000
"""Most rows, labels or ids of one call."""

MAX_COUNTED = 1000
"""A count of rows that nobody has looked at yet stops there."""


class PredictionNotFound(NotFound):
    """No captured prediction has this id."""

    code = "prediction_not_found"

    def __init__(self, endpoint: str, prediction_id: str) -> None:
        super().__init__(
            f"The endpoint `{endpoint}` captured no prediction `{prediction_id}`",
            hint="Use the id that the answer carried; a model server hands on what it captured within seconds",
            details={"endpoint": endpoint, "prediction_id": prediction_id},
        )


class Captures(Service):
    """What the endpoints answered, and what the truth was."""

    @operation("POST", "/projects/{project}/endpoints/{endpoint}/captures", needs=SERVE)
    def append(self, project: str, endpoint: str, batch: CaptureBatch) -> CaptureReport:
        """Keep predictions; one whose id is known already is left as it is."""
        _bound(len(batch.predictions), "predictions")
        sent = list({prediction.id: prediction for prediction in reversed(batch.predictions)}.values())[::-1]
        entries = {prediction.id: json_entry(prediction) for prediction in sent}
        with self.context.database.write() as connection:
            place = endpoint_row(connection, project, endpoint, lock=True, deleted=True)
            known = find_predictions(connection, entries, place.pk)
            fresh = [entry for identity, entry in entries.items() if identity not in known]
            n_kept = _keep(connection, place, Unpacked(pack(fresh))) if fresh else 0
        return CaptureReport(accepted=n_kept, duplicate=len(batch.predictions) - n_kept)

    @operation("POST", "/projects/{project}/endpoints/{endpoint}/captures/packed", needs=SERVE)
    def append_packed(self, project: str, endpoint: str, batch: Packed) -> CaptureReport:
        """Keep answered requests as a model server packs them; one whose id is known already is left as it is."""
        unpacked = Unpacked(batch)
        _bound(unpacked.n_all_rows, "rows")
        unpacked.check()
        with self.context.database.write() as connection:
            place = endpoint_row(connection, project, endpoint, lock=True, deleted=True)
            n_kept = _keep(connection, place, unpacked)
        return CaptureReport(accepted=n_kept, duplicate=unpacked.n_all_rows - n_kept)

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/captures", needs=READ_CAPTURES)
    def read(
        self,
        project: str,
        endpoint: str,
        after: int = 0,
        limit: int = 100,
        version: int | None = None,
        labelled: bool | None = None,
        order: CaptureOrder = CaptureOrder.CAPTURED,
        role: CaptureRole = CaptureRole.ANSWER,
    ) -> CapturePage:
        """Read captured rows behind a cursor.

        Parameters
        ----------
        after
            0, or the `next` of the page before.
        limit
            At most this many, 1 to 1000.
        version
            Only rows that this version answered.
        labelled
            Only rows with a label, or only those without.
        order
            `labelled` reads labelled rows in the order in which their labels came, so that late labels are not
            missed; `after` is then a position of labels.
        role
            What else than answers was predicted has no labels of its own, but the ids of the answers, which have.
        """
        bound = max(1, min(limit, 1000))
        by_label = order is CaptureOrder.LABELLED
        if role is not CaptureRole.ANSWER and (by_label or labelled is not None):
            raise Invalid("Labels are of answers", hint="Leave out `role`, or `labelled` and `order`")
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            reading = Reading(connection, place.pk, Wanted(version, role))
            if by_label or labelled:
                rows = reading.labelled(after, by_label=by_label)
            else:
                rows = reading.captured(after, bound, without_label=labelled is False)
            found = list(islice(rows, bound + 1))
        items = found[:bound]
        reached = after
        if items:
            last = items[-1]
            reached = last.label.position if by_label and last.label is not None else last.position
        return CapturePage(items=items, next=reached, more=len(found) > bound)

    @operation(
        "GET", "/projects/{project}/endpoints/{endpoint}/captures/{prediction_id}", needs=READ_CAPTURES
    )
    def get(self, project: str, endpoint: str, prediction_id: str) -> CapturedRow:
        """Get one captured prediction with its label."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            found = Reading(connection, place.pk).by_id([prediction_id])
        if not found:
            raise PredictionNotFound(endpoint, prediction_id)
        return found[prediction_id]

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/capture-head", needs=READ_CAPTURES)
    def head(self, project: str, endpoint: str, after: int = 0) -> CaptureHead:
        """Tell where the captured rows and the labels end, and how many rows there are behind `after`."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            return CaptureHead(
                position=last_position(connection, place.pk),
                label_position=last_label(connection, place.pk),
                n_rows=count_behind(connection, place.pk, after, MAX_COUNTED),
            )

    @operation("POST", "/projects/{project}/endpoints/{endpoint}/labels", needs=GIVE_FEEDBACK, status=200)
    def label(self, project: str, endpoint: str, batch: LabelBatch) -> LabelReport:
        """Keep the true values of predictions, safe against loss of power.

        The first label of a prediction stands. Sending it again changes nothing; another value is reported and counted
        as a contradiction.
        """
        _bound(len(batch.labels), "labels")
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, endpoint, lock=True, deleted=True)
            return _Labelling(connection, place, self.context.clock.now()).keep(batch.labels)

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/stats", needs=READ_CAPTURES)
    def stats(
        self, project: str, endpoint: str, version: int | None = None, since_revision: int = 0
    ) -> StatsTable:
        """Give counts, errors, latency and labelled quality by version, at the same cost however much was captured.

        Parameters
        ----------
        version
            Only this version.
        since_revision
            Only what was answered under this revision of the endpoint or a later one.
        """
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            found = read_counts(connection, place.pk, since_revision)
        return StatsTable(items=[s for s in found if version is None or s.version == version])

    @operation("POST", "/captures/locate", needs=SERVE, status=200)
    def locate(self, wanted: PredictionIds) -> LocatedPredictions:
        """Tell at which endpoint predictions were captured; ids that none has are left out."""
        _bound(len(wanted.ids), "ids")
        with self.context.database.read() as connection:
            places = find_predictions(connection, wanted.ids)
            pks = {place.endpoint_pk for found in places.values() for place in found}
            query = (
                sa.select(endpoints.c.pk, projects.c.name, endpoints.c.name)
                .join(projects, projects.c.pk == endpoints.c.project_pk)
                .where(endpoints.c.pk.in_(pks))
            )
            names = {pk: (project, name) for pk, project, name in connection.execute(query)}
        return LocatedPredictions(
            items=[
                LocatedPrediction(prediction_id=identity, project=project, endpoint=name)
                for identity, found in places.items()
                for project, name in [names[place.endpoint_pk] for place in found]
            ]
        )


class _Labelling:
    """One batch of labels in one transaction."""

    def __init__(self, connection: sa.Connection, place: EndpointRow, now: datetime) -> None:
        self._connection = connection
        self._place = place
        self._now = now
        self._accepted: list[dict[str, Any]] = []
        self._judged: list[Judged] = []
        self._given: dict[str, Any] = {}
        self._seen: dict[str, list[str]] = {
            "unknown": [], "duplicate": [], "conflicting": [], "mistyped": []
        }  # fmt: skip

    def keep(self, batch: Sequence[NewLabel]) -> LabelReport:
        found = Reading(self._connection, self._place.pk).by_id(label.prediction_id for label in batch)
        standing: dict[str, Any] = {
            key: row.label.value for key, row in found.items() if row.label is not None
        }
        for label in batch:
            self._keep_one(label, found.get(label.prediction_id), standing)
        if self._accepted:
            self._connection.execute(sa.insert(labels), self._accepted)
            self._count(found)
        return LabelReport(accepted=len(self._accepted), **self._seen)

    def _count(self, found: Mapping[str, CapturedRow]) -> None:
        task, given = self._place.task, self._given
        shadows = shadows_beside(self._connection, self._place, given)
        self._judged.extend(judged(shadow, given[shadow.id]) for shadow in shadows)
        add_counts(self._connection, self._place.pk, count_labels(task, self._judged))
        pairs = [
            count_labelled(task, found[shadow.id].prediction, shadow, given[shadow.id]) for shadow in shadows
        ]
        add_pairs(self._connection, self._place.pk, pairs)

    def _keep_one(self, label: NewLabel, row: CapturedRow | None, standing: dict[str, Any]) -> None:
        identity = label.prediction_id
        if row is None:
            self._seen["unknown"].append(identity)
        elif identity in standing:
            self._compare(identity, row, label, standing[identity])
        elif not _same_kind(row.prediction.outputs.get("predictions"), label.value):
            self._seen["mistyped"].append(identity)
        else:
            standing[identity] = self._given[identity] = label.value
            self._accept(row, label)

    def _accept(self, row: CapturedRow, label: NewLabel) -> None:
        self._accepted.append(
            {
                "endpoint_pk": self._place.pk,
                "position": row.position,
                "value": label.value,
                "at": label.at or self._now,
                "source": label.source,
                "n_contradictions": 0,
            }
        )
        self._judged.append(judged(row.prediction, label.value))

    def _compare(self, identity: str, row: CapturedRow, label: NewLabel, standing: Any) -> None:
        if label.value == standing:
            self._seen["duplicate"].append(identity)
            return
        self._seen["conflicting"].append(identity)
        self._connection.execute(
            sa.update(labels)
            .where(labels.c.endpoint_pk == self._place.pk, labels.c.position == row.position)
            .values(n_contradictions=labels.c.n_contradictions + 1)
        )


def _same_kind(predicted: Any, value: Any) -> bool:
    # A request that failed predicted nothing, so any truth may stand beside it.
    return predicted is None or isinstance(predicted, str) == isinstance(value, str)


def _bound(count: int, what: str) -> None:
    if count > MAX_BATCH:
        raise TooLarge(
            f"One call may hold at most {MAX_BATCH} {what}, not {count}", hint="Send them in parts"
        )


def _keep(connection: sa.Connection, place: EndpointRow, unpacked: Unpacked) -> int:
    """Keep what is new, count it, and give how many rows that were."""
    kept = keep(connection, place, unpacked)
    if kept is None:
        return 0
    pairs = pairs_of(connection, place.pk, kept)
    late = count_labels(place.task, count_late(pairs))
    add_counts(connection, place.pk, [*count_requests(kept, place.task), *late])
    add_pairs(connection, place.pk, [each for pair in pairs for each in count_pair(place.task, pair)])
    return kept.n_all_rows
