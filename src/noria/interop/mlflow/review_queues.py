"""MLflow's endpoints of review queues."""

from __future__ import annotations

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import RESOURCE_ALREADY_EXISTS, MlflowError, invalid, missing
from noria.interop.mlflow.label_schemas import active_experiment, listed
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Endpoints, Int32, Message, WireEnum
from noria.tracking.reviewing.queue_entities import (
    NewReviewQueue,
    QueueType,
    ReviewItem,
    ReviewItems,
    ReviewOutcome,
    ReviewQueue,
    ReviewQueueChange,
    ReviewQueuePlace,
    ReviewStatus,
    UserQueue,
)
from noria.tracking.reviewing.queue_items import ReviewItemNotFound, ReviewItemsUnknown
from noria.tracking.reviewing.queue_limits import tidy_items, tidy_user
from noria.tracking.reviewing.queue_rows import ReviewQueueNotFound, ReviewQueueTaken
from noria.tracking.reviewing.queues import ReviewQueues

DEFAULT_LISTED = 1_000

endpoint = Endpoints()


class QueueKind(WireEnum):
    """Whose a queue is."""

    REVIEW_QUEUE_TYPE_UNSPECIFIED = "REVIEW_QUEUE_TYPE_UNSPECIFIED", 0
    USER = "USER", 1
    CUSTOM = "CUSTOM", 2


class ItemKind(WireEnum):
    """What is reviewed."""

    REVIEW_ITEM_TYPE_UNSPECIFIED = "REVIEW_ITEM_TYPE_UNSPECIFIED", 0
    TRACE = "TRACE", 1


class Progress(WireEnum):
    """How far the review of a trace is."""

    REVIEW_STATUS_UNSPECIFIED = "REVIEW_STATUS_UNSPECIFIED", 0
    PENDING = "PENDING", 1
    COMPLETE = "COMPLETE", 2
    DECLINED = "DECLINED", 3


class CreateQueue(Message):
    """A queue to set up."""

    experiment_id: str = ""
    name: str = ""
    queue_type: QueueKind = QueueKind.REVIEW_QUEUE_TYPE_UNSPECIFIED
    users: list[str] = []
    schema_ids: list[str] = []


class GetUserQueue(Message):
    """Whose own queue is wanted."""

    experiment_id: str = ""
    user: str = ""


class QueueId(Message):
    """A queue."""

    queue_id: str = ""


class QueueName(Message):
    """A queue, by its name."""

    experiment_id: str = ""
    name: str = ""


class ListQueues(Message):
    """Which queues are wanted."""

    experiment_id: str = ""
    user: str | None = None
    max_results: Int32 | None = None
    page_token: str = ""
    item_id: str | None = None


class UpdateQueue(Message):
    """What a queue shall be; lists count only if it is said that they do."""

    queue_id: str = ""
    update_users: bool = False
    users: list[str] = []
    update_schema_ids: bool = False
    schema_ids: list[str] = []
    name: str | None = None
    new_owner: str | None = None


class QueueItems(Message):
    """Traces to put into a queue, or to take out."""

    queue_id: str = ""
    item_type: ItemKind = ItemKind.TRACE
    item_ids: list[str] = []


class ListItems(Message):
    """Which traces of a queue are wanted."""

    queue_id: str = ""
    status: Progress = Progress.REVIEW_STATUS_UNSPECIFIED
    max_results: Int32 | None = None
    page_token: str = ""


class SetStatus(Message):
    """How far the review of a trace is."""

    queue_id: str = ""
    item_id: str = ""
    status: Progress = Progress.REVIEW_STATUS_UNSPECIFIED
    completed_by: str | None = None


class QueueMessage(Message):
    """A queue, as it is."""

    queue_id: str
    experiment_id: str
    name: str
    queue_type: str
    creation_time_ms: int
    last_update_time_ms: int
    created_by: str | None = None
    users: list[str] = []
    schema_ids: list[str] = []


class ItemMessage(Message):
    """A trace in a queue."""

    queue_id: str
    item_type: str
    item_id: str
    status: str
    creation_time_ms: int
    last_update_time_ms: int
    completed_by: str | None = None
    completed_time_ms: int | None = None


class QueueAnswer(Message):
    """One queue."""

    review_queue: QueueMessage


