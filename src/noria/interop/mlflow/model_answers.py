"""Models and versions as MLflow's clients read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Message
from noria.registry.entities import Model, ModelVersion
from noria.registry.queries import shown_name

READY: Final = "READY"
"""A version is there with all that it has as soon as it is registered."""


class Tag(msgspec.Struct, gc=False):
    """A tag; unlike other fields, an empty value is not left out."""

    key: str
    value: str


class Alias(msgspec.Struct, gc=False):
    """An alias of a model, and the version that it points to."""

    alias: str
    version: str


class VersionMessage(Message, kw_only=True):
    """A version of a model."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str
    current_stage: str
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str
    tags: list[Tag] = []
    run_link: str | None = None
    aliases: list[str] = []
    model_id: str | None = None


class ModelMessage(Message):
    """A registered model, with the newest version of each stage."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str | None = None
    description: str | None = None
    latest_versions: list[VersionMessage] = []
    tags: list[Tag] = []
    aliases: list[Alias] = []


class ModelAnswer(Message):
    """One model."""

    registered_model: ModelMessage


class ModelsAnswer(Message):
    """A page of models."""

    registered_models: list[ModelMessage] = []
    next_page_token: str | None = None


class VersionAnswer(Message):
    """One version."""

    model_version: VersionMessage


class VersionsAnswer(Message):
    """Versions, perhaps a page of them."""

    model_versions: list[VersionMessage] = []
    next_page_token: str | None = None


class DownloadAnswer(Message):
    """Where the files of a version can be had from."""

    artifact_uri: str


def model_message(model: Model, newest: Iterable[ModelVersion], home: str) -> ModelMessage:
    """Give a model as clients read it."""
    return ModelMessage(
        name=shown_name(model.project, model.name, home),
        creation_timestamp=millis(model.created_at),
        last_updated_timestamp=millis(model.updated_at),
        user_id=model.author,
        description=model.description or None,
        latest_versions=[version_message(version, home) for version in newest],
        tags=tag_messages(model.tags),
        aliases=[Alias(alias=alias, version=str(number)) for alias, number in model.aliases.items()],
    )


def version_message(version: ModelVersion, home: str) -> VersionMessage:
    """Give a version as clients read it; one that Noria registered has itself as its source."""
    name = shown_name(version.project, version.model, home)
    return VersionMessage(
        name=name,
        version=str(version.version),
        creation_timestamp=millis(version.created_at),
        last_updated_timestamp=millis(version.updated_at),
        user_id=version.author,
        current_stage=version.stage.value,
        description=version.message or None if version.description is None else version.description,
        source=version.source or registry_uri(version.id),
        run_id=version.origin.run_id or "",
        status=READY,
        tags=tag_messages(version.tags),
        run_link=version.run_link,
        aliases=version.aliases,
        model_id=version.model_id,
    )


def tag_messages(tags: Mapping[str, str]) -> list[Tag]:
    """Give tags as clients read them."""
    return [Tag(key=key, value=value) for key, value in tags.items()]


def registry_uri(version_id: str) -> str:
    """Give the address of a version's own files, as they were registered.

    Examples
    --------
    >>> registry_uri("01a1febd")
    'mlflow-artifacts:/registry/01a1febd'
    """
    return f"mlflow-artifacts:/registry/{version_id}"
