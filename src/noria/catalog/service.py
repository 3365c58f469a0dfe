"""Operations on decision records."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.catalog.entities import (
    DecisionRecord,
    NewRecord,
    RecordChange,
    RecordOutcome,
    RecordPage,
    check_probabilities,
    merged,
)
from noria.catalog.events import RECORD_CLOSED, RECORD_CREATED
from noria.catalog.permissions import READ_RECORDS, WRITE_RECORDS
from noria.catalog.tables import decision_records
from noria.core.errors import Conflict, NotFound
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.operations import Service, operation


class RecordClosed(Conflict):
    """The record is final."""

    code = "record_closed"


class Catalog(Service):
    """Decision records. While open they are added to; once closed they never change."""

    @operation("POST", "/projects/{project}/decision-records", needs=WRITE_RECORDS)
    def create(self, project: str, new: NewRecord) -> DecisionRecord:
        """Open a record; with a key that is known already, give the record that has it."""
        check_probabilities(new.cause_probability)
        now = self.context.clock.now()
        given = {
            name: value
            for name, value in msgspec.structs.asdict(new).items()
            if name not in ("key", "closed")
        }
        record = DecisionRecord(
            id=new_id(),
            project=project,
            author=self.context.principal.name,
            created_at=now,
            closed_at=now if new.closed else None,
            **given,
        )
        with self.context.database.write(durable=True) as connection:
            insert = self.context.database.insert(decision_records).values(
                id=record.id,
                project_pk=project_pk(connection, project),
                kind=record.kind,
                subject=record.subject,
                key=new.key,
                body=record,
                created_at=now,
                closed_at=record.closed_at,
            )
            made = connection.execute(
                insert.on_conflict_do_nothing(index_elements=["project_pk", "key"]).returning(
                    decision_records.c.pk
                )
            ).first()
            if made is None:
                return _by_key(connection, project, new.key or "")
            self._emit(connection, RECORD_CREATED, record)
        return record

    @operation("GET", "/projects/{project}/decision-records", needs=READ_RECORDS)
    def list(
        self,
        project: str,
        kind: str = "",
        subject: str = "",
        limit: int = 50,
        before: str | None = None,
    ) -> RecordPage:
        """List records, newest first."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(decision_records.c.body)
                .where(decision_records.c.project_pk == project_pk(connection, project))
                .order_by(decision_records.c.id.desc())
                .limit(bound + 1)
            )
            if kind:
                query = query.where(decision_records.c.kind == kind)
            if subject:
                query = query.where(decision_records.c.subject == subject)
            if before is not None:
                query = query.where(decision_records.c.id < before)
            found = connection.execute(query).scalars().all()
        items = [*found[:bound]]
        return RecordPage(items=items, next=items[-1].id if len(found) > bound else None)

    @operation("GET", "/projects/{project}/decision-records/{record_id}", needs=READ_RECORDS)
    def get(self, project: str, record_id: str) -> DecisionRecord:
        """Get one record."""
        with self.context.database.read() as connection:
            return _find(connection, project, record_id)

    @operation("PATCH", "/projects/{project}/decision-records/{record_id}", needs=WRITE_RECORDS)
    def update(self, project: str, record_id: str, change: RecordChange) -> DecisionRecord:
        """Add to an open record.

        Raises
        ------
        RecordClosed
            If it is final.
        """
        check_probabilities(change.cause_probability)
        with self.context.database.write(durable=True) as connection:
            record = merged(_open(connection, project, record_id), change)
            _store(connection, record)
        return record

    @operation(
        "POST", "/projects/{project}/decision-records/{record_id}/close", needs=WRITE_RECORDS, status=200
    )
    def close(self, project: str, record_id: str, outcome: RecordOutcome) -> DecisionRecord:
        """Write how it fared and make the record final; closing it again with the same outcome changes nothing."""
        with self.context.database.write(durable=True) as connection:
            found = _find(connection, project, record_id, lock=True)
            if found.closed_at is not None and found.outcome == outcome.outcome:
                return found
            record = msgspec.structs.replace(
                _open(connection, project, record_id),
                outcome=outcome.outcome,
                closed_at=self.context.clock.now(),
            )
            _store(connection, record)
            self._emit(connection, RECORD_CLOSED, record)
        return record

    def _emit(self, connection: sa.Connection, kind: EventType, record: DecisionRecord) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=f"record:{record.id}",
            project=record.project,
            payload={"kind": record.kind, "about": record.subject, "choice": record.choice},
        )


def _find(connection: sa.Connection, project: str, record_id: str, *, lock: bool = False) -> DecisionRecord:
    query = (
        sa.select(decision_records.c.body)
        .where(decision_records.c.id == record_id)
        .where(decision_records.c.project_pk == project_pk(connection, project))
    )
    found: DecisionRecord | None = connection.execute(
        query.with_for_update() if lock else query
    ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no decision record `{record_id}`", hint="See `noria catalog list`")
    return found


def _open(connection: sa.Connection, project: str, record_id: str) -> DecisionRecord:
    found = _find(connection, project, record_id, lock=True)
    if found.closed_at is not None:
        raise RecordClosed(
            f"The decision record `{record_id}` is final since {found.closed_at:%Y-%m-%d %H:%M}",
            hint="Open a new record; this one stays as evidence",
        )
    return found


def _by_key(connection: sa.Connection, project: str, key: str) -> DecisionRecord:
    query = (
        sa.select(decision_records.c.body)
        .where(decision_records.c.key == key)
        .where(decision_records.c.project_pk == project_pk(connection, project))
    )
    found: DecisionRecord = connection.execute(query).scalar_one()
    return found


def _store(connection: sa.Connection, record: DecisionRecord) -> None:
    connection.execute(
        sa.update(decision_records)
        .where(decision_records.c.id == record.id)
        .values(body=record, closed_at=record.closed_at)
    )
