"""Traces in a review queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros
from noria.core.errors import Invalid, NotFound
from noria.tracking.limits import shorten
from noria.tracking.reviewing.queue_entities import ReviewItem, ReviewOutcome, ReviewStatus
from noria.tracking.reviewing.queue_limits import MAX_USER_CHARS, tidy_user
from noria.tracking.reviewing.tables import review_queue_items, review_queues
from noria.tracking.traces.tables import traces

_ITEMS = review_queue_items.c
_IN_CHUNK: Final = 500

ITEM_ORDER = (_ITEMS.created_ms, traces.c.id)


class ReviewItemsUnknown(NotFound):
    """The experiment of a queue has no such traces."""

    code = "review_items_unknown"

    def __init__(self, ids: Sequence[str]) -> None:
        shown = ", ".join(f"`{shorten(each)}`" for each in ids[:5])
        super().__init__(
            f"The experiment of the review queue has no trace {shown}", details={"ids": list(ids)}
        )


class ReviewItemNotFound(NotFound):
    """The trace is not in the queue."""

    code = "review_item_not_found"

    def __init__(self, item_id: str) -> None:
        super().__init__(f"The trace `{shorten(item_id)}` is not in the review queue")


def select_items(queue: int, status: ReviewStatus | None) -> sa.Select[Any]:
    """Give the query of the traces in a queue."""
    query = _SELECT.where(_ITEMS.queue_pk == queue)
    return query if status is None else query.where(_ITEMS.status == status.value)


def add_items(
    connection: sa.Connection, queue: int, queue_id: str, ids: Sequence[str], now_ms: int
) -> list[ReviewItem]:
    """Put traces into a queue, and give them all in the order asked for.

    Raises
    ------
    ReviewItemsUnknown
        If one of them is not of the queue's experiment; then none was put in.
    """
    keys = _trace_keys(connection, queue, ids)
    unknown = [each for each in ids if each not in keys]
    if unknown:
        raise ReviewItemsUnknown(unknown)
    insert = upsertable(connection.dialect.name, review_queue_items).on_conflict_do_nothing()
    values = {"status": ReviewStatus.PENDING.value, "created_ms": now_ms, "updated_ms": now_ms}
    rows = [{"queue_pk": queue, "trace_pk": keys[each], **values} for each in sorted(ids)]
    connection.execute(insert, rows)
    found: dict[str, ReviewItem] = {}
    for at in range(0, len(ids), _IN_CHUNK):
        some = select_items(queue, None).where(traces.c.id.in_(ids[at : at + _IN_CHUNK]))
        found |= {row.id: item_of(queue_id, row) for row in connection.execute(some)}
    return [found[each] for each in ids]


def remove_items(connection: sa.Connection, queue: int, ids: Sequence[str]) -> None:
    """Take traces out of a queue."""
    for at in range(0, len(ids), _IN_CHUNK):
        some = sa.select(traces.c.pk).where(traces.c.id.in_(ids[at : at + _IN_CHUNK]))
        gone = sa.delete(review_queue_items).where(_ITEMS.queue_pk == queue, _ITEMS.trace_pk.in_(some))
        connection.execute(gone)


def set_outcome(
    connection: sa.Connection, queue: int, queue_id: str, item_id: str, outcome: ReviewOutcome, now_ms: int
) -> ReviewItem:
    """Say how far the review of a trace is; the same again changes nothing, not even who looked at it.

    Raises
    ------
    Invalid
        If nobody looked at what is reviewed, or somebody at what is not.
    ReviewItemNotFound
        If the trace is not in the queue.
    """
    by = _reviewer(outcome)
    one = select_items(queue, None).where(traces.c.id == item_id)
    row = connection.execute(one).first()
    if row is None:
        raise ReviewItemNotFound(item_id)
    if row.status == outcome.status.value:
        return item_of(queue_id, row)
    values = {
        "status": outcome.status.value,
        "completed_by": by,
        "completed_ms": None if by is None else now_ms,
        "updated_ms": now_ms,
    }
    where = (_ITEMS.queue_pk == queue, _ITEMS.trace_pk == row.trace_pk)
    connection.execute(sa.update(review_queue_items).where(*where).values(**values))
    return item_of(queue_id, connection.execute(one).one())


def item_of(queue_id: str, row: Any) -> ReviewItem:
    """Make a trace in a queue of its row."""
    return ReviewItem(
        queue=queue_id,
        id=row.id,
        status=ReviewStatus(row.status),
        completed_by=row.completed_by,
        completed_at=None if row.completed_ms is None else from_micros(row.completed_ms * 1_000),
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
    )


def _reviewer(outcome: ReviewOutcome) -> str | None:
    by = None if outcome.by is None else tidy_user(outcome.by)
    if outcome.status is ReviewStatus.PENDING:
        if by is not None:
            raise Invalid("`completed_by` must not be set when reopening an item to `pending`.")
        return None
    if not by:
        raise Invalid(f"`completed_by` is required when setting status to `{outcome.status}`.")
    if len(by) > MAX_USER_CHARS:
        raise Invalid(f"`completed_by` must be at most {MAX_USER_CHARS} characters; got {len(by)}.")
    return by


def _trace_keys(connection: sa.Connection, queue: int, ids: Sequence[str]) -> dict[str, int]:
    """Give the keys of those traces that are of the queue's experiment, and let nobody remove them."""
    of = sa.select(review_queues.c.experiment_pk).where(review_queues.c.pk == queue)
    experiment = connection.execute(of).scalar_one()
    found: dict[str, int] = {}
    for at in range(0, len(ids), _IN_CHUNK):
        where = (traces.c.experiment_pk == experiment, traces.c.id.in_(ids[at : at + _IN_CHUNK]))
        query = sa.select(traces.c.id, traces.c.pk).where(*where).order_by(traces.c.id)
        for row in connection.execute(query.with_for_update(read=True, key_share=True)):
            found[row.id] = row.pk
    return found


_SELECT = sa.select(
    _ITEMS.created_ms,
    traces.c.id,
    _ITEMS.trace_pk,
    _ITEMS.status,
    _ITEMS.completed_by,
    _ITEMS.completed_ms,
    _ITEMS.updated_ms,
).join(traces, traces.c.pk == _ITEMS.trace_pk)
