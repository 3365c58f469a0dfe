"""What webhooks are told of an event: the data of MLflow's payloads, read from the model as it is when it is told.

An event names what changed by reference. A value that changed again or went away since is told as it is now; what is
gone altogether is not told of any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from noria.core.control.workflows import JSON, LoggedEvent
from noria.core.errors import NotFound
from noria.delivery.entities import WebhookAction, WebhookEntity, WebhookEvent
from noria.registry.entities import Model, ModelVersion
from noria.registry.events import (
    MODEL_ALIAS_DELETED,
    MODEL_ALIAS_MOVED,
    MODEL_CREATED,
    MODEL_TAG_DELETED,
    MODEL_TAG_SET,
    MODEL_VERSION_REGISTERED,
    MODEL_VERSION_TAG_DELETED,
    MODEL_VERSION_TAG_SET,
)
from noria.registry.prompts import PROMPT_TAG, is_prompt
from noria.registry.rows import ModelRow, find_model, get_version, load_models

PROMPT_TYPE_TAG = "_mlflow_prompt_type"
PROMPT_TEXT_TAG = "mlflow.prompt.text"

Data = dict[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an event tells of, as the log has it.

    Attributes
    ----------
    version
        Number in the subject; 0 where it is about a model.
    """

    type: str
    project: str
    model: str
    version: int
    payload: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Key of the tag."""
        return str(self.payload["key"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What is told of a change.

    Attributes
    ----------
    data
        Without the name of the model, which depends on who is told.
    model
        The model's present name.
    """

    event: WebhookEvent
    project: str
    model: str
    data: Data


@dataclass(frozen=True, slots=True)
class _Seen:
    """A model as it is now, on an open connection."""

    connection: sa.Connection
    row: ModelRow
    model: Model

    def version(self, number: int) -> ModelVersion:
        return get_version(self.connection, self.row, number)


def change_of(event: LoggedEvent | Mapping[str, Any]) -> Change:
    """Read an event of the registry."""
    if isinstance(event, Mapping):
        kind, project, subject, payload = (event[name] for name in ("type", "project", "subject", "payload"))
    else:
        kind, project, subject, payload = event.type, event.project, event.subject, event.payload
    name, _, number = str(subject).removeprefix("model:").partition("@")
    version = payload.get("version") or number or 0
    return Change(type=str(kind), project=str(project), model=name, version=int(version), payload=payload)


def events_for(kind: str) -> tuple[WebhookEvent, ...]:
    """List what webhooks may be listening to when an event of this type happens: of a model, or of a prompt."""
    teller = TELLERS.get(kind)
    if teller is None:
        return ()
    return tuple(
        WebhookEvent(entity=entity, action=teller.action)
        for entity in (teller.model, teller.prompt)
        if entity is not None
    )


def tell(connection: sa.Connection, change: Change) -> Telling | None:
    """Give what is told of a change; None where there is nothing, or nothing any more."""
    teller = TELLERS[change.type]
    try:
        row = find_model(connection, change.project, change.model)
        [model] = load_models(connection, [row], {row.project_pk: change.project})
        seen = _Seen(connection, row, model)
        prompt = is_prompt(model.tags)
        entity = teller.prompt if prompt else teller.model
        data = None if entity is None else (teller.of_prompt if prompt else teller.of_model)(seen, change)
    except NotFound:
        return None
    if entity is None or data is None:
        return None
    event = WebhookEvent(entity=entity, action=teller.action)
    return Telling(event=event, project=change.project, model=model.name, data=data)


def _created(seen: _Seen, _: Change) -> Data:
    return {"tags": dict(seen.model.tags), "description": seen.model.description or ""}


def _prompt_created(seen: _Seen, _: Change) -> Data:
    tags = _without(seen.model.tags, PROMPT_TAG, PROMPT_TYPE_TAG)
    return {"tags": tags, "description": seen.model.description or ""}


