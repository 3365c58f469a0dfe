"""Endpoints of artifacts: the proxied tree that clients read and write, lists by run, and the page's addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from noria.core.adapters import AdapterAnswer, AdapterRequest, AdapterStream
from noria.core.errors import NoriaError
from noria.interop.mlflow.artifact_files import file_answer
from noria.interop.mlflow.artifact_paths import file_parts_of, parts_of, proxied_parts
from noria.interop.mlflow.artifact_places import (
    Place,
    check_within_shelf,
    listing,
    model_place,
    names_above_shelves,
    place_of,
    place_of_uri,
    run_place,
)
from noria.interop.mlflow.errors import MlflowError, invalid, missing, refuse
from noria.interop.mlflow.locations import artifact_location, below, run_artifacts
from noria.interop.mlflow.model_versions import VersionByNumber, get_download_uri
from noria.interop.mlflow.projects import get_place
from noria.interop.mlflow.registry_files import (
    check_not_registered,
    version_file,
    version_listing,
    version_parts,
)
from noria.interop.mlflow.wire import Endpoints, Int64, Message, encode
from noria.tracking.artifact_entities import FolderItem
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import RunPlace
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import ModelPlace
from noria.tracking.model_rows import LoggedModelNotFound
from noria.tracking.shelves import ArtifactIsFolder

MAX_UPLOAD_FROM_PAGE: Final = 10 * 1024 * 1024
MAX_EXPIRATION_S: Final = 604_800
ITEMS_AT_ONCE: Final = 10_000
"""Of a list by run or model: so many that clients which pass over `next_page_token` rarely miss any."""

_DRAINED_BYTES: Final = 16 * 1024 * 1024
_ROOTS: Final = ("/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts")

endpoint = Endpoints()

Reply = AdapterAnswer | AdapterStream
Handler = Callable[[AdapterRequest], Reply]


class FileInfo(msgspec.Struct, omit_defaults=True, gc=False):
    """A file or folder in a list; the size of an empty file is left out, as MLflow does."""

    path: str
    is_dir: bool
    file_size: int | None = None


class FileList(Message):
    """A folder of the proxied tree."""

    files: list[FileInfo] = []


class ArtifactList(Message):
    """A folder of the artifacts of a run or model."""

    root_uri: str
    files: list[FileInfo] = []
    next_page_token: str | None = None


class ListArtifacts(Message):
    """Asks for a folder of the artifacts of a run."""

    run_id: str = ""
    run_uuid: str = ""
    path: str | None = None
    page_token: str = ""


class ListModelArtifacts(Message):
    """Asks for a folder of the artifacts of a logged model."""

    artifact_directory_path: str | None = None
    page_token: str = ""


class SignUpload(Message):
    """Asks for an address to upload to without this server."""

    run_id: str = ""
    model_id: str = ""
    path: str = ""
    expiration: Int64 | None = None


class SignDownload(Message):
    """Asks for an address to download from without this server."""

    run_id: str = ""
    path: str = ""
    expiration: Int64 | None = None


def _told(handle: Handler) -> Handler:
    """Have the errors of a handler told in MLflow's words, whatever its address begins with."""

    def answer(request: AdapterRequest) -> Reply:
        try:
            return handle(request)
        except NoriaError as error:
            _drain(request.upload)
            return refuse(error)

    return answer


def _drain(upload: Iterable[bytes] | None) -> None:
    """Read what is left of a small body: a client that is still sending would never see the answer."""
    left = _DRAINED_BYTES
    try:
        for chunk in upload or ():
            left -= len(chunk)
            if left < 0:
                return
    except NoriaError:
        return


def download(request: AdapterRequest) -> Reply:
    """Give a file of the tree, or a part of it."""
    return _file_of_tree(request, parts_of(request.path["path"]))


def upload(request: AdapterRequest) -> AdapterAnswer:
    """Keep a file in the tree."""
    place = _place_of_file(request, request.path["path"])
    request.context.guarded(Artifacts).put(place.project, request.upload or (), of=place.of, path=place.path)
    return AdapterAnswer()


def list_tree(request: AdapterRequest) -> AdapterAnswer:
    """List a folder of the tree, by the names in it."""
    parts = parts_of(_first(request, "path") or "")
    of_version = version_parts(parts)
    place = None if of_version else place_of(request, parts)
    items = version_listing(request, *of_version) if of_version else listing(request, place) if place else ()
    found = {(name := item.path.rpartition("/")[2]): _info(name, item) for item in items}
    if place is not None and place.of == "":
        found |= {name: FileInfo(path=name, is_dir=True) for name in names_above_shelves(request, parts)}
    return AdapterAnswer(body=encode(FileList(files=[found[name] for name in sorted(found)])))


