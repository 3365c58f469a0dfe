"""Records of evaluation data sets in their table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.core.database.schema import from_micros
from noria.core.errors import Invalid
from noria.core.ids import new_id
from noria.tracking.evaluation_entities import (
    EvaluationRecord,
    NewRecord,
    RecordPage,
    RecordsKept,
    RecordSource,
)
from noria.tracking.evaluation_tables import evaluation_records

USER_TAG: Final = "mlflow.user"
"""Tag of a record that names who made it."""

_PARTS: Final = ("inputs", "outputs", "expectations")
_RECORDS = evaluation_records.c


def keep_records(
    connection: sa.Connection, dataset: int, records: Sequence[NewRecord], *, now_ms: int
) -> RecordsKept:
    """Keep records; those whose inputs are there already complete what is there."""
    n_inserted = 0
    for record in records:
        digest = _digest(record.inputs)
        where = (_RECORDS.dataset_pk == dataset, _RECORDS.input_digest == digest)
        old = connection.execute(_SELECT.where(*where)).first()
        if old is not None:
            values = _completed(_record(old), record, now_ms)
            connection.execute(sa.update(evaluation_records).where(*where).values(**values))
            continue
        values = {**_new_values(record, now_ms), "dataset_pk": dataset, "input_digest": digest}
        connection.execute(sa.insert(evaluation_records).values(**values))
        n_inserted += 1
    return RecordsKept(n_inserted=n_inserted, n_updated=len(records) - n_inserted)


def read_records(connection: sa.Connection, dataset: int, limit: int, after: str | None) -> RecordPage:
    """Read records, oldest first."""
    query = _SELECT.where(_RECORDS.dataset_pk == dataset).order_by(_RECORDS.created_ms, _RECORDS.id)
    if after is not None:
        query = query.where(sa.tuple_(_RECORDS.created_ms, _RECORDS.id) > sa.tuple_(*_read_token(after)))
    rows = connection.execute(query.limit(limit + 1)).fetchall()
    page = rows[:limit]
    following = f"{page[-1].created_ms}:{page[-1].id}" if len(rows) > limit else None
    return RecordPage(items=[_record(row) for row in page], next=following)


def delete_records(connection: sa.Connection, dataset: int, ids: Sequence[str]) -> int:
    """Delete records, and give the number of those that were there."""
    where = (_RECORDS.dataset_pk == dataset, _RECORDS.id.in_(ids))
    return connection.execute(sa.delete(evaluation_records).where(*where)).rowcount


def count_records(connection: sa.Connection, dataset: int) -> int:
    """Count the records of a set."""
    query = sa.select(sa.func.count()).select_from(evaluation_records)
    return int(connection.execute(query.where(_RECORDS.dataset_pk == dataset)).scalar_one())


def user_of(records: Sequence[NewRecord]) -> str | None:
    """Give who made the last of the records that tell it."""
    return next((user for record in reversed(records) if (user := (record.tags or {}).get(USER_TAG))), None)


def widened_schema(schema: str | None, records: Sequence[NewRecord]) -> str | None:
    """Give the schema of a set with the fields of new records; the type of a field is that of its first value.

    Examples
    --------
    >>> widened_schema(None, [NewRecord(inputs={"q": "Why?", "n": 1})])
    '{"inputs": {"q": "string", "n": "integer"}, "outputs": {}, "expectations": {}, "version": "1.0"}'
    """
    if schema is None and not records:
        return None
    known: dict[str, Any] = json.loads(schema) if schema is not None else {part: {} for part in _PARTS}
    for record in records:
        for part in _PARTS:
            value = getattr(record, part)
            if isinstance(value, Mapping) and isinstance(known[part], dict):
                known[part] |= {key: _type_of(each) for key, each in value.items() if key not in known[part]}
            elif value not in (None, msgspec.UNSET) and not known[part]:
                known[part] = _type_of(value)
    return json.dumps({**known, "version": "1.0"})


def _digest(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _type_of(value: Any) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "float"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


def _new_values(record: NewRecord, now_ms: int) -> dict[str, Any]:
    user = (record.tags or {}).get(USER_TAG)
    return {
        "id": f"dr-{new_id()}",
        "inputs": _text(record.inputs),
        "outputs": _text({} if record.outputs is msgspec.UNSET else record.outputs),
        "expectations": None if record.expectations is None else _text(record.expectations),
        "tags": _text(record.tags or {}),
        "source": None if record.source is None else _text(msgspec.to_builtins(record.source)),
        "created_ms": now_ms,
        "updated_ms": now_ms,
        "created_by": user,
        "updated_by": user,
    }


def _completed(old: EvaluationRecord, new: NewRecord, now_ms: int) -> dict[str, Any]:
    values: dict[str, Any] = {"updated_ms": now_ms}
    if new.outputs is not msgspec.UNSET:
        values["outputs"] = _text(new.outputs)
    if new.expectations:
        values["expectations"] = _text({**(old.expectations or {}), **new.expectations})
    if new.tags:
        values["tags"] = _text({**old.tags, **new.tags})
        if USER_TAG in new.tags:
            values["updated_by"] = new.tags[USER_TAG]
    return values


def _text(value: Any) -> str:
    # ASCII, as neither database holds every character as it is.
    return json.dumps(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _record(row: Any) -> EvaluationRecord:
    source = _value(row.source)
    return EvaluationRecord(
        id=row.id,
        inputs=_value(row.inputs),
        outputs=_value(row.outputs),
        expectations=_value(row.expectations),
        tags=_value(row.tags) or {},
        source=None if source is None else msgspec.convert(source, RecordSource),
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
        created_by=row.created_by,
        updated_by=row.updated_by,
    )


def _read_token(token: str) -> tuple[int, str]:
    at, _, record_id = token.partition(":")
    if not at.isdecimal() or len(at) > 18:
        raise Invalid(f"Invalid page token `{token[:100]}`", hint="Give the token of the page before")
    return int(at), record_id


_SELECT = sa.select(
    _RECORDS.id,
    _RECORDS.inputs,
    _RECORDS.outputs,
    _RECORDS.expectations,
    _RECORDS.tags,
    _RECORDS.source,
    _RECORDS.created_ms,
    _RECORDS.updated_ms,
    _RECORDS.created_by,
    _RECORDS.updated_by,
)
