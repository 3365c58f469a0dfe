"""Where a version of a model is said to come from: what MLflow's server accepts, and what it means here.

A source is `models:/<model id>`, `models:/<name>/<version>`, `runs:/<run id>/<path>`, an address of artifacts, or the
address of a store that clients read themselves. What belongs to a run or a logged model must name it in `run_id` or
`model_id`, as MLflow 3.17 asks; no source leads out of where it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.interop.mlflow.artifact_paths import proxied_parts
from noria.interop.mlflow.artifact_places import place_of_uri
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.locations import artifact_location, below, run_artifacts
from noria.interop.mlflow.model_places import get_aliased, get_model, get_version
from noria.interop.mlflow.source_rules import (
    ModelUri,
    check_absolute,
    check_readable,
    check_scheme,
    is_below,
    is_local,
    is_proxied,
    is_within_folder,
    not_identified,
    not_within,
    parse_models_uri,
)
from noria.registry.entities import ArtifactPlace, ModelVersion
from noria.registry.prompts import is_prompt
from noria.registry.versions import ModelVersions
from noria.tracking.entities import RunPlace
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelPlace
from noria.tracking.service import Runs

PROMPT_SOURCES: Final = frozenset({"dummy-source", "prompt-template"})
"""What clients give as the source of a prompt, which has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that was accepted.

    Attributes
    ----------
    source
        As it is kept: an alias or stage has become a number.
    location
        From where clients read the files.
    artifacts
        The place of the files in this workspace, if they are in it.
    copy_of
        Id of the version that it names.
    """

    source: str
    location: str
    run_id: str | None = None
    model_id: str | None = None
    artifacts: ArtifactPlace | None = None
    copy_of: str | None = None


def read_source(
    request: AdapterRequest, source: str, run_id: str | None, model_id: str | None, *, of_prompt: bool
) -> Source:
    """Check a source, and find out what it means here.

    Parameters
    ----------
    run_id, model_id
        As the client gave them; None when it did not.

    Raises
    ------
    MlflowError
        If MLflow's server would not accept it.
    """
    check_readable(source)
    given = Source(source=source, location=source, run_id=run_id or None, model_id=model_id or None)
    if of_prompt:
        if source not in PROMPT_SOURCES:
            raise invalid(
                f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
            )
        return given
    check_scheme(source)
    if urlsplit(source).scheme == "models":
        named = _models_uri(source)
        if named.model_id is None:
            return _version_source(
                request, given, named, has_run=run_id is not None, has_model=model_id is not None
            )
    return _model_source(request, given) if given.model_id else _run_source(request, given)


def _version_source(
    request: AdapterRequest, given: Source, named: ModelUri, *, has_run: bool, has_model: bool
) -> Source:
    """Take over what is known of the version that is named."""
    place, model = get_model(request, named.name)
    if is_prompt(model.tags):
        raise invalid(
            f"Invalid model version source: '{given.source}'. Prompt versions cannot be used as model version sources."
        )
    found = _named_version(request, place.project, place.name, named)
    run_id, model_id = found.origin.run_id, found.model_id
    if (has_run and given.run_id != run_id) or (has_model and given.model_id != model_id):
        raise invalid(
            f"Invalid model version source: '{given.source}'. The run_id and model_id request parameters must match "
            "the referenced model version."
        )
    shown = f"models:/{named.name}/{found.version}"
    return Source(source=shown, location=shown, run_id=run_id, model_id=model_id, copy_of=found.id)


def _named_version(request: AdapterRequest, project: str, name: str, named: ModelUri) -> ModelVersion:
    if named.version is not None:
        return get_version(request, named.name, named.version)[1]
    if named.alias is not None:
        return get_aliased(request, named.name, named.alias)[1]
    stages = [named.stage] if named.stage else None
    newest = request.context.guarded(ModelVersions).newest(project, name, stages=stages).items
    if not newest:
        of_stage = f" and stage '{named.stage}'" if named.stage else ""
        raise missing(f"No versions of model with name '{named.name}'{of_stage} found")
    return max(newest, key=lambda version: version.version)


def _model_source(request: AdapterRequest, given: Source) -> Source:
    assert given.model_id is not None  # noqa: S101 - the caller asked
    if is_local(given.source):
        place = _logged_model(request, given.model_id, given.source)
        root = _model_root(place)
        if is_local(root) and is_within_folder(given.source, root):
            return given
        raise not_within(given.source, "model_id")
    check_absolute(given.source)
    scheme = urlsplit(given.source).scheme
    if scheme == "models" and _models_uri(given.source).model_id == given.model_id:
        return _of_logged_model(request, given)
    if scheme in ("models", "runs"):
        raise not_identified(given.source, "model_id")
    if is_proxied(given.source):
        place = _logged_model(request, given.model_id, given.source)
        if not is_below(given.source, _model_root(place)):
            raise not_identified(given.source, "model_id")
        return _with_run(request, replace(given, artifacts=_artifacts(request, given.source)))
    return _with_run(request, given)


def _run_source(request: AdapterRequest, given: Source) -> Source:
    if is_local(given.source):
        if given.run_id is not None:
            root = _run_root(_run(request, given.run_id, given.source))
            if is_local(root) and is_within_folder(given.source, root):
                return given
        raise not_within(given.source, "run_id")
    check_absolute(given.source)
    scheme = urlsplit(given.source).scheme
    if scheme == "runs":
        return _of_run(request, given)
    if scheme == "models":
        raise not_identified(given.source, "model_id")
    if is_proxied(given.source):
        if given.run_id is None:
            raise not_identified(given.source, "run_id")
        root = _run_root(_run(request, given.run_id, given.source))
        if not is_below(given.source, root):
            raise not_identified(given.source, "run_id")
        return replace(given, artifacts=_artifacts(request, given.source))
    return given


def _of_logged_model(request: AdapterRequest, given: Source) -> Source:
    """Take the files of a logged model, and the run that made it."""
    assert given.model_id is not None  # noqa: S101 - the caller asked
    try:
        place = request.context.guarded(LoggedModels).locate(given.model_id)
    except NotFound as error:
        raise MlflowError(
            "RESOURCE_DOES_NOT_EXIST",
            f"Unable to fetch model from model URI source artifact location '{given.source}'."
            f"Error: {error.message}",
        ) from error
    files = ArtifactPlace(project=place.project, of=f"logged-model:{place.model_id}")
    return _with_run(request, replace(given, location=_model_root(place), artifacts=files))


def _of_run(request: AdapterRequest, given: Source) -> Source:
    parts = urlsplit(given.source)
    run_id, _, path = parts.path.removeprefix("/").partition("/")
    if parts.netloc or not parts.path.startswith("/"):
        raise not_identified(given.source, "run_id")
    if not run_id:
        raise invalid(
            f"Not a proper runs:/ URI: {given.source}. "
            "Runs URIs must be of the form 'runs:/<run_id>/run-relative/path/to/artifact'"
        )
    if run_id != given.run_id:
        raise not_identified(given.source, "run_id")
    try:
        place = request.context.guarded(Runs).locate(run_id)
    except NotFound:
        # MLflow takes any id: the run may be on another server.
        return given
    folder = "/".join(part for part in path.split("/") if part)
    return replace(given, artifacts=ArtifactPlace(project=place.project, of=f"run:{run_id}", folder=folder))


def _with_run(request: AdapterRequest, given: Source) -> Source:
    """Name the run that made the logged model, unless the client named one."""
    if given.run_id is not None or given.model_id is None:
        return given
    models = request.context.guarded(LoggedModels)
    try:
        place = models.locate(given.model_id)
    except NotFound as error:
        raise missing(f"Logged model with ID '{given.model_id}' not found.") from error
    return replace(given, run_id=models.get(place.project, place.model_id).source_run or None)


def _artifacts(request: AdapterRequest, uri: str) -> ArtifactPlace | None:
    if proxied_parts(uri) is None:
        return None
    place = place_of_uri(request, uri)
    return ArtifactPlace(project=place.project, of=place.of, folder=place.path) if place.of else None


def _run(request: AdapterRequest, run_id: str, source: str) -> RunPlace:
    try:
        return request.context.guarded(Runs).locate(run_id)
    except NotFound as error:
        raise not_identified(source, "run_id") from error


def _logged_model(request: AdapterRequest, model_id: str, source: str) -> ModelPlace:
    try:
        return request.context.guarded(LoggedModels).locate(model_id)
    except NotFound as error:
        raise not_identified(source, "model_id") from error


def _run_root(place: RunPlace) -> str:
    return run_artifacts(artifact_location(place.experiment_number, place.artifact_location), place.run_id)


def _model_root(place: ModelPlace) -> str:
    location = artifact_location(place.experiment_number, place.artifact_location)
    return below(location, f"models/{place.model_id}/artifacts")


def _models_uri(source: str) -> ModelUri:
    if urlsplit(source).netloc:
        raise invalid(
            f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
        )
    named = parse_models_uri(source)
    if named is None:
        raise not_identified(source, "model_id")
    return named
