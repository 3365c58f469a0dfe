"""What a webhook is told when it is tried: made-up data in the form of each event's."""

from __future__ import annotations

from noria.core.control.workflows import JSON
from noria.delivery.entities import WebhookAction, WebhookEntity, WebhookEvent

_TAGS: dict[str, JSON] = {"example_key": "example_value"}
_MODEL, _PROMPT = "example_model", "example_prompt"

_SAMPLES: dict[tuple[WebhookEntity, WebhookAction], dict[str, JSON]] = {
    (WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED): {
        "name": _MODEL,
        "tags": _TAGS,
        "description": "An example registered model",
    },
    (WebhookEntity.MODEL_VERSION, WebhookAction.CREATED): {
        "name": _MODEL,
        "version": "1",
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": _TAGS,
        "description": "An example model version",
    },
    (WebhookEntity.PROMPT, WebhookAction.CREATED): {
        "name": _PROMPT,
        "tags": _TAGS,
        "description": "An example prompt",
    },
    (WebhookEntity.PROMPT_VERSION, WebhookAction.CREATED): {
        "name": _PROMPT,
        "version": "1",
        "template": "Hello {{name}}!",
        "tags": _TAGS,
        "description": "An example prompt version",
    },
    (WebhookEntity.BUDGET_POLICY, WebhookAction.EXCEEDED): {
        "budget_policy_id": "bp-abc123",
        "budget_unit": "USD",
        "budget_amount": 100.0,
        "current_spend": 105.5,
        "duration_unit": "MONTHS",
        "duration_value": 1,
        "target_scope": "ENDPOINT",
        "workspace": "default",
        "target_value": "ep-abc123",
        "window_start": 1704067200000,
    },
}


def sample(event: WebhookEvent) -> dict[str, JSON]:
    """Give made-up data of an event.

    Examples
    --------
    >>> sample(WebhookEvent(entity=WebhookEntity.PROMPT_ALIAS, action=WebhookAction.DELETED))
    {'name': 'example_prompt', 'alias': 'example_alias'}
    """
    known = _SAMPLES.get((event.entity, event.action))
    if known is not None:
        return known
    data: dict[str, JSON] = {"name": _PROMPT if event.entity.value.startswith("prompt") else _MODEL}
    if event.entity.value.endswith("_alias"):
        data["alias"] = "example_alias"
        if event.action is WebhookAction.CREATED:
            data["version"] = "1"
        return data
    if "version" in event.entity.value:
        data["version"] = "1"
    data["key"] = "example_key"
    if event.action is WebhookAction.SET:
        data["value"] = "example_value"
    return data
