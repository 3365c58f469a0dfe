"""Webhooks, what they are called for, and how their deliveries went; the pure rules on them.

The names of entities and actions, and the payloads, are those of MLflow's webhooks, so that receivers written for
these work unchanged.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.errors import Invalid, TooLarge

MAX_NAME_CHARS = 63
MAX_DESCRIPTION_CHARS = 1000
MAX_SECRET_CHARS = 1000
MAX_WEBHOOKS = 500
"""Of one owner: each event looks at all webhooks."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


class WebhookEntity(enum.StrEnum):
    """What something can happen to."""

    REGISTERED_MODEL = "registered_model"
    MODEL_VERSION = "model_version"
    MODEL_VERSION_TAG = "model_version_tag"
    MODEL_VERSION_ALIAS = "model_version_alias"
    PROMPT = "prompt"
    PROMPT_VERSION = "prompt_version"
    PROMPT_TAG = "prompt_tag"
    PROMPT_VERSION_TAG = "prompt_version_tag"
    PROMPT_ALIAS = "prompt_alias"
    BUDGET_POLICY = "budget_policy"  # MLflow's gateway has budgets; here nothing happens to any


class WebhookAction(enum.StrEnum):
    """What can happen."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    SET = "set"
    EXCEEDED = "exceeded"


_TAG_ACTIONS = (WebhookAction.DELETED, WebhookAction.SET)
_ALIAS_ACTIONS = (WebhookAction.CREATED, WebhookAction.DELETED)

ACTIONS: dict[WebhookEntity, tuple[WebhookAction, ...]] = {
    WebhookEntity.REGISTERED_MODEL: (WebhookAction.CREATED,),
    WebhookEntity.MODEL_VERSION: (WebhookAction.CREATED,),
    WebhookEntity.MODEL_VERSION_TAG: _TAG_ACTIONS,
    WebhookEntity.MODEL_VERSION_ALIAS: _ALIAS_ACTIONS,
    WebhookEntity.PROMPT: (WebhookAction.CREATED,),
    WebhookEntity.PROMPT_VERSION: (WebhookAction.CREATED,),
    WebhookEntity.PROMPT_TAG: _TAG_ACTIONS,
    WebhookEntity.PROMPT_VERSION_TAG: _TAG_ACTIONS,
    WebhookEntity.PROMPT_ALIAS: _ALIAS_ACTIONS,
    WebhookEntity.BUDGET_POLICY: (WebhookAction.EXCEEDED,),
}
"""What can happen to what, in the order of names."""


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a webhook is called for.

    Examples
    --------
    >>> str(WebhookEvent(entity=WebhookEntity.MODEL_VERSION, action=WebhookAction.CREATED))
    'model_version.created'
    """

    entity: WebhookEntity
    action: WebhookAction

    def __str__(self) -> str:
        """Give the event as one word, `entity.action`."""
        return f"{self.entity}.{self.action}"


class WebhookStatus(enum.StrEnum):
    """Whether a webhook is called."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is called when something happens.

    Attributes
    ----------
    events
        In the order in which they were given.
    owner
        Who made it: it is called for what this caller may read today.
    projects
        The only projects it is called for, if its maker could read no others; None for all of the owner's.
    has_secret
        Whether its calls are signed. The secret itself is never shown.
    """

    id: str
    name: str
    url: str
    events: list[WebhookEvent]
    status: WebhookStatus
    description: str | None
    has_secret: bool
    owner: str
    projects: list[str] | None
    created_at: datetime
    updated_at: datetime


Secret = Annotated[str, msgspec.Meta(max_length=MAX_SECRET_CHARS)]


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook to make.

    Attributes
    ----------
    url
        Of HTTP or HTTPS. Whether it may be called is decided at each call, since a name may lead elsewhere by then.
    secret
        Signs the calls; without one they are not signed.
    """

    name: str
    url: str
    events: list[WebhookEvent]
    description: str | None = None
    secret: Secret | None = None
    status: WebhookStatus = WebhookStatus.ACTIVE


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different; None leaves as it is. An empty secret takes the secret away."""

    name: str | None = None
    url: str | None = None
    events: list[WebhookEvent] | None = None
    description: str | None = None
    secret: Secret | None = None
    status: WebhookStatus | None = None


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True):
    """Webhooks, newest first; `next` continues."""

    items: list[Webhook]
    next: str | None


class WebhookTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call to try; of the webhook's first event unless one is given."""

    event: WebhookEvent | None = None


class WebhookTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a call went that was tried.

    Attributes
    ----------
    success
        Whether the receiver answered with a status below 400.
    response_status, response_body
        What it answered, if it did; a long body is cut off.
    error
        Why there is no answer.
    """

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None


class DeliveryStatus(enum.StrEnum):
    """How far a delivery has come."""

    WAITING = "waiting"  # will be tried, perhaps again
    DELIVERED = "delivered"
    FAILED = "failed"  # refused for good, or tried often enough
    DROPPED = "dropped"  # the webhook was disabled meanwhile

    def is_finished(self) -> bool:
        """Tell whether nothing more will be tried."""
        return self is not DeliveryStatus.WAITING


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one webhook.

    Attributes
    ----------
    id
        Sent with each attempt, so that a receiver can tell that it was there already.
    position
        Of the event in the log.
    response_status, error
        Of the last attempt.
    """

    id: str
    event: str
    subject: str
    position: int
    status: DeliveryStatus
    n_attempts: int
    response_status: int | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, newest first; `next` continues."""

    items: list[Delivery]
    next: int | None


def check_name(name: str) -> str:
    """Give a name back if it is one.

    Raises
    ------
    Invalid
        If it is not.
    """
    if len(name) > MAX_NAME_CHARS or _NAME.fullmatch(name) is None:
        raise Invalid(
            f"`{name[:100]}` cannot be the name of a webhook",
            hint="Letters, digits, `.`, `_` and `-`, up to 63, with a letter or digit at both ends",
        )
    return name


def check_description(description: str | None) -> str | None:
    """Give a description back if it is not too long.

    Raises
    ------
    TooLarge
        If it is.
    """
    if description is not None and len(description) > MAX_DESCRIPTION_CHARS:
        raise TooLarge(
            f"The description has {len(description)} characters; the limit is {MAX_DESCRIPTION_CHARS}"
        )
    return description


def check_events(events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """Give events back, each once, if they are such that can happen.

    Raises
    ------
    Invalid
        If there are none, or one that cannot.
    """
    if not events:
        raise Invalid("A webhook needs an event to be called for", hint="Such as `model_version.created`")
    for event in events:
        if event.action not in ACTIONS[event.entity]:
            known = ", ".join(f"`{event.entity}.{action}`" for action in ACTIONS[event.entity])
            raise Invalid(f"`{event}` does not happen", hint=f"Known: {known}")
    return list(dict.fromkeys(events))


def parse_event(text: str) -> WebhookEvent:
    """Read an event that is written as one word.

    Raises
    ------
    Invalid
        If it is none; the hint lists those that happen.

    Examples
    --------
    >>> parse_event("prompt.created") in all_events()
    True
    """
    found = next((event for event in all_events() if str(event) == text), None)
    if found is None:
        known = ", ".join(f"`{event}`" for event in all_events())
        raise Invalid(f"`{text}` is no event that a webhook can be called for", hint=f"Known: {known}")
    return found


def all_events() -> list[WebhookEvent]:
    """List the events that a webhook can be called for."""
    return [
        WebhookEvent(entity=entity, action=action)
        for entity, actions in ACTIONS.items()
        for action in actions
    ]
