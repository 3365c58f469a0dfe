"""Where the files of a registered version lie among what was imported."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from noria.registry.entities import ArtifactPlace

_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})(?:/|\Z)")
_MODEL_FOLDER = re.compile(r"/models/(m-[0-9a-f]{32})/artifacts(?:/|\Z)")
_RUN = re.compile(r"runs:/([0-9a-f]{32})(?:/(.*))?")
_RUN_FOLDER = re.compile(r"/([0-9a-f]{32})/artifacts(?:/(.*))?\Z", re.DOTALL)


def artifact_place(project: str, source: str, model_id: str | None) -> ArtifactPlace | None:
    """Give the place of a version's files by its source; None for a source that is neither a run's nor a model's.

    Examples
    --------
    >>> place = artifact_place("default", "s3://b/3/0123456789abcdef0123456789abcdef/artifacts/model", None)
    >>> place.of, place.folder
    ('run:0123456789abcdef0123456789abcdef', 'model')
    """
    path = urlsplit(source).path if "://" in source else source
    model = _MODEL.match(source) or _MODEL_FOLDER.search(path)
    if model_id is not None or model is not None:
        identity = model_id if model_id is not None else model[1]  # type: ignore[index]
        return ArtifactPlace(project=project, of=f"logged-model:{identity}")
    run = _RUN.fullmatch(source) or _RUN_FOLDER.search(path)
    if run is not None:
        return ArtifactPlace(project=project, of=f"run:{run[1]}", folder=(run[2] or "").strip("/"))
    return None