def delete(request: AdapterRequest) -> AdapterAnswer:
    """Remove a file or a folder of the tree; what is not there is no error."""
    parts = parts_of(request.path["path"])
    if not parts:
        raise invalid("The whole tree of artifacts cannot be deleted; name a path.")
    check_not_registered(parts)
    place = place_of(request, parts)
    check_within_shelf(request, place)
    request.context.guarded(Artifacts).delete(place.project, of=place.of, path=place.path)
    return AdapterAnswer()


@endpoint("GET", "2:artifacts/list", ListArtifacts, required=("run_id",))
def list_of_run(request: AdapterRequest, message: ListArtifacts) -> Message:
    """List a folder of the artifacts of a run."""
    parts = parts_of(message.path or "")
    run = get_place(request, message.run_id)
    return _list(request, run_place(run, parts), run_root(run), message.page_token)


@endpoint("GET", "2:logged-models/{model_id}/artifacts/directories", ListModelArtifacts)
def list_of_model(request: AdapterRequest, message: ListModelArtifacts) -> Message:
    """List a folder of the artifacts of a logged model."""
    parts = parts_of(message.artifact_directory_path or "")
    model = get_model_place(request, request.path["model_id"])
    return _list(request, model_place(model, parts), model_root(model), message.page_token)


def get_run_artifact(request: AdapterRequest) -> Reply:
    """Give a file of a run."""
    run_id = _first(request, "run_id") or _first(request, "run_uuid") or ""
    parts = parts_of(_path_of(request))
    place = run_place(get_place(request, run_id), parts)
    return file_answer(request, place)


def get_model_artifact(request: AdapterRequest) -> Reply:
    """Give a file of a logged model."""
    path = _first(request, "artifact_file_path")
    if not path:
        raise MlflowError("BAD_REQUEST", 'Request must include the "artifact_file_path" query parameter.')
    parts = parts_of(path)
    place = model_place(get_model_place(request, request.path["model_id"]), parts)
    return file_answer(request, place)


def get_version_artifact(request: AdapterRequest) -> Reply:
    """Give a file of a registered version."""
    path = _path_of(request)
    parts_of(path)
    named = VersionByNumber(name=_first(request, "name") or "", version=_first(request, "version") or "")
    uri = get_download_uri(request, named).artifact_uri
    of_version = version_parts([*(proxied_parts(uri) or ()), *parts_of(path)])
    return (
        version_file(request, *of_version)
        if of_version
        else file_answer(request, place_of_uri(request, uri, path))
    )


def upload_from_page(request: AdapterRequest) -> AdapterAnswer:
    """Keep a small file of a run."""
    run_id, path = _first(request, "run_id") or _first(request, "run_uuid"), _first(request, "path")
    if not run_id:
        raise invalid("Request must specify run_uuid.")
    if not path:
        raise invalid("Request must specify path.")
    parts = file_parts_of(path)
    if len(request.body) > MAX_UPLOAD_FROM_PAGE:
        raise invalid("Artifact size is too large. Max size is 10MB.")
    if not request.body:
        raise invalid("Request must specify data.")
    place = run_place(get_place(request, run_id), parts)
    request.context.guarded(Artifacts).put(place.project, [request.body], of=place.of, path=place.path)
    return AdapterAnswer()


@endpoint("POST", "2:artifacts/presigned-upload-url", SignUpload, required=("path",))
def sign_upload(request: AdapterRequest, message: SignUpload) -> Message:
    """Refuse to give an address past this server."""
    if bool(message.run_id) == bool(message.model_id):
        raise invalid("Exactly one of run_id and model_id must be provided.")
    parts_of(message.path)
    if message.run_id:
        root = run_root(get_place(request, message.run_id))
    else:
        root = model_root(get_model_place(request, message.model_id))
    if proxied_parts(root) is not None:
        raise invalid(
            "Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts)."
            " This endpoint requires a direct cloud storage artifact URI."
        )
    raise MlflowError(
        "NOT_IMPLEMENTED", "Presigned upload is not supported for the current artifact repository"
    )


