"""Operations on captured predictions and their labels."""

from __future__ import annotations

from itertools import islice

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import Invalid, NotFound, TooLarge
from noria.core.operations import Service, operation
from noria.serving.beside import count_late, pairs_of
from noria.serving.captured_rows import Reading, last_label
from noria.serving.chunks import Wanted, count_behind, find_predictions, keep, last_position
from noria.serving.counts import add_counts, count_labels, count_requests, read_counts
from noria.serving.label_keys import KeyedLabelBatch, KeyedLabelReport, find_by_key
from noria.serving.labelling import Labelling, past_labels
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.packed_reading import PackedPage, packed_behind
from noria.serving.packing import Packed, Unpacked, json_entry, pack
from noria.serving.pairs import add_pairs, count_labels_of, count_seen
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
    LabelHistory,
    LabelReport,
    LocatedPrediction,
    LocatedPredictions,
    PredictionIds,
    StatsTable,
)
from noria.serving.tables import endpoints

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

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/capture-chunks", needs=READ_CAPTURES)
    def chunks(self, project: str, endpoint: str, after: int = 0, n_rows: int = 1000) -> PackedPage:
        """Read captured rows behind a cursor as they are kept, packed.

        Parameters
        ----------
        after
            0, or the `next` of the page before.
        n_rows
            Whole chunks are given until they hold so many rows, or 8 MiB; answers or not, so there may be none.
        """
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            return packed_behind(connection, place.pk, after, max(1, n_rows))

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
        as a contradiction, unless it says that it corrects. One that is trusted takes the place of one that is not.
        Labels that are not trusted (`[labels]`) are kept and shown, but move no figure that something is done by.
        """
        _bound(len(batch.labels), "labels")
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, endpoint, lock=True, deleted=True)
            return Labelling(self.context, connection, place).keep(batch.labels)

    @operation(
        "POST", "/projects/{project}/endpoints/{endpoint}/labels/by-key", needs=GIVE_FEEDBACK, status=200
    )
    def label_by_key(self, project: str, endpoint: str, batch: KeyedLabelBatch) -> KeyedLabelReport:
        """Keep the true values of predictions that are named by inputs and a time instead of by their id.

        The newest prediction with these inputs at or before the time is meant; the newest 100,000 rows are looked
        through.
        """
        _bound(len(batch.labels), "labels")
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint, deleted=True)
            ids = find_by_key(connection, place.pk, batch)
        found = [label.of(each) for label, each in zip(batch.labels, ids, strict=True) if each is not None]
        report = self.label(project, endpoint, LabelBatch(labels=found)) if found else LabelReport()
        unmatched = [index for index, each in enumerate(ids) if each is None]
        return KeyedLabelReport(labels=report, unmatched=unmatched)

    @operation(
        "GET",
        "/projects/{project}/endpoints/{endpoint}/captures/{prediction_id}/labels",
        needs=READ_CAPTURES,
    )
    def label_history(self, project: str, endpoint: str, prediction_id: str) -> LabelHistory:
        """Get the label of a prediction, and the values beside it: corrected, replaced, or refused."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            found = Reading(connection, place.pk).by_id([prediction_id]).get(prediction_id)
            if found is None:
                raise PredictionNotFound(endpoint, prediction_id)
            past = past_labels(connection, place.pk, found.position)
        return LabelHistory(prediction_id=prediction_id, label=found.label, past=past)

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
    together = pairs_of(connection, place.pk, kept)
    late = count_labels(place.task, count_late(together.labelled))
    add_counts(connection, place.pk, [*count_requests(kept, place.task), *late])
    pairs = [*count_seen(together.seen), *count_labels_of(place.task, together.labelled)]
    add_pairs(connection, place.pk, pairs)
    return kept.n_all_rows
