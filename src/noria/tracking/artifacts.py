"""Operations on artifacts: the files of runs, of logged models, and those that a project holds beside them."""

from __future__ import annotations

from pathlib import PurePosixPath

from noria.core.errors import Invalid, NotFound
from noria.core.objects.multipart import MultipartUploads, StartedUpload, multipart_uploads
from noria.core.objects.store import ObjectInfo
from noria.core.operations import Download, Service, Upload, operation
from noria.tracking.artifact_entities import (
    ArtifactExperiment,
    ArtifactExperiments,
    ArtifactOwners,
    FilePage,
    FolderPage,
    KeptFile,
    Removed,
    SentParts,
)
from noria.tracking.artifact_owners import EXPERIMENT, EXPERIMENTS, MODELS, RUNS
from noria.tracking.events import RUN_UPDATED, append_event
from noria.tracking.limits import check_artifact_path
from noria.tracking.permissions import FIND_RUNS, READ_RUNS, WRITE_RUNS
from noria.tracking.previews import IMAGE_TYPES
from noria.tracking.shelves import (
    RUN,
    files_below,
    find_shelf,
    get_file,
    keep_file,
    list_folder,
    remove_below,
)

MAX_PAGE = 10_000


class MultipartUnsupported(Invalid):
    """The store of this workspace is a folder, which takes files only through the server."""

    code = "multipart_unsupported"


