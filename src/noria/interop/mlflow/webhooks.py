"""MLflow's endpoints of webhooks.

MLflow resolves the host of an address when a webhook is made. Here the address is checked at each call, since a name
may lead elsewhere by then, and since there may be no name server where webhooks are made.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.delivery import entities
from noria.delivery.entities import (
    ACTIONS,
    NewWebhook,
    Webhook,
    WebhookAction,
    WebhookChange,
    WebhookEntity,
    WebhookTest,
)
from noria.delivery.service import Webhooks
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Endpoints, Int32, Message, WireEnum

MAX_RESULTS: Final = 1000
DEFAULT_RESULTS: Final = 100
SCHEMES: Final = ("http", "https")

_NAME: Final = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)

endpoint = Endpoints()


class Entity(WireEnum):
    """What something happens to."""

    REGISTERED_MODEL = "REGISTERED_MODEL", 1
    MODEL_VERSION = "MODEL_VERSION", 2
    MODEL_VERSION_TAG = "MODEL_VERSION_TAG", 3
    MODEL_VERSION_ALIAS = "MODEL_VERSION_ALIAS", 4
    PROMPT = "PROMPT", 5
    PROMPT_VERSION = "PROMPT_VERSION", 6
    PROMPT_TAG = "PROMPT_TAG", 7
    PROMPT_VERSION_TAG = "PROMPT_VERSION_TAG", 8
    PROMPT_ALIAS = "PROMPT_ALIAS", 9
    BUDGET_POLICY = "BUDGET_POLICY", 10


class Action(WireEnum):
    """What happens."""

    CREATED = "CREATED", 1
    UPDATED = "UPDATED", 2
    DELETED = "DELETED", 3
    SET = "SET", 4
    EXCEEDED = "EXCEEDED", 5


class Status(WireEnum):
    """Whether a webhook is called."""

    ACTIVE = "ACTIVE", 1
    DISABLED = "DISABLED", 2


class Event(Message):
    """What a webhook is called for; an entity or action that is not known is as good as none."""

    entity: Entity | None = None
    action: Action | None = None


class CreateWebhook(Message):
    """A webhook to make."""

    name: str = ""
    url: str = ""
    events: list[Event] | None = None
    description: str = ""
    secret: str = ""
    status: Status | None = None


class ListWebhooks(Message):
    """A page of webhooks that is asked for."""

    max_results: Int32 = 0
    page_token: str = ""


class UpdateWebhook(Message):
    """What shall be different; an empty name, address or list of events is as good as none."""

    name: str = ""
    description: str | None = None
    url: str = ""
    events: list[Event] = []
    secret: str | None = None
    status: Status | None = None


class TryWebhook(Message):
    """An event to try; the first of the webhook where there is none."""

    event: Event | None = None


class WebhookMessage(Message, kw_only=True):
    """A webhook; its secret is never answered."""

    webhook_id: str
    name: str
    description: str | None = None
    url: str
    events: list[Event]
    status: Status
    creation_timestamp: int
    last_updated_timestamp: int


class WebhookAnswer(Message):
    """One webhook."""

    webhook: WebhookMessage


class WebhooksAnswer(Message):
    """A page of webhooks."""

    webhooks: list[WebhookMessage] = []
    next_page_token: str = ""


class ResultMessage(Message, kw_only=True):
    """How a call went that was tried."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class ResultAnswer(Message):
    """One result."""

    result: ResultMessage


@endpoint("POST", "2:webhooks", CreateWebhook, required=("name", "url", "events"))
def create(request: AdapterRequest, message: CreateWebhook) -> WebhookAnswer:
    """Make a webhook."""
    check_name(message.name)
    check_url(message.url)
    events = [_event(event) for event in message.events or []]
    if not events:
        raise invalid("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    new = NewWebhook(
        name=message.name,
        url=message.url,
        events=events,
        description=message.description or None,
        secret=message.secret or None,
        status=_status(message.status) or entities.WebhookStatus.ACTIVE,
    )
    return _answer(request.context.guarded(Webhooks).create(new))


@endpoint("GET", "2:webhooks", ListWebhooks)
def list_page(request: AdapterRequest, message: ListWebhooks) -> WebhooksAnswer:
    """List webhooks, newest first."""
    limit = message.max_results or DEFAULT_RESULTS
    if not 1 <= limit <= MAX_RESULTS:
        raise invalid(f"max_results must be between 1 and {MAX_RESULTS}.")
    page = request.context.guarded(Webhooks).list(limit=limit, after=message.page_token)
    return WebhooksAnswer(
        webhooks=[_message(webhook) for webhook in page.items], next_page_token=page.next or ""
    )


