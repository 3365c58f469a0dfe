"""MLflow's endpoints of registered models: their names, tags, aliases and newest versions."""

from __future__ import annotations

from collections.abc import Iterable

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import RESOURCE_ALREADY_EXISTS, MlflowError
from noria.interop.mlflow.messages import KeyValue
from noria.interop.mlflow.model_answers import (
    ModelAnswer,
    ModelsAnswer,
    VersionAnswer,
    VersionsAnswer,
    model_message,
    version_message,
)
from noria.interop.mlflow.model_places import (
    check_alias_name,
    check_new_alias,
    get_aliased,
    get_model,
    get_place,
    get_place_of_version,
    in_words,
    number_of,
    place_for,
)
from noria.interop.mlflow.validation import check_key, check_length
from noria.interop.mlflow.wire import Endpoints, Int64, Message, invalid_parameter
from noria.registry.changes import ModelExists
from noria.registry.entities import AliasTarget, Description, Model, NewModel, NewName, TagChanges
from noria.registry.prompts import PROMPT_TAG
from noria.registry.queries import MAX_MODELS, RegistryPlace, RegistryQuery, shown_name
from noria.registry.rules import MAX_TAG_CHARS, check_model_name
from noria.registry.search import Registry
from noria.registry.service import AliasNotFound, Models
from noria.registry.versions import ModelVersions
from noria.tracking.limits import MAX_KEY_CHARS

endpoint = Endpoints()


class CreateModel(Message):
    """A model to make."""

    name: str = ""
    tags: list[KeyValue] = []
    description: str | None = None
    deployment_job_id: str | None = None


class ModelByName(Message):
    """A model that is named."""

    name: str = ""


class RenameModel(Message):
    """Another name."""

    name: str = ""
    new_name: str = ""


class UpdateModel(Message):
    """Another description."""

    name: str = ""
    description: str = ""
    deployment_job_id: str | None = None


class SearchModels(Message):
    """What to look for."""

    filter: str = ""
    max_results: Int64 = 100
    order_by: list[str] = []
    page_token: str = ""


class LatestVersions(Message):
    """The stages whose newest versions are wanted; all when there are none."""

    name: str = ""
    stages: list[str] = []


class SetModelTag(Message):
    """A tag to set."""

    name: str = ""
    key: str = ""
    value: str = ""


class DeleteModelTag(Message):
    """A tag to delete."""

    name: str = ""
    key: str = ""


class SetAlias(Message):
    """An alias and the version that it shall point to."""

    name: str = ""
    alias: str = ""
    version: str = ""


class AliasByName(Message):
    """An alias."""

    name: str = ""
    alias: str = ""


@endpoint("POST", "2:registered-models/create", CreateModel, required=("name",))
def create(request: AdapterRequest, message: CreateModel) -> ModelAnswer:
    """Make a model."""
    tags = read_tags(message.tags)
    place = place_for(request, message.name)
    new = NewModel(name=place.name, description=message.description, tags=tags)
    try:
        made = request.context.guarded(Models).create(place.project, new)
    except ModelExists as error:
        existing = request.context.guarded(Models).get(place.project, place.name)
        raise _taken(message.name, existing, tags) from error
    return ModelAnswer(registered_model=model_message(made, [], place.home))


@endpoint("GET", "2:registered-models/get", ModelByName, required=("name",))
def get(request: AdapterRequest, message: ModelByName) -> ModelAnswer:
    """Get a model."""
    return _answer(request, *get_model(request, message.name))


@endpoint("POST", "2:registered-models/rename", RenameModel, required=("name", "new_name"))
def rename(request: AdapterRequest, message: RenameModel) -> ModelAnswer:
    """Give a model another name in its project."""
    check_model_name(message.new_name, field="new_name")
    place = get_place(request, message.name)
    new_name = _within_project(message.new_name, place)
    try:
        with in_words(message.name):
            renamed = request.context.guarded(Models).rename(
                place.project, place.name, NewName(name=new_name)
            )
    except ModelExists as error:
        raise MlflowError(
            RESOURCE_ALREADY_EXISTS, f"Registered Model (name={message.new_name}) already exists."
        ) from error
    return _answer(request, place, renamed)


@endpoint("PATCH", "2:registered-models/update", UpdateModel, required=("name",))
def update(request: AdapterRequest, message: UpdateModel) -> ModelAnswer:
    """Describe a model anew."""
    place = get_place(request, message.name)
    with in_words(message.name):
        described = request.context.guarded(Models).describe(
            place.project, place.name, Description(text=message.description)
        )
    return _answer(request, place, described)


@endpoint("DELETE", "2:registered-models/delete", ModelByName, required=("name",))
def delete(request: AdapterRequest, message: ModelByName) -> None:
    """Delete a model with its versions."""
    place = get_place(request, message.name)
    with in_words(message.name):
        request.context.guarded(Models).delete(place.project, place.name)