class Artifacts(Service):
    """Files by path. `of` says whose: `run:<id>`, `logged-model:<id>`, or nothing for those of the project itself."""

    @operation("GET", "/artifacts/experiments", needs=FIND_RUNS)
    def experiments(self) -> ArtifactExperiments:
        """List the experiments of any project of which a run or a logged model has artifacts."""
        with self.context.database.read() as connection:
            rows = connection.execute(EXPERIMENTS).mappings().all()
        items = [ArtifactExperiment(**row) for row in rows if self._may_read(row["project"])]
        return ArtifactExperiments(items=items)

    @operation("GET", "/artifacts/experiments/{number}", needs=FIND_RUNS)
    def owners(self, number: int) -> ArtifactOwners:
        """List the runs and logged models of an experiment that have artifacts."""
        with self.context.database.read() as connection:
            place = connection.execute(EXPERIMENT, {"number": number}).one_or_none()
            if place is None or not self._may_read(place.project):
                raise NotFound(f"There is no experiment with the number {number}")
            return ArtifactOwners(
                runs=list(connection.execute(RUNS, {"experiment": place.pk}).scalars()),
                models=list(connection.execute(MODELS, {"experiment": place.pk}).scalars()),
            )

    @operation("GET", "/projects/{project}/artifacts/folder", needs=READ_RUNS)
    def folder(
        self, project: str, of: str = "", path: str = "", limit: int = 1_000, after: str = ""
    ) -> FolderPage:
        """List what lies right inside a folder, or nothing if there is no such folder."""
        if path:
            check_artifact_path(path)
        with self.context.database.read() as connection:
            shelf = find_shelf(connection, project, of)
            items, following = list_folder(connection, shelf, path, after=after, limit=_bound(limit))
        return FolderPage(items=items, next=following)

    @operation("GET", "/projects/{project}/artifacts/files", needs=READ_RUNS)
    def files(
        self, project: str, of: str = "", path: str = "", limit: int = 1_000, after: str = ""
    ) -> FilePage:
        """List files at any depth below a folder, from the one that follows the path `after`."""
        if path:
            check_artifact_path(path)
        bound = _bound(limit)
        with self.context.database.read() as connection:
            shelf = find_shelf(connection, project, of)
            found = files_below(connection, shelf, path, after=after, limit=bound + 1)
        return FilePage(items=found[:bound], next=found[bound - 1].path if len(found) > bound else None)

    @operation("GET", "/projects/{project}/artifacts/info", needs=READ_RUNS)
    def info(self, project: str, of: str = "", path: str = "") -> KeptFile:
        """Get size and digest of a file."""
        check_artifact_path(path)
        with self.context.database.read() as connection:
            return get_file(connection, find_shelf(connection, project, of), path)

    @operation("GET", "/projects/{project}/artifacts/file", needs=READ_RUNS)
    def get(
        self, project: str, of: str = "", path: str = "", start: int = 0, length: int | None = None
    ) -> Download:
        """Download a file, or `length` bytes of it from `start`."""
        file = self.info(project, of, path)
        rest = max(0, file.size_bytes - start)
        return Download(
            chunks=self.context.objects.open(file.digest, start=start, length=length),
            size_bytes=rest if length is None else min(length, rest),
            # An image may stand in a page of ours; opened by itself it is an attachment as everything else.
            media_type=IMAGE_TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream"),
            filename=path.rpartition("/")[2],
        )

    @operation("PUT", "/projects/{project}/artifacts/file", needs=WRITE_RUNS)
    def put(self, project: str, body: Upload, of: str = "", path: str = "") -> KeptFile:
        """Upload a file, in place of the one that has the path."""
        check_artifact_path(path)
        with self.context.database.read() as connection:
            find_shelf(connection, project, of)  # before a long upload, not after it
        return self._keep(project, of, path, self.context.objects.put(body))

    @operation("POST", "/projects/{project}/artifacts/uploads", needs=WRITE_RUNS)
    def begin_upload(self, project: str, of: str = "", path: str = "", n_parts: int = 1) -> StartedUpload:
        """Begin the upload of a large file in parts, which go to the bucket and not through the server."""
        check_artifact_path(path)
        with self.context.database.read() as connection:
            find_shelf(connection, project, of)
        return self._uploads().create(_place(project, of, path), n_parts=n_parts)

    @operation("POST", "/projects/{project}/artifacts/uploads/{upload_id}/complete", needs=WRITE_RUNS)
    def complete_upload(
        self, project: str, upload_id: str, sent: SentParts, of: str = "", path: str = ""
    ) -> KeptFile:
        """Put the parts of an upload together as the file that it was begun for."""
        check_artifact_path(path)
        parts = [(part.number, part.tag) for part in sent.parts]
        stored = self._uploads().complete(_place(project, of, path), upload_id, parts)
        return self._keep(project, of, path, stored)

    @operation("DELETE", "/projects/{project}/artifacts/uploads/{upload_id}", needs=WRITE_RUNS)
    def abort_upload(self, project: str, upload_id: str, of: str = "", path: str = "") -> None:
        """Give an upload in parts up."""
        self._uploads().abort(_place(project, of, path), upload_id)

    @operation("DELETE", "/projects/{project}/artifacts/files", needs=WRITE_RUNS)
    def delete(self, project: str, of: str = "", path: str = "") -> Removed:
        """Remove a file, or a folder with all that is in it; without a path, everything."""
        if path:
            check_artifact_path(path)
        with self.context.database.write() as connection:
            n_files = remove_below(connection, find_shelf(connection, project, of), path)
            if n_files and of.startswith(f"{RUN}:"):
                payload = {"artifacts_removed": [path]}
                append_event(
                    connection, self.context, RUN_UPDATED, subject=of, project=project, payload=payload
                )
        return Removed(n_files=n_files)

    def _keep(self, project: str, of: str, path: str, stored: ObjectInfo) -> KeptFile:
        with self.context.database.write() as connection:
            shelf = find_shelf(connection, project, of)
            kept = keep_file(connection, self.context.clock, shelf, path, stored)
            if of.startswith(f"{RUN}:"):
                payload = {"artifacts": [path]}
                append_event(
                    connection, self.context, RUN_UPDATED, subject=of, project=project, payload=payload
                )
        return kept

    def _uploads(self) -> MultipartUploads:
        uploads = multipart_uploads(self.context.objects)
        if uploads is None:
            raise MultipartUnsupported(
                "Multipart upload is not supported for the current artifact repository"
            )
        return uploads

    def _may_read(self, project: str) -> bool:
        return self.context.principal.may(READ_RUNS, project)


def _place(project: str, of: str, path: str) -> str:
    """Give what an upload in parts is bound to."""
    return f"{project}\n{of}\n{path}"


def _bound(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))
