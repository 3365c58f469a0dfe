"""Writes label schemas and review queues that the reader tells into a workspace.

Both are known by their names in an experiment: what is there of a name is passed over, so a second import goes on where
the first one stopped.
"""

from __future__ import annotations

import msgspec

from noria.core.errors import Invalid, NotFound
from noria.interop.mlflow.importing.entities import LabelSchemaLine, ReviewItemLine, ReviewQueueLine
from noria.interop.mlflow.importing.writing import Writer
from noria.tracking.reviewing.label_entities import LabelInput, LabelSchema, LabelType, NewLabelSchema
from noria.tracking.reviewing.labels import LabelSchemas
from noria.tracking.reviewing.queue_entities import (
    NewReviewQueue,
    QueueType,
    ReviewItem,
    ReviewItems,
    ReviewOutcome,
    ReviewQueue,
    ReviewStatus,
)
from noria.tracking.reviewing.queue_limits import MAX_ITEMS
from noria.tracking.reviewing.queues import ReviewQueues

_PAGE = 1000


class ReviewWriter:
    """Takes the reader's lines on reviews of traces.

    Parameters
    ----------
    writer
        Takes the other lines, and keeps what was done.
    """

    def __init__(self, writer: Writer) -> None:
        workspace = writer.workspace
        self._writer = writer
        self._project = workspace.project
        self._schemas = workspace.service(LabelSchemas)
        self._queues = workspace.service(ReviewQueues)
        self._ids: dict[str, str] = {}

    def label_schema(self, line: LabelSchemaLine) -> None:
        """Write a question, unless the experiment has one of the name; every experiment has the default one."""
        number = self._writer.numbers[line.experiment]
        found = self._schema_of(number, line)
        if found is not None:
            self._ids[line.id] = found.id
            if not line.is_default:
                self._writer.count("n_present")
            return

        def create() -> None:
            new = NewLabelSchema(
                experiment=number,
                name=line.name,
                type=LabelType(line.type.lower()),
                input=_input(line),
                instruction=line.instruction,
                enable_comment=line.enable_comment,
            )
            self._ids[line.id] = self._schemas.create(self._project, new).id

        if self._writer.attempt("label schema", line.name, create):
            self._writer.count("n_label_schemas")

    def review_queue(self, line: ReviewQueueLine) -> None:
        """Set a queue up with its traces and how far their review is; of one that is there, bring what is missing."""
        number = self._writer.numbers[line.experiment]
        try:
            queue = self._queues.named(self._project, number, line.name)
            self._writer.count("n_present")
        except NotFound:
            made: list[ReviewQueue] = []
            if not self._writer.attempt(
                "review queue", line.name, lambda: made.append(self._create(number, line))
            ):
                return
            queue = made[0]
            self._writer.count("n_review_queues")
        known = {item.id for item in self._items(queue)}
        self._add(queue, [item for item in line.items if item.id not in known])
        pending = {item.id for item in self._items(queue) if item.status is ReviewStatus.PENDING}
        for item in line.items:
            if item.id in pending and item.status is not ReviewStatus.PENDING:
                self._review(queue, item)

    def _schema_of(self, number: int, line: LabelSchemaLine) -> LabelSchema | None:
        if line.is_default:
            page = self._schemas.list(self._project, number, _PAGE)
            return next((each for each in page.items if each.is_default), None)
        try:
            return self._schemas.named(self._project, number, line.name)
        except NotFound:
            return None

    def _create(self, number: int, line: ReviewQueueLine) -> ReviewQueue:
        new = NewReviewQueue(
            experiment=number,
            name=line.name,
            type=QueueType(line.type.lower()),
            users=line.users,
            schemas=[self._ids[each] for each in line.schemas if each in self._ids],
            created_by=line.created_by,
        )
        return self._queues.create(self._project, new)

    def _items(self, queue: ReviewQueue) -> list[ReviewItem]:
        found: list[ReviewItem] = []
        after: str | None = None
        while True:
            page = self._queues.items(self._project, queue.id, limit=_PAGE, after=after)
            found += page.items
            after = page.next
            if after is None:
                return found

    def _add(self, queue: ReviewQueue, items: list[ReviewItemLine]) -> None:
        """Put traces into a queue, all at once, or, if one of them is not here, each by itself."""
        for start in range(0, len(items), MAX_ITEMS):
            ids = [item.id for item in items[start : start + MAX_ITEMS]]
            try:
                self._queues.add(self._project, queue.id, ReviewItems(ids=ids))
            except (Invalid, NotFound):
                for each in ids:
                    self._add_one(queue, each)

    def _add_one(self, queue: ReviewQueue, trace: str) -> None:
        wanted = ReviewItems(ids=[trace])
        self._writer.attempt(
            f"trace of review queue {queue.name}",
            trace,
            lambda: self._queues.add(self._project, queue.id, wanted),
        )

    def _review(self, queue: ReviewQueue, item: ReviewItemLine) -> None:
        outcome = ReviewOutcome(status=item.status, by=item.by)
        self._writer.attempt(
            f"review of {item.id}",
            queue.name,
            lambda: self._queues.review(self._project, queue.id, item.id, outcome),
        )


def _input(line: LabelSchemaLine) -> LabelInput:
    """Read the input of a question.

    Raises
    ------
    Invalid
        If it is of a kind that only Databricks has.
    """
    try:
        found: LabelInput = msgspec.convert(line.input, LabelInput)
    except msgspec.ValidationError as error:
        kind = line.input.get("kind")
        raise Invalid(f"Its input, `{kind}`, cannot be read: {error}") from error
    return found