@endpoint("GET", "2:registered-models/search", SearchModels)
def search(request: AdapterRequest, message: SearchModels) -> ModelsAnswer:
    """Search models."""
    if message.max_results > MAX_MODELS:
        raise invalid_parameter("max_results", str(message.max_results))
    found = request.context.guarded(Registry).models(
        RegistryQuery(
            filter=message.filter,
            order_by=message.order_by,
            limit=message.max_results,
            after=message.page_token or None,
        )
    )
    return ModelsAnswer(
        registered_models=[model_message(item.model, item.newest, found.home) for item in found.items],
        next_page_token=found.next,
    )


@endpoint("POST", "2:registered-models/get-latest-versions", LatestVersions, required=("name",))
@endpoint("GET", "2:registered-models/get-latest-versions", LatestVersions, required=("name",))
def latest_versions(request: AdapterRequest, message: LatestVersions) -> VersionsAnswer:
    """List the newest version of each stage."""
    place = get_place(request, message.name)
    with in_words(message.name):
        page = request.context.guarded(ModelVersions).newest(
            place.project, place.name, stages=message.stages or None
        )
    return VersionsAnswer(model_versions=[version_message(version, place.home) for version in page.items])


@endpoint("POST", "2:registered-models/set-tag", SetModelTag, required=("name", "key"))
def set_tag(request: AdapterRequest, message: SetModelTag) -> None:
    """Set a tag of a model."""
    check_model_name(message.name)
    check_tag(message.key, message.value)
    _tag(request, message.name, {message.key: message.value})


@endpoint("DELETE", "2:registered-models/delete-tag", DeleteModelTag, required=("name", "key"))
def delete_tag(request: AdapterRequest, message: DeleteModelTag) -> None:
    """Delete a tag of a model; one that is not there is no error."""
    check_model_name(message.name)
    check_key(message.key, "key")
    _tag(request, message.name, {message.key: None})


@endpoint("POST", "2:registered-models/alias", SetAlias, required=("name", "alias", "version"))
def set_alias(request: AdapterRequest, message: SetAlias) -> None:
    """Point an alias at a version."""
    check_model_name(message.name)
    check_new_alias(message.alias)
    target = AliasTarget(version=number_of(message.version))
    place = get_place_of_version(request, message.name, message.version)
    with in_words(message.name, message.version):
        request.context.guarded(Models).set_alias(place.project, place.name, message.alias, target)


@endpoint("DELETE", "2:registered-models/alias", AliasByName, required=("name", "alias"))
def delete_alias(request: AdapterRequest, message: AliasByName) -> None:
    """Delete an alias; one that is not there is no error."""
    check_model_name(message.name)
    check_alias_name(message.alias)
    place = get_place(request, message.name)
    try:
        with in_words(message.name):
            request.context.guarded(Models).delete_alias(place.project, place.name, message.alias)
    except MlflowError as error:
        if not isinstance(error.__cause__, AliasNotFound):
            raise


@endpoint("GET", "2:registered-models/alias", AliasByName, required=("name", "alias"))
def get_by_alias(request: AdapterRequest, message: AliasByName) -> VersionAnswer:
    """Get the version that an alias points to."""
    place, version = get_aliased(request, message.name, message.alias)
    return VersionAnswer(model_version=version_message(version, place.home))


def read_tags(tags: Iterable[KeyValue]) -> dict[str, str]:
    """Check tags, and give them by key; of a repeated key the last."""
    found = {}
    for tag in tags:
        check_tag(tag.key, tag.value)
        found[tag.key] = tag.value
    return found


def check_tag(key: str, value: str) -> None:
    """Refuse a tag that MLflow's registry would not keep."""
    check_key(key, "key")
    check_length("key", key, MAX_KEY_CHARS)
    check_length("value", value, MAX_TAG_CHARS)


def _answer(request: AdapterRequest, place: RegistryPlace, model: Model) -> ModelAnswer:
    newest = request.context.guarded(ModelVersions).newest(place.project, model.name).items
    return ModelAnswer(registered_model=model_message(model, newest, place.home))


def _tag(request: AdapterRequest, shown: str, tags: dict[str, str | None]) -> None:
    place = get_place(request, shown)
    with in_words(shown):
        request.context.guarded(Models).tag(place.project, place.name, TagChanges(tags=tags))


def _within_project(shown: str, place: RegistryPlace) -> str:
    """Take the project off a new name: a model stays in its project."""
    prefix = shown_name(place.project, "", place.home)
    return shown.removeprefix(prefix) or shown


def _taken(shown: str, existing: Model, tags: dict[str, str]) -> MlflowError:
    was = "Prompt" if PROMPT_TAG in existing.tags else "Registered Model"
    new = "Prompt" if PROMPT_TAG in tags else "Registered Model"
    if was == new:
        return MlflowError(RESOURCE_ALREADY_EXISTS, f"{new} (name={shown}) already exists.")
    return MlflowError(
        RESOURCE_ALREADY_EXISTS,
        f"Tried to create a {new.lower()} with name {shown!r}, but the name is already taken by a {was.lower()}. "
        "MLflow does not allow creating a model and a prompt with the same name.",
    )


ROUTES = endpoint.routes
