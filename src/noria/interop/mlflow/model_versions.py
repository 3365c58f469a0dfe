"""MLflow's endpoints of versions of registered models."""

from __future__ import annotations

import json
from typing import Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import Forbidden, NotFound
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.messages import KeyValue
from noria.interop.mlflow.model_answers import (
    DownloadAnswer,
    VersionAnswer,
    VersionsAnswer,
    registry_uri,
    version_message,
)
from noria.interop.mlflow.model_places import (
    get_place,
    get_place_of_version,
    get_version,
    in_words,
    number_of,
)
from noria.interop.mlflow.models import check_tag, read_tags
from noria.interop.mlflow.sources import read_source
from noria.interop.mlflow.validation import check_key
from noria.interop.mlflow.wire import Endpoints, Int64, Message, invalid_parameter
from noria.registry.entities import Description, ModelVersion, SourceVersion, StageMove, TagChanges
from noria.registry.prompts import is_prompt
from noria.registry.queries import MAX_VERSIONS, RegistryQuery, shown_name
from noria.registry.rules import MAX_TAG_CHARS, check_model_name
from noria.registry.search import Registry
from noria.registry.versions import ModelVersions
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelTags

VERSIONS_TAG: Final = "mlflow.modelVersions"
"""Where a logged model names the versions that were made of it, as JSON text."""
PROMPT_TEXT_TAG: Final = "mlflow.prompt.text"

endpoint = Endpoints()


class CreateVersion(Message):
    """A version to register."""

    name: str = ""
    source: str = ""
    run_id: str | None = None
    tags: list[KeyValue] = []
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class VersionByNumber(Message):
    """A version that is named."""

    name: str = ""
    version: str = ""


class UpdateVersion(Message):
    """Another description, or none."""

    name: str = ""
    version: str = ""
    description: str | None = None


class TransitionStage(Message):
    """Where a version shall stand."""

    name: str = ""
    version: str = ""
    stage: str = ""
    archive_existing_versions: bool = False


class SearchVersions(Message):
    """What to look for."""

    filter: str = ""
    max_results: Int64 = MAX_VERSIONS
    order_by: list[str] = []
    page_token: str = ""


class SetVersionTag(Message):
    """A tag to set."""

    name: str = ""
    version: str = ""
    key: str = ""
    value: str = ""


class DeleteVersionTag(Message):
    """A tag to delete."""

    name: str = ""
    version: str = ""
    key: str = ""


@endpoint("POST", "2:model-versions/create", CreateVersion, required=("name", "source"))
def create(request: AdapterRequest, message: CreateVersion) -> VersionAnswer:
    """Register a version."""
    tags = {tag.key: tag.value for tag in message.tags}
    of_prompt = is_prompt(tags)
    found = read_source(request, message.source, message.run_id, message.model_id, of_prompt=of_prompt)
    check_model_name(message.name)
    _check_prompt_text(tags)
    place = get_place(request, message.name)
    new = SourceVersion(
        source=found.source,
        location=found.location,
        artifacts=found.artifacts,
        copy_of=found.copy_of,
        run_id=found.run_id,
        model_id=found.model_id,
        run_link=message.run_link or "",
        description=message.description or "",
        tags=read_tags(message.tags),
    )
    with in_words(message.name):
        made = request.context.guarded(ModelVersions).register(place.project, place.name, new)
    if made.model_id is not None and not of_prompt:
        _note_on_logged_model(request, made, place.home)
    return VersionAnswer(model_version=version_message(made, place.home))


@endpoint("GET", "2:model-versions/get", VersionByNumber, required=("name", "version"))
def get(request: AdapterRequest, message: VersionByNumber) -> VersionAnswer:
    """Get a version."""
    place, version = get_version(request, message.name, message.version)
    return VersionAnswer(model_version=version_message(version, place.home))


@endpoint("PATCH", "2:model-versions/update", UpdateVersion, required=("name", "version"))
def update(request: AdapterRequest, message: UpdateVersion) -> VersionAnswer:
    """Describe a version anew."""
    check_model_name(message.name)
    number = number_of(message.version)
    place = get_place_of_version(request, message.name, message.version)
    with in_words(message.name, message.version):
        described = request.context.guarded(ModelVersions).describe(
            place.project, place.name, number, Description(text=message.description)
        )
    return VersionAnswer(model_version=version_message(described, place.home))


