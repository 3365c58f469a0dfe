"""Files of registered versions: clients find them at `mlflow-artifacts:/registry/<version id>`, and change nothing."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import AdapterAnswer, AdapterRequest, AdapterStream
from noria.core.errors import NotFound
from noria.core.ids import is_id
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.objects.store import ObjectInfo
from noria.core.objects.trees import Entry, read_manifest
from noria.interop.mlflow.artifact_files import part_answer
from noria.interop.mlflow.errors import PERMISSION_DENIED, MlflowError
from noria.registry.search import Registry
from noria.tracking.artifact_entities import FolderItem
from noria.tracking.shelves import ArtifactIsFolder, ArtifactNotFound

REGISTRY: Final = "registry"


def version_parts(parts: list[str]) -> tuple[str, list[str]] | None:
    """Give the id of the version that a path of the tree leads into, and the rest of the path.

    Examples
    --------
    >>> version_parts(["registry", 32 * "0", "MLmodel"])[1]
    ['MLmodel']
    >>> version_parts(["3", "run", "artifacts"]) is None
    True
    """
    if len(parts) > 1 and parts[0] == REGISTRY and is_id(parts[1]):
        return parts[1], parts[2:]
    return None


def check_not_registered(parts: list[str]) -> None:
    """Refuse to write to the files of a version."""
    if version_parts(parts) is not None:
        raise MlflowError(PERMISSION_DENIED, "The files of a registered version never change.")


def version_file(request: AdapterRequest, version_id: str, parts: list[str]) -> AdapterAnswer | AdapterStream:
    """Give a file of a version, or the part of it that the request asks for.

    Raises
    ------
    ArtifactNotFound, ArtifactIsFolder
    """
    path = "/".join(parts)
    project, entries = _read(request, version_id)
    entry = next((entry for entry in entries if entry.path == path), None)
    if entry is None:
        is_folder = not path or any(entry.path.startswith(f"{path}/") for entry in entries)
        raise (ArtifactIsFolder if is_folder else ArtifactNotFound)(path)
    found, objects = entry, request.context.guarded(Objects)
    return part_answer(
        request,
        parts[-1],
        ObjectInfo(digest=found.digest, size_bytes=found.size_bytes),
        lambda start, length: objects.get(project, found.digest, start=start, length=length),
    )


def version_listing(request: AdapterRequest, version_id: str, parts: list[str]) -> list[FolderItem]:
    """List what lies right inside a folder of a version."""
    prefix = "".join(f"{part}/" for part in parts)
    found: dict[str, FolderItem] = {}
    for entry in _read(request, version_id)[1]:
        if entry.path.startswith(prefix):
            name, slash, _ = entry.path[len(prefix) :].partition("/")
            size = None if slash else entry.size_bytes
            found[name] = FolderItem(path=prefix + name, is_folder=bool(slash), size_bytes=size)
    return list(found.values())


def _read(request: AdapterRequest, version_id: str) -> tuple[str, tuple[Entry, ...]]:
    """Give the project of a version, and its files; none if there is no such version that the caller may read."""
    try:
        files = request.context.guarded(Registry).files(version_id)
    except NotFound:
        return "", ()
    store = ProjectStore(request.context.guarded(Objects), files.project)
    return files.project, read_manifest(store, files.digest).entries