def _version_created(seen: _Seen, change: Change) -> Data:
    version = seen.version(change.version)
    return {
        "version": str(version.version),
        "source": version.source or f"models:/{version.model}/{version.version}",
        "run_id": version.origin.run_id,
        "tags": dict(version.tags),
        "description": version.description or None,
    }


def _prompt_version_created(seen: _Seen, change: Change) -> Data:
    version = seen.version(change.version)
    return {
        "version": str(version.version),
        "template": version.tags.get(PROMPT_TEXT_TAG),
        "tags": _without(version.tags, PROMPT_TAG, PROMPT_TYPE_TAG, PROMPT_TEXT_TAG),
        "description": version.description or None,
    }


def _tag_set(seen: _Seen, change: Change) -> Data | None:
    return _tag(seen.model.tags, change, {})


def _tag_deleted(_: _Seen, change: Change) -> Data:
    return {"key": change.key}


def _version_tag_set(seen: _Seen, change: Change) -> Data | None:
    return _tag(seen.version(change.version).tags, change, {"version": str(change.version)})


def _version_tag_deleted(_: _Seen, change: Change) -> Data:
    return {"version": str(change.version), "key": change.key}


def _alias_moved(_: _Seen, change: Change) -> Data:
    return {"alias": str(change.payload["alias"]), "version": str(change.version)}


def _alias_deleted(_: _Seen, change: Change) -> Data:
    return {"alias": str(change.payload["alias"])}


def _tag(tags: Mapping[str, str], change: Change, version: Data) -> Data | None:
    value = tags.get(change.key)
    return None if value is None else {**version, "key": change.key, "value": value}


def _without(tags: Mapping[str, str], *keys: str) -> Data:
    return {key: value for key, value in tags.items() if key not in keys}


@dataclass(frozen=True, slots=True)
class _Teller:
    """How an event of the log is told: of a model, and of a prompt."""

    action: WebhookAction
    model: WebhookEntity | None
    prompt: WebhookEntity
    of_model: Callable[[_Seen, Change], Data | None]
    of_prompt: Callable[[_Seen, Change], Data | None]


TELLERS: dict[str, _Teller] = {
    str(MODEL_CREATED): _Teller(
        WebhookAction.CREATED, WebhookEntity.REGISTERED_MODEL, WebhookEntity.PROMPT, _created, _prompt_created
    ),
    str(MODEL_VERSION_REGISTERED): _Teller(
        WebhookAction.CREATED,
        WebhookEntity.MODEL_VERSION,
        WebhookEntity.PROMPT_VERSION,
        _version_created,
        _prompt_version_created,
    ),
    str(MODEL_TAG_SET): _Teller(WebhookAction.SET, None, WebhookEntity.PROMPT_TAG, _tag_set, _tag_set),
    str(MODEL_TAG_DELETED): _Teller(
        WebhookAction.DELETED, None, WebhookEntity.PROMPT_TAG, _tag_deleted, _tag_deleted
    ),
    str(MODEL_VERSION_TAG_SET): _Teller(
        WebhookAction.SET,
        WebhookEntity.MODEL_VERSION_TAG,
        WebhookEntity.PROMPT_VERSION_TAG,
        _version_tag_set,
        _version_tag_set,
    ),
    str(MODEL_VERSION_TAG_DELETED): _Teller(
        WebhookAction.DELETED,
        WebhookEntity.MODEL_VERSION_TAG,
        WebhookEntity.PROMPT_VERSION_TAG,
        _version_tag_deleted,
        _version_tag_deleted,
    ),
    str(MODEL_ALIAS_MOVED): _Teller(
        WebhookAction.CREATED,
        WebhookEntity.MODEL_VERSION_ALIAS,
        WebhookEntity.PROMPT_ALIAS,
        _alias_moved,
        _alias_moved,
    ),
    str(MODEL_ALIAS_DELETED): _Teller(
        WebhookAction.DELETED,
        WebhookEntity.MODEL_VERSION_ALIAS,
        WebhookEntity.PROMPT_ALIAS,
        _alias_deleted,
        _alias_deleted,
    ),
}
"""Type of event → how webhooks are told of it."""