@endpoint("POST", "2:model-versions/transition-stage", TransitionStage, required=("name", "version", "stage"))
def transition_stage(request: AdapterRequest, message: TransitionStage) -> VersionAnswer:
    """Let a version stand in another stage."""
    check_model_name(message.name)
    number = number_of(message.version)
    place = get_place_of_version(request, message.name, message.version)
    to = StageMove(stage=message.stage, archive_existing=message.archive_existing_versions)
    with in_words(message.name, message.version):
        moved = request.context.guarded(ModelVersions).move(place.project, place.name, number, to)
    return VersionAnswer(model_version=version_message(moved, place.home))


@endpoint("DELETE", "2:model-versions/delete", VersionByNumber, required=("name", "version"))
def delete(request: AdapterRequest, message: VersionByNumber) -> None:
    """Delete a version."""
    check_model_name(message.name)
    number = number_of(message.version)
    place = get_place_of_version(request, message.name, message.version)
    with in_words(message.name, message.version):
        request.context.guarded(ModelVersions).delete(place.project, place.name, number)


@endpoint("GET", "2:model-versions/search", SearchVersions)
def search(request: AdapterRequest, message: SearchVersions) -> VersionsAnswer:
    """Search versions."""
    if message.max_results > MAX_VERSIONS:
        raise invalid_parameter("max_results", str(message.max_results))
    found = request.context.guarded(Registry).versions(
        RegistryQuery(
            filter=message.filter,
            order_by=message.order_by,
            limit=message.max_results,
            after=message.page_token or None,
        )
    )
    return VersionsAnswer(
        model_versions=[version_message(version, found.home) for version in found.items],
        next_page_token=found.next,
    )


@endpoint("GET", "2:model-versions/get-download-uri", VersionByNumber, required=("name", "version"))
def get_download_uri(request: AdapterRequest, message: VersionByNumber) -> DownloadAnswer:
    """Tell where the files of a version can be had from.

    That is where they lay when it was registered, as with MLflow's server, as long as the same files lie there; from
    then on it is the version's own copy, which nobody can change.
    """
    check_model_name(message.name)
    number = number_of(message.version)
    place = get_place_of_version(request, message.name, message.version)
    with in_words(message.name, message.version):
        found = request.context.guarded(ModelVersions).place(place.project, place.name, number)
    if found.location is not None and (found.digest is None or found.unchanged):
        return DownloadAnswer(artifact_uri=found.location)
    return DownloadAnswer(artifact_uri=registry_uri(found.version_id))


@endpoint("POST", "2:model-versions/set-tag", SetVersionTag, required=("name", "version", "key"))
def set_tag(request: AdapterRequest, message: SetVersionTag) -> None:
    """Set a tag of a version."""
    check_model_name(message.name)
    number = number_of(message.version)
    _check_prompt_text({message.key: message.value})
    check_tag(message.key, message.value)
    _tag(request, message.name, message.version, number, {message.key: message.value})


@endpoint("DELETE", "2:model-versions/delete-tag", DeleteVersionTag, required=("name", "version", "key"))
def delete_tag(request: AdapterRequest, message: DeleteVersionTag) -> None:
    """Delete a tag of a version; one that is not there is no error."""
    check_model_name(message.name)
    number = number_of(message.version)
    check_key(message.key, "key")
    _tag(request, message.name, message.version, number, {message.key: None})


def _tag(request: AdapterRequest, shown: str, version: str, number: int, tags: dict[str, str | None]) -> None:
    place = get_place_of_version(request, shown, version)
    with in_words(shown, version):
        request.context.guarded(ModelVersions).tag(place.project, place.name, number, TagChanges(tags=tags))


def _check_prompt_text(tags: dict[str, str]) -> None:
    if len(tags.get(PROMPT_TEXT_TAG, "")) > MAX_TAG_CHARS:
        raise invalid(f"Prompt text exceeds max length of {MAX_TAG_CHARS} characters.")


def _note_on_logged_model(request: AdapterRequest, made: ModelVersion, home: str) -> None:
    """Name the version on the logged model that it was made of, where the caller may write that."""
    models = request.context.guarded(LoggedModels)
    entry = {"name": shown_name(made.project, made.model, home), "version": made.version}
    try:
        place = models.locate(made.model_id or "")
        known = _versions_of(models.get(place.project, place.model_id).tags.get(VERSIONS_TAG))
        if entry not in known:
            text = json.dumps([*known, entry])
            models.set_tags(place.project, place.model_id, ModelTags(tags={VERSIONS_TAG: text}))
    except (NotFound, Forbidden):
        return


def _versions_of(text: str | None) -> list[object]:
    try:
        known = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return []
    return known if isinstance(known, list) else []


ROUTES = endpoint.routes
