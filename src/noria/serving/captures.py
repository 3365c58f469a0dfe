"""Operations on captured predictions and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.errors import NotFound, TooLarge
from noria.core.operations import Service, operation
from noria.serving.counts import add_counts, count_label, count_predictions, read_counts
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.permissions import GIVE_FEEDBACK, READ_CAPTURES, SERVE
from noria.serving.predictions import (
    CaptureBatch,
    CapturedRow,
    CaptureHead,
    CaptureOrder,
    CapturePage,
    CaptureReport,
    Label,
    LabelBatch,
    LabelReport,
    LocatedPrediction,
    LocatedPredictions,
    NewLabel,
    Prediction,
    PredictionIds,
    StatsTable,
)
from noria.serving.tables import captures, endpoints, labels

MAX_BATCH = 10_000
"""Most rows, labels or ids of one call."""

MAX_COUNTED = 1000
"""A count of rows that nobody has looked at yet stops there."""

_IDS_PER_QUERY = 500


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
        with self.context.database.write() as connection:
            place = endpoint_row(connection, project, endpoint, lock=True, deleted=True)
            known = _known_ids(connection, place.pk, [p.id for p in batch.predictions])
            fresh = list({p.id: p for p in reversed(batch.predictions) if p.id not in known}.values())[::-1]
            if fresh:
                connection.execute(sa.insert(captures), [_capture_values(place.pk, p) for p in fresh])
                add_counts(connection, place.pk, count_predictions(fresh))
        return CaptureReport(accepted=len(fresh), duplicate=len(batch.predictions) - len(fresh))

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
        """
        bound = max(1, min(limit, 1000))
        by_label = order is CaptureOrder.LABELLED
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            key = labels.c.pk if by_label else captures.c.pk
            owner = labels.c.endpoint_pk if by_label else captures.c.endpoint_pk
            query = _rows(inner=by_label or labelled is True).where(owner == place.pk, key > after)
            if version is not None:
                query = query.where(captures.c.version == version)
            if labelled is False:
                query = query.where(labels.c.pk.is_(None))
            rows = connection.execute(query.order_by(key).limit(bound + 1)).mappings().all()
        items = [_captured(row) for row in rows[:bound]]
        last = rows[len(items) - 1] if items else None
        reached = after if last is None else last["label_position" if by_label else "position"]
        return CapturePage(items=items, next=reached, more=len(rows) > bound)

    @operation(
        "GET", "/projects/{project}/endpoints/{endpoint}/captures/{prediction_id}", needs=READ_CAPTURES
    )
    def get(self, project: str, endpoint: str, prediction_id: str) -> CapturedRow:
        """Get one captured prediction with its label."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            query = _rows(inner=False).where(
                captures.c.prediction_id == prediction_id, captures.c.endpoint_pk == place.pk
            )
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise PredictionNotFound(endpoint, prediction_id)
        return _captured(row)

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/capture-head", needs=READ_CAPTURES)
    def head(self, project: str, endpoint: str, after: int = 0) -> CaptureHead:
        """Tell where the captured rows and the labels end, and how many rows there are behind `after`."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, endpoint)
            return CaptureHead(
                position=_last(connection, captures, place.pk),
                label_position=_last(connection, labels, place.pk),
                n_rows=_count_after(connection, place.pk, after),
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
        found = []
        with self.context.database.read() as connection:
            for ids in _chunks(wanted.ids):
                query = (
                    sa.select(captures.c.prediction_id, projects.c.name.label("project"), endpoints.c.name)
                    .join(endpoints, endpoints.c.pk == captures.c.endpoint_pk)
                    .join(projects, projects.c.pk == endpoints.c.project_pk)
                    .where(captures.c.prediction_id.in_(ids))
                )
                found += [
                    LocatedPrediction(prediction_id=identity, project=project, endpoint=name)
                    for identity, project, name in connection.execute(query)
                ]
        return LocatedPredictions(items=found)


class _Labelling:
    """One batch of labels in one transaction."""

    def __init__(self, connection: sa.Connection, place: EndpointRow, now: datetime) -> None:
        self._connection = connection
        self._place = place
        self._now = now
        self._accepted: list[dict[str, Any]] = []
        self._counts: list[tuple[int, int, Any, Any]] = []
        self._seen: dict[str, list[str]] = {
            "unknown": [], "duplicate": [], "conflicting": [], "mistyped": []
        }  # fmt: skip

    def keep(self, batch: Sequence[NewLabel]) -> LabelReport:
        found = _labelled_rows(self._connection, self._place.pk, [label.prediction_id for label in batch])
        standing: dict[str, Any] = {
            key: row["label_value"] for key, row in found.items() if row["label_position"] is not None
        }
        for label in batch:
            self._keep_one(label, found.get(label.prediction_id), standing)
        if self._accepted:
            self._connection.execute(sa.insert(labels), self._accepted)
            add_counts(
                self._connection,
                self._place.pk,
                [count_label(self._place.task, *entry) for entry in self._counts],
            )
        return LabelReport(accepted=len(self._accepted), **self._seen)

    def _keep_one(self, label: NewLabel, row: sa.RowMapping | None, standing: dict[str, Any]) -> None:
        identity = label.prediction_id
        if row is None:
            self._seen["unknown"].append(identity)
        elif identity in standing:
            self._compare(identity, row, label, standing[identity])
        elif not _same_kind(row["outputs"].get("predictions"), label.value):
            self._seen["mistyped"].append(identity)
        else:
            standing[identity] = label.value
            self._accept(row, label)

    def _accept(self, row: sa.RowMapping, label: NewLabel) -> None:
        self._accepted.append(
            {
                "capture_pk": row["position"],
                "endpoint_pk": self._place.pk,
                "value": label.value,
                "at": label.at or self._now,
                "source": label.source,
                "n_contradictions": 0,
            }
        )
        predicted = row["outputs"].get("predictions")
        self._counts.append((row["version"], row["revision"], predicted, label.value))

    def _compare(self, identity: str, row: sa.RowMapping, label: NewLabel, standing: Any) -> None:
        if label.value == standing:
            self._seen["duplicate"].append(identity)
            return
        self._seen["conflicting"].append(identity)
        self._connection.execute(
            sa.update(labels)
            .where(labels.c.capture_pk == row["position"])
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


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY))


