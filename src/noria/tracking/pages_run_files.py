"""The files of a run: a tree of them, and each without being run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.errors import NotFound
from noria.core.web.diffs import Diff, read_diff
from noria.core.web.pages import Page, Visit
from noria.core.web.trees import Entry, file_tree
from noria.tracking.ansi import Piece, pieces
from noria.tracking.artifact_entities import KeptFile
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import Run
from noria.tracking.limits import check_artifact_path, shorten
from noria.tracking.pages_run_frame import RunContext, read_run, run_frame, run_path
from noria.tracking.permissions import READ_RUNS
from noria.tracking.previews import Kind, Preview, bytes_needed, preview
from noria.tracking.run_files import find_file, owner_of, read_bytes

MAX_FILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """A file that is shown.

    Attributes
    ----------
    kind
        How it is shown; the values of `previews.Kind`.
    patch
        Of a diff.
    output
        Of console output.
    download_url
        Gives the bytes, as an attachment.
    """

    path: str
    name: str
    digest: str
    size_bytes: int
    at: datetime
    kind: str
    preview: Preview
    patch: Diff | None
    output: tuple[Piece, ...]
    download_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesContext(RunContext):
    """What the page of a run's files shows.

    Attributes
    ----------
    files
        The tree.
    n_files
        How many files are in it.
    file
        The one that is shown; None when none was chosen.
    following
        Further files; None when all are here.
    first
        The beginning of the list; None when this is it.
    """

    files: tuple[Entry, ...]
    n_files: int
    file: FileView | None
    following: str | None
    first: str | None


def artifacts(visit: Visit) -> FilesContext:
    """Gather the tree of a run's files, and the file that was chosen."""
    run = read_run(visit)
    path, after = visit.parameters.get("path", ""), visit.parameters.get("after", "")
    file = _file_view(visit, run, path) if path else None
    page = visit.context.service(Artifacts).files(run.project, owner_of(run), limit=MAX_FILES, after=after)
    urls = visit.urls

    def url(each: str) -> str:
        return urls.run(run.project, run.id, "artifacts/view", path=each, after=after or None)

    more = page.next
    return FilesContext(
        **run_frame(visit, run, "artifacts"),
        files=file_tree([(each.path, each.size_bytes) for each in page.items], url, current=path),
        n_files=len(page.items),
        file=file,
        following=urls.run(run.project, run.id, "artifacts", after=more) if more else None,
        first=urls.run(run.project, run.id, "artifacts") if after else None,
    )


def _file_view(visit: Visit, run: Run, path: str) -> FileView:
    file = find_file(visit, run, check_artifact_path(path))
    if file is None:
        raise NotFound(
            f"The run `{run.id}` has no artifact `{shorten(path)}`",
            hint="It may have been removed; the tab Artifacts lists what there is",
        )
    data = read_bytes(visit, file, 0, bytes_needed(path, file.size_bytes))
    return _shown(visit, run, file, preview(path, file.size_bytes, data))


def _shown(visit: Visit, run: Run, file: KeptFile, made: Preview) -> FileView:
    return FileView(
        path=file.path,
        name=file.path.rpartition("/")[2],
        digest=file.digest,
        size_bytes=file.size_bytes,
        at=file.at,
        kind=made.kind.value,
        preview=made,
        patch=read_diff(made.text) if made.kind is Kind.DIFF else None,
        output=tuple(pieces(made.text)) if made.kind is Kind.CONSOLE else (),
        download_url=visit.urls.run_file(run.project, run.id, file.path),
    )


_QUERY = ("path", "after")
_TEMPLATE = "noria.tracking/run_files.html"
PAGES = (
    Page(path=run_path("artifacts"), needs=READ_RUNS, template=_TEMPLATE, build=artifacts, query=_QUERY),
    Page(path=run_path("artifacts/view"), needs=READ_RUNS, template=_TEMPLATE, build=artifacts, query=_QUERY),
)
