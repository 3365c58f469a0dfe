"""Operations on review queues."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.database.schema import to_micros
from noria.core.events.log import EventType
from noria.core.operations import Service, operation
from noria.core.permissions import Principal
from noria.tracking.events import append_event
from noria.tracking.reviewing.events import REVIEW_QUEUE_CREATED, REVIEW_QUEUE_DELETED, REVIEW_QUEUE_UPDATED
from noria.tracking.reviewing.places import active_experiment, newest_first
from noria.tracking.reviewing.queue_entities import (
    NewReviewQueue,
    QueueType,
    ReviewItem,
    ReviewItemList,
    ReviewItemPage,
    ReviewItems,
    ReviewOutcome,
    ReviewQueue,
    ReviewQueueChange,
    ReviewQueuePage,
    ReviewQueuePlace,
    ReviewStatus,
    UserQueue,
)
from noria.tracking.reviewing.queue_items import (
    ITEM_ORDER,
    add_items,
    item_of,
    remove_items,
    select_items,
    set_outcome,
)
from noria.tracking.reviewing.queue_limits import tidy_items, tidy_queue, tidy_user
from noria.tracking.reviewing.queue_rows import (
    ReviewQueueNotFound,
    ReviewQueueTaken,
    change_queue,
    find_key,
    hold_queue,
    insert_queue,
    load_queues,
    place_of_queue,
    select_queues,
)
from noria.tracking.reviewing.tables import review_queue_items, review_queue_users, review_queues
from noria.tracking.search.page_tokens import mark_of
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES
from noria.tracking.traces.tables import traces

_LOCAL = "local"
_QUEUES = review_queues.c
_USERS = review_queue_users.c
_ITEMS = review_queue_items.c


class ReviewQueues(Service):
    """Traces that people look at."""

    @operation("POST", "/projects/{project}/review-queues", needs=WRITE_TRACES)
    def create(self, project: str, new: NewReviewQueue) -> ReviewQueue:
        """Set up a queue; whoever has signed in owns it."""
        owner = self._signed_in()
        wanted = tidy_queue(new)
        return self._create(
            project, wanted if owner is None else msgspec.structs.replace(wanted, created_by=owner)
        )

    @operation("POST", "/projects/{project}/review-queues/of-user", needs=WRITE_TRACES, status=200)
    def of_user(self, project: str, wanted: UserQueue) -> ReviewQueue:
        """Get a person's own queue, set up if need be."""
        user = tidy_user(wanted.user)
        new = NewReviewQueue(experiment=wanted.experiment, name=user, type=QueueType.USER, created_by=user)
        tidy = tidy_queue(new)
        try:
            return self._create(project, tidy)
        except ReviewQueueTaken:
            found = self.named(project, wanted.experiment, user)
            if found.type is not QueueType.USER:
                raise
            return found

    @operation("GET", "/projects/{project}/review-queues/{queue_id}", needs=READ_TRACES)
    def get(self, project: str, queue_id: str) -> ReviewQueue:
        """Get one queue."""
        with self.context.database.read() as connection:
            return load_queues(connection, [find_key(connection, project, queue_id)])[0]

    @operation("GET", "/review-queues/{queue_id}/place", needs=FIND_TRACES)
    def locate(self, queue_id: str) -> ReviewQueuePlace:
        """Find the project and experiment of a queue that the caller may read."""
        with self.context.database.read() as connection:
            found = place_of_queue(connection, queue_id)
        if found is None or not self.context.principal.may(READ_TRACES, found.project):
            raise ReviewQueueNotFound(queue_id)
        return found

    @operation("GET", "/projects/{project}/review-queues/named", needs=READ_TRACES)
    def named(self, project: str, experiment: int = 0, name: str = "") -> ReviewQueue:
        """Get a queue of an experiment by its name, in any case."""
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            where = (_QUEUES.experiment_pk == place.pk, _QUEUES.name_key == name.lower())
            key = connection.execute(sa.select(_QUEUES.pk).where(*where)).scalar_one_or_none()
            if key is None:
                raise ReviewQueueNotFound(name)
            return load_queues(connection, [key])[0]

    @operation("GET", "/projects/{project}/review-queues", needs=READ_TRACES)
    def list(
        self,
        project: str,
        experiment: int = 0,
        user: str | None = None,
        item: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> ReviewQueuePage:
        """List the queues of an experiment, newest first; only those of a user, or with a trace, if asked for."""
        mark = mark_of("review-queues", experiment, user, item)
        with self.context.database.read() as connection:
            place = active_experiment(connection, project, experiment)
            query = select_queues().where(_QUEUES.experiment_pk == place.pk)
            if user is not None:
                theirs = sa.select(_USERS.queue_pk).where(_USERS.user == tidy_user(user))
                query = query.where(_QUEUES.pk.in_(theirs))
            if item is not None:
                holding = sa.select(_ITEMS.queue_pk).join(traces, traces.c.pk == _ITEMS.trace_pk)
                query = query.where(_QUEUES.pk.in_(holding.where(traces.c.id == item)))
            order = (_QUEUES.created_ms, _QUEUES.id)
            rows, following = newest_first(connection, query, order, mark, limit, after)
            return ReviewQueuePage(items=load_queues(connection, [row.pk for row in rows]), next=following)

    @operation("PATCH", "/projects/{project}/review-queues/{queue_id}", needs=WRITE_TRACES)
    def update(self, project: str, queue_id: str, change: ReviewQueueChange) -> ReviewQueue:
        """Change a queue; its questions only while it is empty, and nothing of a person's own."""
        with self.context.database.write() as connection:
            key = hold_queue(connection, project, queue_id)
            had = load_queues(connection, [key])[0]
            fields = change_queue(connection, key, had, change, self._now_ms())
            if not fields:
                return had
            changed = load_queues(connection, [key])[0]
            self._tell(connection, REVIEW_QUEUE_UPDATED, changed, {"fields": fields})
            return changed

    @operation("DELETE", "/projects/{project}/review-queues/{queue_id}", needs=WRITE_TRACES)
    def delete(self, project: str, queue_id: str) -> None:
        """Delete a queue; the traces and what was said of them stay."""
        with self.context.database.write() as connection:
            key = find_key(connection, project, queue_id)
            found = load_queues(connection, [key])[0]
            connection.execute(sa.delete(review_queues).where(_QUEUES.pk == key))
            payload = {"experiment": found.experiment, "name": found.name}
            self._tell(connection, REVIEW_QUEUE_DELETED, found, payload)

    @operation("POST", "/projects/{project}/review-queues/{queue_id}/items", needs=WRITE_TRACES, status=200)
    def add(self, project: str, queue_id: str, wanted: ReviewItems) -> ReviewItemList:
        """Put traces of the queue's experiment into it; those that are there already stay as they are."""
        ids = tidy_items(wanted.ids)
        with self.context.database.write() as connection:
            key = hold_queue(connection, project, queue_id)
            return ReviewItemList(items=add_items(connection, key, queue_id, ids, self._now_ms()))

    @operation("POST", "/projects/{project}/review-queues/{queue_id}/items/remove", needs=WRITE_TRACES)
    def remove(self, project: str, queue_id: str, wanted: ReviewItems) -> None:
        """Take traces out of a queue; those that are not there are passed over."""
        ids = tidy_items(wanted.ids)
        with self.context.database.write() as connection:
            remove_items(connection, hold_queue(connection, project, queue_id), ids)

    @operation("GET", "/projects/{project}/review-queues/{queue_id}/items", needs=READ_TRACES)
    def items(
        self,
        project: str,
        queue_id: str,
        status: ReviewStatus | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> ReviewItemPage:
        """List the traces of a queue, those that came last first; only those of a status if asked for."""
        mark = mark_of("review-items", queue_id, None if status is None else status.value)
        with self.context.database.read() as connection:
            query = select_items(find_key(connection, project, queue_id), status)
            rows, following = newest_first(connection, query, ITEM_ORDER, mark, limit, after)
        return ReviewItemPage(items=[item_of(queue_id, row) for row in rows], next=following)

    @operation("PATCH", "/projects/{project}/review-queues/{queue_id}/items/{item_id}", needs=WRITE_TRACES)
    def review(self, project: str, queue_id: str, item_id: str, outcome: ReviewOutcome) -> ReviewItem:
        """Say how far the review of a trace is; whoever has signed in is the one who looked at it."""
        caller = self._signed_in()
        if caller is not None:
            by = None if outcome.status is ReviewStatus.PENDING else caller
            outcome = msgspec.structs.replace(outcome, by=by)
        with self.context.database.write() as connection:
            key = hold_queue(connection, project, queue_id)
            return set_outcome(connection, key, queue_id, item_id.strip(), outcome, self._now_ms())

    def _create(self, project: str, new: NewReviewQueue) -> ReviewQueue:
        with self.context.database.write() as connection:
            place = active_experiment(connection, project, new.experiment, hold=True)
            key = insert_queue(connection, place.pk, new, self._now_ms())
            made = load_queues(connection, [key])[0]
            payload = {"experiment": new.experiment, "name": new.name}
            self._tell(connection, REVIEW_QUEUE_CREATED, made, payload)
            return made

    def _signed_in(self) -> str | None:
        """Give the caller's name, or None where the workspace knows nobody by name."""
        caller: Principal = self.context.principal
        return None if caller.name == _LOCAL else caller.name

    def _now_ms(self) -> int:
        return to_micros(self.context.clock.now()) // 1_000

    def _tell(
        self, connection: sa.Connection, kind: EventType, queue: ReviewQueue, payload: dict[str, Any]
    ) -> None:
        subject = f"review-queue:{queue.id}"
        append_event(connection, self.context, kind, subject=subject, project=queue.project, payload=payload)