def _known_ids(connection: sa.Connection, endpoint_pk: int, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in _chunks(ids):
        query = sa.select(captures.c.prediction_id).where(
            captures.c.prediction_id.in_(part), captures.c.endpoint_pk == endpoint_pk
        )
        known.update(connection.execute(query).scalars())
    return known


def _capture_values(endpoint_pk: int, prediction: Prediction) -> dict[str, Any]:
    return {
        "endpoint_pk": endpoint_pk,
        "prediction_id": prediction.id,
        "version": prediction.version,
        "revision": prediction.revision,
        "row": prediction.row,
        "at": prediction.at,
        "inputs": prediction.inputs,
        "outputs": prediction.outputs,
        "latency_us": prediction.latency_us,
        "error": prediction.error,
    }


def _rows(*, inner: bool) -> sa.Select[Any]:
    return sa.select(
        captures.c.pk.label("position"),
        captures.c.prediction_id,
        captures.c.version,
        captures.c.revision,
        captures.c.row,
        captures.c.at,
        captures.c.inputs,
        captures.c.outputs,
        captures.c.latency_us,
        captures.c.error,
        labels.c.pk.label("label_position"),
        labels.c.value.label("label_value"),
        labels.c.at.label("label_at"),
        labels.c.source.label("label_source"),
        labels.c.n_contradictions,
    ).join_from(captures, labels, labels.c.capture_pk == captures.c.pk, isouter=not inner)


def _labelled_rows(
    connection: sa.Connection, endpoint_pk: int, ids: Sequence[str]
) -> dict[str, sa.RowMapping]:
    found: dict[str, sa.RowMapping] = {}
    for part in _chunks(ids):
        query = _rows(inner=False).where(
            captures.c.prediction_id.in_(part), captures.c.endpoint_pk == endpoint_pk
        )
        found |= {row["prediction_id"]: row for row in connection.execute(query).mappings()}
    return found


def _captured(row: sa.RowMapping) -> CapturedRow:
    return CapturedRow(
        position=row["position"],
        prediction=Prediction(
            id=row["prediction_id"],
            version=row["version"],
            at=row["at"],
            inputs=row["inputs"],
            outputs=row["outputs"],
            latency_us=row["latency_us"],
            error=row["error"],
            row=row["row"],
            revision=row["revision"],
        ),
        label=None if row["label_position"] is None else _label(row),
    )


def _label(row: sa.RowMapping) -> Label:
    return Label(
        prediction_id=row["prediction_id"],
        value=row["label_value"],
        at=row["label_at"],
        source=row["label_source"],
        position=row["label_position"],
        n_contradictions=row["n_contradictions"],
    )


def _count_after(connection: sa.Connection, endpoint_pk: int, after: int) -> int:
    behind = sa.select(captures.c.pk).where(captures.c.endpoint_pk == endpoint_pk, captures.c.pk > after)
    return int(
        connection.execute(
            sa.select(sa.func.count()).select_from(behind.limit(MAX_COUNTED).subquery())
        ).scalar_one()
    )


def _last(connection: sa.Connection, table: sa.Table, endpoint_pk: int) -> int:
    query = sa.select(sa.func.coalesce(sa.func.max(table.c.pk), 0)).where(table.c.endpoint_pk == endpoint_pk)
    return int(connection.execute(query).scalar_one())