@endpoint("POST", "2:artifacts/presigned-download-url", SignDownload, required=("run_id", "path"))
def sign_download(request: AdapterRequest, message: SignDownload) -> Message:
    """Refuse to give an address past this server."""
    parts_of(message.path)
    if message.expiration is not None and not 1 <= message.expiration <= MAX_EXPIRATION_S:
        raise invalid(
            f"expiration must be between 1 and {MAX_EXPIRATION_S} seconds (got {message.expiration})."
        )
    if proxied_parts(run_root(get_place(request, message.run_id))) is not None:
        raise invalid(
            "Presigned download is not supported for runs with proxied artifact storage"
            " (artifact URI scheme: mlflow-artifacts)."
            " This endpoint requires a run with a direct cloud storage artifact URI."
        )
    raise MlflowError(
        "NOT_IMPLEMENTED", "Presigned download is not supported for the current artifact repository"
    )


def presigned_download(request: AdapterRequest) -> AdapterAnswer:
    """Refuse to give an address past this server for a file of the tree."""
    parts_of(request.path["path"])
    raise MlflowError(
        "NOT_IMPLEMENTED", "Multipart download is not supported for the current artifact repository"
    )


def run_root(run: RunPlace) -> str:
    """Give the location of the artifacts of a run."""
    return run_artifacts(artifact_location(run.experiment_number, run.artifact_location), run.run_id)


def model_root(model: ModelPlace) -> str:
    """Give the location of the artifacts of a logged model."""
    location = artifact_location(model.experiment_number, model.artifact_location)
    return below(location, f"models/{model.model_id}/artifacts")


def get_model_place(request: AdapterRequest, model_id: str) -> ModelPlace:
    """Find the project and experiment of an active logged model.

    Raises
    ------
    MlflowError
        If there is no such model that the caller may read.
    """
    try:
        place = request.context.guarded(LoggedModels).locate(model_id)
    except LoggedModelNotFound as error:
        raise missing(error.message) from error
    if place.deleted_at is not None:
        raise missing(LoggedModelNotFound(model_id).message)
    return place


def _place_of_file(request: AdapterRequest, path: str) -> Place:
    parts = file_parts_of(path)
    check_not_registered(parts)
    place = place_of(request, parts)
    if not place.parts:
        raise ArtifactIsFolder(path)
    return place


def _list(request: AdapterRequest, place: Place, root_uri: str, token: str) -> ArtifactList:
    if not token.isprintable():
        raise invalid("Invalid page token")
    page = request.context.guarded(Artifacts).folder(
        place.project, of=place.of, path=place.path, limit=ITEMS_AT_ONCE, after=token
    )
    files = [_info(item.path, item) for item in page.items]
    if page.next is None and not token:
        files.sort(key=lambda file: file.path)
    return ArtifactList(files=files, root_uri=root_uri, next_page_token=page.next)


def _file_of_tree(request: AdapterRequest, parts: list[str]) -> Reply:
    of_version = version_parts(parts)
    return (
        version_file(request, *of_version) if of_version else file_answer(request, place_of(request, parts))
    )


def _info(path: str, item: FolderItem) -> FileInfo:
    return FileInfo(path=path, is_dir=item.is_folder, file_size=item.size_bytes or None)


def _first(request: AdapterRequest, name: str) -> str | None:
    return request.query.get(name, [None])[0]


def _path_of(request: AdapterRequest) -> str:
    path = _first(request, "path")
    if path is None:
        raise MlflowError("BAD_REQUEST", "Missing value for required parameter 'path'.")
    return path


for _root in _ROOTS:
    endpoint.add("GET", f"{_root}/artifacts", _told(list_tree))
    endpoint.add("GET", f"{_root}/artifacts/{{path:path}}", _told(download))
    endpoint.add("PUT", f"{_root}/artifacts/{{path:path}}", _told(upload), upload=True)
    endpoint.add("DELETE", f"{_root}/artifacts/{{path:path}}", _told(delete))
    endpoint.add("GET", f"{_root}/presigned/{{path:path}}", _told(presigned_download))
endpoint.add("GET", "/get-artifact", _told(get_run_artifact))
# MLflow's server takes `//` for `/`, and its own tests ask so.
for _slash in ("/", "//"):
    endpoint.add("GET", f"{_slash}model-versions/get-artifact", _told(get_version_artifact))
endpoint.add("POST", "/ajax-api/2.0/mlflow/upload-artifact", _told(upload_from_page))
endpoint.add(
    "GET", "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", _told(get_model_artifact)
)

ROUTES = endpoint.routes
