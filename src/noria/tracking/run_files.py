"""Read a file of a run for a page: at most a few megabytes of it, and nothing where there is none."""

from __future__ import annotations

from noria.core.errors import NotFound
from noria.core.web.pages import Visit
from noria.tracking.artifact_entities import KeptFile
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import Run
from noria.tracking.run_keys import RunNotFound


def owner_of(run: Run) -> str:
    """Give what the artifacts service calls the run."""
    return f"run:{run.id}"


def find_file(visit: Visit, run: Run, path: str) -> KeptFile | None:
    """Find a file of a run; None when it keeps none at the path."""
    try:
        return visit.context.service(Artifacts).info(run.project, owner_of(run), path)
    except RunNotFound:
        raise
    except NotFound:
        return None


def read_bytes(visit: Visit, file: KeptFile, start: int, length: int) -> bytes:
    """Read a part of a file."""
    if length <= 0 or start >= file.size_bytes:
        return b""
    objects = visit.context.objects
    return b"".join(objects.open(file.digest, start=start, length=min(length, file.size_bytes - start)))