@endpoint("GET", "2:webhooks/{webhook_id}", Empty)
def get(request: AdapterRequest, _: Empty) -> WebhookAnswer:
    """Get a webhook."""
    return _answer(_get(request))


@endpoint("PATCH", "2:webhooks/{webhook_id}", UpdateWebhook)
def update(request: AdapterRequest, message: UpdateWebhook) -> WebhookAnswer:
    """Change a webhook."""
    found = _get(request)
    if message.name:
        check_name(message.name)
    if message.url:
        check_url(message.url)
    change = WebhookChange(
        name=message.name or None,
        url=message.url or None,
        events=[_event(event) for event in message.events] or None,
        description=message.description,
        secret=message.secret,
        status=_status(message.status),
    )
    return _answer(request.context.guarded(Webhooks).update(found.id, change))


@endpoint("DELETE", "2:webhooks/{webhook_id}", Empty)
def delete(request: AdapterRequest, _: Empty) -> None:
    """Remove a webhook."""
    request.context.guarded(Webhooks).delete(_get(request).id)


@endpoint("POST", "2:webhooks/{webhook_id}/test", TryWebhook)
def try_out(request: AdapterRequest, message: TryWebhook) -> ResultAnswer:
    """Call a webhook once with made-up data."""
    event = None if message.event is None else _event(message.event)
    result = request.context.guarded(Webhooks).test(_get(request).id, WebhookTest(event=event))
    return ResultAnswer(
        result=ResultMessage(
            success=result.success,
            response_status=result.response_status,
            response_body=result.response_body,
            error_message=None if result.error is None else f"Failed to test webhook: {result.error}",
        )
    )


def check_name(name: str) -> None:
    """Refuse what is no name of a webhook.

    Raises
    ------
    MlflowError
        In MLflow's words.
    """
    if _NAME.fullmatch(name) is None:
        raise invalid(
            f"Webhook name {name[:100]!r} is invalid. It must start and end with a letter or digit, be less than "
            "63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        )


def check_url(url: str) -> None:
    """Refuse what can never be called; whether the rest may be is decided at each call.

    Raises
    ------
    MlflowError
        In MLflow's words.
    """
    shown = url[:100]
    if not url.strip():
        raise invalid(f"Webhook URL cannot be empty or just whitespace: {shown!r}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise invalid(f"Invalid webhook URL {shown!r}: {error!r}") from error
    if parts.scheme not in SCHEMES:
        raise invalid(
            f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: {', '.join(SCHEMES)}."
        )
    if not parts.hostname:
        raise invalid(f"Webhook URL must include a hostname: {shown!r}")


def _get(request: AdapterRequest) -> Webhook:
    webhook_id = request.path["webhook_id"]
    try:
        return request.context.guarded(Webhooks).get(webhook_id)
    except NotFound as error:
        raise missing(f"Webhook with ID {webhook_id[:100]} not found.") from error


def _event(event: Event) -> entities.WebhookEvent:
    if event.entity is None or event.action is None:
        known = ", ".join(f"{entity.name}" for entity in Entity)
        raise invalid(f"A webhook event needs an entity and an action. Valid entities are: {known}")
    entity, action = WebhookEntity(event.entity.value.lower()), WebhookAction(event.action.value.lower())
    if action not in ACTIONS[entity]:
        raise _not_happening(entity, action)
    return entities.WebhookEvent(entity=entity, action=action)


def _not_happening(entity: WebhookEntity, action: WebhookAction) -> MlflowError:
    known = sorted(str(each) for each in ACTIONS[entity])
    return invalid(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {known}")


def _status(status: Status | None) -> entities.WebhookStatus | None:
    return None if status is None else entities.WebhookStatus(status.value.lower())


def _answer(webhook: Webhook) -> WebhookAnswer:
    return WebhookAnswer(webhook=_message(webhook))


def _message(webhook: Webhook) -> WebhookMessage:
    return WebhookMessage(
        webhook_id=webhook.id,
        name=webhook.name,
        description=webhook.description,
        url=webhook.url,
        events=[
            Event(entity=Entity[event.entity.upper()], action=Action[event.action.upper()])
            for event in webhook.events
        ],
        status=Status[webhook.status.upper()],
        creation_timestamp=millis(webhook.created_at),
        last_updated_timestamp=millis(webhook.updated_at),
    )


ROUTES = endpoint.routes