class QueuesAnswer(Message):
    """Queues; the token is there also at the end, and empty."""

    next_page_token: str
    review_queues: list[QueueMessage] = []


class ItemAnswer(Message):
    """One trace in a queue."""

    item: ItemMessage


class ItemsAnswer(Message):
    """Traces in a queue."""

    items: list[ItemMessage] = []
    next_page_token: str | None = None


@endpoint("POST", "3:review-queues/create", CreateQueue, required=("experiment_id", "name"))
def create_queue(request: AdapterRequest, message: CreateQueue) -> Message:
    """Set up a queue."""
    if message.queue_type is QueueKind.REVIEW_QUEUE_TYPE_UNSPECIFIED:
        raise invalid("`queue_type` must be one of USER or CUSTOM; got proto enum value 0.")
    experiment = active_experiment(request, message.experiment_id)
    new = NewReviewQueue(
        experiment=experiment.number,
        name=message.name,
        type=QueueType[message.queue_type.name],
        users=message.users,
        schemas=message.schema_ids,
    )
    try:
        return _answer(request.context.guarded(ReviewQueues).create(experiment.project, new))
    except ReviewQueueTaken as error:
        raise _taken(error) from error


@endpoint("POST", "3:review-queues/get-or-create-user", GetUserQueue, required=("experiment_id", "user"))
def get_user_queue(request: AdapterRequest, message: GetUserQueue) -> Message:
    """Give a person's own queue, set up if need be."""
    experiment = active_experiment(request, message.experiment_id)
    wanted = UserQueue(experiment=experiment.number, user=message.user)
    try:
        return _answer(request.context.guarded(ReviewQueues).of_user(experiment.project, wanted))
    except ReviewQueueTaken as error:
        raise MlflowError(
            RESOURCE_ALREADY_EXISTS,
            f"A non-user queue named '{tidy_user(message.user)}' already exists; cannot get-or-create a user"
            " queue with that name.",
        ) from error


@endpoint("GET", "3:review-queues/get", QueueId, required=("queue_id",))
def get_queue(request: AdapterRequest, message: QueueId) -> Message:
    """Give a queue."""
    place = _place(request, message.queue_id)
    return _answer(request.context.guarded(ReviewQueues).get(place.project, place.id))


@endpoint("GET", "3:review-queues/get-by-name", QueueName, required=("experiment_id", "name"))
def get_queue_by_name(request: AdapterRequest, message: QueueName) -> Message:
    """Give a queue of an experiment by its name."""
    experiment = active_experiment(request, message.experiment_id)
    service = request.context.guarded(ReviewQueues)
    try:
        return _answer(service.named(experiment.project, experiment.number, message.name))
    except ReviewQueueNotFound as error:
        raise missing(
            f"Review queue with name '{message.name}' not found for experiment '{message.experiment_id}'."
        ) from error


@endpoint("GET", "3:review-queues/list", ListQueues, required=("experiment_id",))
def list_queues(request: AdapterRequest, message: ListQueues) -> Message:
    """List the queues of an experiment."""
    limit = listed(message.max_results, DEFAULT_LISTED)
    experiment = active_experiment(request, message.experiment_id)
    page = request.context.guarded(ReviewQueues).list(
        experiment.project,
        experiment.number,
        message.user,
        message.item_id,
        limit,
        message.page_token or None,
    )
    return QueuesAnswer(
        review_queues=[_message(each) for each in page.items], next_page_token=page.next or ""
    )


@endpoint("POST", "3:review-queues/update", UpdateQueue, required=("queue_id",))
def update_queue(request: AdapterRequest, message: UpdateQueue) -> Message:
    """Change a queue."""
    place = _place(request, message.queue_id)
    change = ReviewQueueChange(
        name=message.name,
        users=message.users if message.update_users else None,
        schemas=message.schema_ids if message.update_schema_ids else None,
        owner=message.new_owner,
    )
    try:
        return _answer(request.context.guarded(ReviewQueues).update(place.project, place.id, change))
    except ReviewQueueTaken as error:
        raise _taken(error) from error


@endpoint("POST", "3:review-queues/delete", QueueId, required=("queue_id",))
def delete_queue(request: AdapterRequest, message: QueueId) -> None:
    """Delete a queue; one that is not there is no error."""
    service = request.context.guarded(ReviewQueues)
    try:
        place = service.locate(message.queue_id)
    except ReviewQueueNotFound:
        return
    service.delete(place.project, place.id)


