"""Endpoints of uploads in parts, which go to the bucket of the workspace and pass no byte through this server."""

from __future__ import annotations

import posixpath

from noria.core.adapters import AdapterRequest
from noria.core.objects.multipart import UploadNotFound
from noria.interop.mlflow.artifact_paths import file_parts_of
from noria.interop.mlflow.artifact_places import Place, place_of
from noria.interop.mlflow.errors import RESOURCE_DOES_NOT_EXIST
from noria.interop.mlflow.wire import Endpoints, Int64, Message
from noria.tracking.artifact_entities import SentPart, SentParts
from noria.tracking.artifacts import Artifacts, MultipartUnsupported

ERRORS = {MultipartUnsupported: "NOT_IMPLEMENTED", UploadNotFound: RESOURCE_DOES_NOT_EXIST}

endpoint = Endpoints()


class CreateUpload(Message):
    """A file to upload: its name is that of the client's file, below the folder of the address."""

    path: str = ""
    num_parts: Int64 | None = None


class Credential(Message):
    """Where a part is PUT."""

    url: str
    part_number: int
    headers: dict[str, str] = {}


class StartedUpload(Message):
    """An upload that waits for its parts."""

    upload_id: str
    credentials: list[Credential]


class Part(Message):
    """A part that was sent."""

    part_number: Int64 | None = None
    etag: str = ""
    url: str = ""


class CompleteUpload(Message):
    """The parts of an upload, all sent."""

    path: str = ""
    upload_id: str = ""
    parts: list[Part] | None = None


class AbortUpload(Message):
    """An upload to give up."""

    path: str = ""
    upload_id: str = ""


def create(request: AdapterRequest, message: CreateUpload) -> Message:
    """Begin an upload."""
    place = _place(request, message.path)
    started = _artifacts(request).begin_upload(
        place.project, of=place.of, path=place.path, n_parts=message.num_parts or 0
    )
    credentials = [
        Credential(url=part.url, part_number=part.number, headers=part.headers) for part in started.parts
    ]
    return StartedUpload(upload_id=started.upload_id, credentials=credentials)


def complete(request: AdapterRequest, message: CompleteUpload) -> None:
    """Put the parts of an upload together."""
    place = _place(request, message.path)
    sent = SentParts(
        parts=[SentPart(number=part.part_number or 0, tag=part.etag) for part in message.parts or ()]
    )
    _artifacts(request).complete_upload(place.project, message.upload_id, sent, of=place.of, path=place.path)


def abort(request: AdapterRequest, message: AbortUpload) -> None:
    """Give an upload up."""
    place = _place(request, message.path)
    _artifacts(request).abort_upload(place.project, message.upload_id, of=place.of, path=place.path)


def _place(request: AdapterRequest, local_file: str) -> Place:
    folder, name = request.path["path"], posixpath.basename(local_file)
    return place_of(request, file_parts_of(f"{folder}/{name}" if folder else name))


def _artifacts(request: AdapterRequest) -> Artifacts:
    return request.context.guarded(Artifacts)


for _root in ("/api/2.0/mlflow-artifacts/mpu", "/ajax-api/2.0/mlflow-artifacts/mpu"):
    endpoint("POST", f"{_root}/create/{{path:path}}", CreateUpload, required=("path",), errors=ERRORS)(create)
    endpoint(
        "POST", f"{_root}/complete/{{path:path}}", CompleteUpload, required=("path", "parts"), errors=ERRORS
    )(complete)
    endpoint("POST", f"{_root}/abort/{{path:path}}", AbortUpload, required=("path",), errors=ERRORS)(abort)

ROUTES = endpoint.routes
