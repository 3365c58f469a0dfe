"""Assessments in their table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.ids import new_id
from noria.tracking.traces.assessment_entities import (
    Assessment,
    AssessmentChange,
    AssessmentError,
    AssessmentKind,
    AssessmentSource,
    NewAssessment,
)
from noria.tracking.traces.conventions import SESSION_METADATA
from noria.tracking.traces.limits import cleaned
from noria.tracking.traces.packing import finite
from noria.tracking.traces.places import in_chunks
from noria.tracking.traces.rows import TraceRow
from noria.tracking.traces.tables import trace_assessments

_TABLE = trace_assessments.c


class AssessmentNotFound(NotFound):
    """The trace has no assessment of this id."""

    code = "assessment_not_found"

    def __init__(self, trace_id: str, assessment_id: str) -> None:
        super().__init__(
            f"The trace `{trace_id}` has no assessment `{assessment_id[:100]}`",
            hint=f"See `noria traces show {trace_id}`",
            details={"trace_id": trace_id, "assessment_id": assessment_id[:100]},
        )


class AssessmentExists(Conflict):
    """There is an assessment of this id already."""

    code = "assessment_exists"


def add_assessments(
    connection: sa.Connection, clock: Clock, row: TraceRow, new: Sequence[NewAssessment]
) -> list[str]:
    """Add assessments that came with a trace, in place of those of the trace that have their ids; give their ids."""
    ids = []
    for each in new:
        values = _values(clock, row, each)
        insert = upsertable(connection.dialect.name, trace_assessments).values(values)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["id"],
                set_={name: insert.excluded[name] for name in values if name not in ("id", "created_ms")},
                where=_TABLE.trace_pk == row.pk,
            )
        )
        ids.append(values["id"])
    return ids


def create(
    connection: sa.Connection, clock: Clock, row: TraceRow, trace_id: str, new: NewAssessment
) -> Assessment:
    """Add an assessment, and take back the one that it overrides.

    Raises
    ------
    AssessmentNotFound
        If it overrides one that is not there.
    AssessmentExists
        If there is one of its id.
    """
    if new.overrides:
        _validate(connection, row.pk, trace_id, new.overrides, is_valid=False)
    values = _values(clock, row, new)
    insert = upsertable(connection.dialect.name, trace_assessments).values(values)
    done = connection.execute(
        insert.on_conflict_do_nothing(index_elements=["id"]).returning(_TABLE.pk)
    ).first()
    if done is None:
        raise AssessmentExists(f"There is an assessment `{new.id}` already", hint="Leave the id out")
    return read_one(connection, row.pk, trace_id, values["id"])


def update(
    connection: sa.Connection,
    clock: Clock,
    trace: int,
    trace_id: str,
    assessment_id: str,
    change: AssessmentChange,
) -> Assessment:
    """Change what an assessment says.

    Raises
    ------
    AssessmentNotFound
        If there is none of this id.
    Invalid
        If a value of another kind is given.
    """
    old = read_one(connection, trace, trace_id, assessment_id)
    values: dict[str, Any] = {"updated_ms": _millis(clock.now())}
    if change.name is not None:
        values["name"] = change.name
    if change.rationale is not None and old.kind is not AssessmentKind.EXPECTATION:
        values["rationale"] = cleaned(change.rationale)
    if change.metadata:
        values |= _metadata_columns({**old.metadata, **change.metadata})
    if change.kind is not None:
        if change.kind is not old.kind:
            raise Invalid(
                f"Cannot update {change.kind} value on {_with_article(old.kind)} assessment",
                hint="Make an assessment of that kind",
            )
        values |= _value_columns(change.value)
        values["error"] = change.error
    where = (_TABLE.trace_pk == trace, _TABLE.id == assessment_id)
    connection.execute(sa.update(trace_assessments).where(*where).values(**values))
    return read_one(connection, trace, trace_id, assessment_id)


def delete(connection: sa.Connection, trace: int, assessment_id: str) -> None:
    """Remove an assessment if it is there; what it overrode is valid again."""
    row = connection.execute(
        sa.delete(trace_assessments)
        .where(_TABLE.trace_pk == trace, _TABLE.id == assessment_id)
        .returning(_TABLE.overrides)
    ).first()
    if row is not None and row[0]:
        where = (_TABLE.trace_pk == trace, _TABLE.id == row[0])
        connection.execute(sa.update(trace_assessments).where(*where).values(is_valid=1))


def read_one(connection: sa.Connection, trace: int, trace_id: str, assessment_id: str) -> Assessment:
    """Read one assessment.

    Raises
    ------
    AssessmentNotFound
        If the trace has none of this id.
    """
    found = connection.execute(_SELECT.where(_TABLE.trace_pk == trace, _TABLE.id == assessment_id)).first()
    if found is None:
        raise AssessmentNotFound(trace_id, assessment_id)
    return _assessment(trace_id, found)


def read_assessments(connection: sa.Connection, ids: dict[int, str]) -> dict[int, list[Assessment]]:
    """Read the assessments of traces (key → id), in the order in which they were made."""
    found: dict[int, list[Assessment]] = {trace: [] for trace in ids}
    for chunk in in_chunks(ids):
        for row in connection.execute(_OF_TRACES, {"traces": chunk}).fetchall():
            found[row[0]].append(_assessment(ids[row[0]], row))
    return found


def move_assessments(connection: sa.Connection, row: TraceRow) -> None:
    """Follow a trace into another experiment."""
    where = _TABLE.trace_pk == row.pk
    connection.execute(sa.update(trace_assessments).where(where).values(experiment_pk=row.experiment_pk))


def aggregate_of(value: Any) -> tuple[float | None, bool]:
    """Give the number that statistics take a value for, and whether it is one itself.

    Examples
    --------
    >>> aggregate_of(0.5), aggregate_of(True), aggregate_of("No"), aggregate_of("fine")
    ((0.5, True), (1.0, False), (0.0, False), (None, False))
    """
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, (int, float)):
        number = finite(value)
        return number, number is not None
    if isinstance(value, str) and value.strip().lower() in ("yes", "no"):
        return float(value.strip().lower() == "yes"), False
    return None, False


def _validate(
    connection: sa.Connection, trace: int, trace_id: str, assessment_id: str, *, is_valid: bool
) -> None:
    where = (_TABLE.trace_pk == trace, _TABLE.id == assessment_id)
    done = connection.execute(sa.update(trace_assessments).where(*where).values(is_valid=int(is_valid)))
    if done.rowcount != 1:
        raise AssessmentNotFound(trace_id, assessment_id)


def _values(clock: Clock, row: TraceRow, new: NewAssessment) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": new.id or f"a-{new_id()}",
        "trace_pk": row.pk,
        "experiment_pk": row.experiment_pk,
        "kind": new.kind.value,
        "name": cleaned(new.name),
        "error": new.error,
        "source": new.source.value,
        "source_id": None if new.source_id is None else cleaned(new.source_id),
        "span_id": new.span_id,
        "rationale": None if new.rationale is None else cleaned(new.rationale),
        "overrides": new.overrides,
        "is_valid": int(new.valid),
        "created_ms": _millis(new.created_at or now),
        "updated_ms": _millis(new.updated_at or new.created_at or now),
        **_value_columns(new.value),
        **_metadata_columns(new.metadata),
    }


def _value_columns(value: Any) -> dict[str, Any]:
    aggregate, is_number = aggregate_of(value)
    text = json.dumps(value, ensure_ascii=False)
    return {"value": cleaned(text), "aggregate": aggregate, "is_number": int(is_number)}


def _metadata_columns(metadata: dict[str, str]) -> dict[str, Any]:
    kept = {cleaned(key): cleaned(value) for key, value in metadata.items()}
    return {"metadata": kept or None, "is_of_session": int(SESSION_METADATA in kept)}


def _millis(at: Any) -> int:
    return to_micros(at) // 1_000


def _with_article(kind: AssessmentKind) -> str:
    name = kind.value.capitalize()
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


_SELECT = sa.select(
    _TABLE.trace_pk,
    _TABLE.id,
    _TABLE.kind,
    _TABLE.name,
    _TABLE.value,
    _TABLE.error,
    _TABLE.source,
    _TABLE.source_id,
    _TABLE.span_id,
    _TABLE.rationale,
    _TABLE.metadata,
    _TABLE.overrides,
    _TABLE.is_valid,
    _TABLE.created_ms,
    _TABLE.updated_ms,
)
_OF_TRACES = _SELECT.where(_TABLE.trace_pk.in_(sa.bindparam("traces", expanding=True))).order_by(
    _TABLE.created_ms, _TABLE.pk
)


def _assessment(trace_id: str, row: Any) -> Assessment:
    error: AssessmentError | None = row.error
    return Assessment(
        id=row.id,
        trace_id=trace_id,
        name=row.name,
        kind=AssessmentKind(row.kind),
        value=json.loads(row.value),
        error=error,
        source=AssessmentSource(row.source),
        source_id=row.source_id,
        span_id=row.span_id,
        rationale=row.rationale,
        metadata=row.metadata or {},
        overrides=row.overrides,
        valid=bool(row.is_valid),
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
    )