@endpoint("POST", "3:review-queues/items/add", QueueItems, required=("queue_id",))
def add_items(request: AdapterRequest, message: QueueItems) -> Message:
    """Put traces into a queue."""
    wanted = ReviewItems(ids=tidy_items(message.item_ids))
    place = _place(request, message.queue_id)
    try:
        found = request.context.guarded(ReviewQueues).add(place.project, place.id, wanted)
    except ReviewItemsUnknown as error:
        raise missing(
            f"Cannot attach trace(s) {error.details['ids']} to review queue '{place.id}': they do not exist in"
            f" experiment '{place.experiment}'."
        ) from error
    return ItemsAnswer(items=[_item(each) for each in found.items])


@endpoint("POST", "3:review-queues/items/remove", QueueItems, required=("queue_id",))
def remove_items(request: AdapterRequest, message: QueueItems) -> None:
    """Take traces out of a queue."""
    wanted = ReviewItems(ids=tidy_items(message.item_ids))
    place = _place(request, message.queue_id)
    request.context.guarded(ReviewQueues).remove(place.project, place.id, wanted)


@endpoint("GET", "3:review-queues/items/list", ListItems, required=("queue_id",))
def list_items(request: AdapterRequest, message: ListItems) -> Message:
    """List the traces of a queue."""
    limit = listed(message.max_results, DEFAULT_LISTED)
    place = _place(request, message.queue_id)
    known = message.status is not Progress.REVIEW_STATUS_UNSPECIFIED
    status = ReviewStatus[message.status.name] if known else None
    page = request.context.guarded(ReviewQueues).items(
        place.project, place.id, status, limit, message.page_token or None
    )
    return ItemsAnswer(items=[_item(each) for each in page.items], next_page_token=page.next or "")


@endpoint("POST", "3:review-queues/items/set-status", SetStatus, required=("queue_id", "item_id"))
def set_status(request: AdapterRequest, message: SetStatus) -> Message:
    """Say how far the review of a trace is."""
    if message.status is Progress.REVIEW_STATUS_UNSPECIFIED:
        raise invalid(
            "`status` must be one of PENDING, COMPLETE, or DECLINED; got proto enum value"
            f" {message.status.number}."
        )
    place = _place(request, message.queue_id)
    outcome = ReviewOutcome(status=ReviewStatus[message.status.name], by=message.completed_by)
    service = request.context.guarded(ReviewQueues)
    try:
        return ItemAnswer(item=_item(service.review(place.project, place.id, message.item_id, outcome)))
    except ReviewItemNotFound as error:
        raise missing(
            f"Item '{message.item_id.strip()}' is not attached to review queue '{place.id}'."
        ) from error


def _place(request: AdapterRequest, queue_id: str) -> ReviewQueuePlace:
    try:
        place: ReviewQueuePlace = request.context.guarded(ReviewQueues).locate(queue_id)
    except ReviewQueueNotFound as error:
        raise missing(f"Review queue with id '{queue_id}' not found.") from error
    return place


def _taken(error: ReviewQueueTaken) -> MlflowError:
    return MlflowError(RESOURCE_ALREADY_EXISTS, error.message)


def _answer(found: ReviewQueue) -> QueueAnswer:
    return QueueAnswer(review_queue=_message(found))


def _message(found: ReviewQueue) -> QueueMessage:
    return QueueMessage(
        queue_id=found.id,
        experiment_id=str(found.experiment),
        name=found.name,
        queue_type=found.type.name,
        created_by=found.created_by,
        creation_time_ms=millis(found.created_at),
        last_update_time_ms=millis(found.updated_at),
        users=found.users,
        schema_ids=found.schemas,
    )


def _item(found: ReviewItem) -> ItemMessage:
    done = found.completed_at
    return ItemMessage(
        queue_id=found.queue,
        item_type=ItemKind.TRACE.name,
        item_id=found.id,
        status=found.status.name,
        completed_by=found.completed_by,
        completed_time_ms=None if done is None else millis(done),
        creation_time_ms=millis(found.created_at),
        last_update_time_ms=millis(found.updated_at),
    )


ROUTES = endpoint.routes
