"""The states of a DVC repository as versions of datasets."""

from __future__ import annotations

import posixpath
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from noria.core.errors import NotFound
from noria.core.names import MAX_NAME_LENGTH
from noria.core.objects.disk import storage_errors
from noria.core.objects.paths import PathRefused, check_path, folders_of
from noria.core.objects.sources import TEMPORARY_PREFIX
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.data.service import Datasets
from noria.data.trees.changes import absolute
from noria.data.trees.stat_index import StatIndex
from noria.interop.dvc.entities import (
    Commit,
    DvcContentCorrupt,
    DvcContentMissing,
    DvcImport,
    ImportedDataset,
    Output,
    Passed,
    Snapshot,
)
from noria.interop.dvc.history import find_repository, snapshots
from noria.interop.dvc.stores import Stores, open_stores

_LIST_LIMIT_BYTES: Final = 256 * 1024 * 1024
_LOG_PAGE: Final = 1_000
_NAME_PARTS = re.compile(r"[^A-Za-z0-9._-]+")
_ORIGIN = re.compile(r"\(DVC ([0-9a-f]{32}(?:\.dir)?)(?:, git ([0-9a-f]{12}))?\)$")


class _File(msgspec.Struct, frozen=True):
    """A line of the list that stands for a folder."""

    md5: str
    relpath: str


class _State(msgspec.Struct, frozen=True):
    """A path that changed, and how it is since."""

    commit: Commit
    output: Output


def import_dvc(
    workspace: Workspace,
    repository: Path,
    *,
    revision: str | None = None,
    prefix: str = "",
    told: Callable[[str], None] = lambda _: None,
) -> DvcImport:
    """Bring what a DVC repository keeps, with its git history as versions.

    Each path becomes a dataset, and each state in which it changed a version. What an earlier import brought is left
    out, so that one that was interrupted is gone on with by the same call.

    Parameters
    ----------
    repository
        Folder that holds `.dvc`.
    revision
        Branch, tag or commit whose history is brought; the present one, and the working tree, when left out.
    prefix
        Goes before the names of the datasets.
    told
        Called with what is being done.

    Raises
    ------
    NotFound, DvcRepositoryInvalid
        If there is no such repository, or git does not know the revision; nothing is brought.
    Unavailable
        If git does not answer.
    """
    root = find_repository(repository)
    stores = open_stores(root)
    told("reading the history")
    states, commits, passed = _changes(snapshots(root, revision=revision))
    names = _names(states, prefix)
    datasets: list[ImportedDataset] = []
    n_files = size_bytes = 0
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=_scratch(workspace)) as scratch:
        for path, changes in states.items():
            importer = _Importer(workspace, stores, Path(scratch), names[path])
            for number, state in enumerate(changes, 1):
                told(f"{path}: state {number} of {len(changes)}")
                importer.bring(state)
            datasets.append(
                ImportedDataset(
                    name=names[path], path=path, versions=importer.versions, n_present=importer.n_present
                )
            )
            passed += importer.passed
            n_files += importer.n_files
            size_bytes += importer.size_bytes
    return DvcImport(
        source=str(root),
        project=workspace.project,
        n_commits=commits,
        n_files=n_files,
        size_bytes=size_bytes,
        datasets=datasets,
        passed=passed,
    )


class _Importer:
    """Brings the states of one path."""

    def __init__(self, workspace: Workspace, stores: Stores, scratch: Path, name: str) -> None:
        self._workspace = workspace
        self._stores = stores
        self._scratch = scratch
        self._name = name
        self._known = _imported(workspace, name)
        self.versions: list[int] = []
        self.passed: list[Passed] = []
        self.n_present = self.n_files = self.size_bytes = 0

    def bring(self, state: _State) -> None:
        """Make a version of a state, unless there is one."""
        output, commit = state.output, state.commit
        if (output.md5, commit.id[:12]) in self._known:
            self.n_present += 1
            return
        place = self._scratch / "state"
        try:
            content = _materialise(self._stores, output, place)
            self._add(content, output, commit)
        except (DvcContentMissing, DvcContentCorrupt, PathRefused) as error:
            self.passed.append(Passed(path=output.path, commit=commit.id, why=error.message))
        finally:
            if place.exists():
                with storage_errors(self._scratch):
                    shutil.rmtree(place)

    def _add(self, content: Path, output: Output, commit: Commit) -> None:
        origin = f"(DVC {output.md5}, git {commit.id[:12]})" if commit.id else f"(DVC {output.md5})"
        handle = dataset(self._name, workspace=self._workspace)
        added = handle.add(content, message=f"{commit.subject} {origin}", author=commit.author)
        StatIndex.of(self._workspace.settings).forget(absolute(content))
        if not added.message.endswith(origin):
            self.n_present += 1  # the content is that of the newest version
            return
        self.versions.append(added.version)
        self.n_files += added.n_files
        self.size_bytes += added.size_bytes


def _changes(history: Iterable[Snapshot]) -> tuple[dict[str, list[_State]], int, list[Passed]]:
    """Give the states of each path in which it changed, oldest first."""
    found: dict[str, list[_State]] = {}
    passed: dict[tuple[str, str], Passed] = {}
    n_commits = 0
    for snapshot in history:
        n_commits += bool(snapshot.commit.id)
        for output in snapshot.outputs:
            states = found.setdefault(output.path, [])
            if not states or states[-1].output != output:
                states.append(_State(snapshot.commit, output))
        for each in snapshot.passed:
            passed.setdefault((each.path, each.why), each)
    return found, n_commits, list(passed.values())


def _names(paths: Iterable[str], prefix: str) -> dict[str, str]:
    """Name a dataset after the last part of its path, or after the whole where that is another's too."""
    listed = list(paths)
    last = Counter(posixpath.basename(path) for path in listed)
    chosen: dict[str, str] = {}
    for path in listed:
        base = posixpath.basename(path)
        name = prefix + _NAME_PARTS.sub("-", base if last[base] == 1 else path).strip("-._")
        name = name[:MAX_NAME_LENGTH] or "data"
        number = 2
        while name in chosen.values():
            name, number = f"{name[: MAX_NAME_LENGTH - 4]}-{number}", number + 1
        chosen[path] = name
    return chosen


def _imported(workspace: Workspace, name: str) -> set[tuple[str, str]]:
    """Give what an earlier import brought: MD5 and beginning of the commit."""
    found: set[tuple[str, str]] = set()
    before: int | None = None
    while True:
        try:
            page = workspace.service(Datasets).log(workspace.project, name, limit=_LOG_PAGE, before=before)
        except NotFound:
            return found
        for version in page.items:
            match = _ORIGIN.search(version.message)
            if match:
                found.add((match[1], match[2] or ""))
        before = page.next
        if before is None:
            return found


def _materialise(stores: Stores, output: Output, place: Path) -> Path:
    """Write a file or folder below `place`, verified, under its own name."""
    target = place / posixpath.basename(output.path)
    with storage_errors(place):
        place.mkdir()
    if not output.is_folder:
        stores.fetch(output.md5, target)
        if output.executable:
            _make_executable(target)
        return target
    listing = place / "list.json"
    stores.fetch(output.md5, listing)
    files = _read_list(listing, output.md5)
    folder = place / "folder" / target.name
    with storage_errors(place):
        folder.mkdir(parents=True)
    for file in files:
        inside = folder / file.relpath
        with storage_errors(place):
            inside.parent.mkdir(parents=True, exist_ok=True)
        stores.fetch(file.md5, inside)
    return folder


def _read_list(listing: Path, md5: str) -> list[_File]:
    if listing.stat().st_size > _LIST_LIMIT_BYTES:
        raise DvcContentCorrupt(f"The list `{md5}` has more than {_LIST_LIMIT_BYTES} bytes")
    try:
        files = msgspec.json.decode(listing.read_bytes(), type=list[_File])
        for file in files:
            check_path(file.relpath)
            if not re.fullmatch(r"[0-9a-f]{32}", file.md5):
                raise DvcContentCorrupt(f"The list `{md5}` names `{file.md5[:50]}`, which is no MD5")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DvcContentCorrupt(f"`{md5}` is no list of files: {error}") from error
    paths = {file.relpath for file in files}
    both = paths & {folder for path in paths for folder in folders_of(path)}
    if both or len(paths) < len(files):
        twice = f"`{min(both)}` both a file and a folder" if both else "a file twice"
        raise DvcContentCorrupt(f"The list `{md5}` makes {twice}")
    return files


def _make_executable(target: Path) -> None:
    # A file of its own: the link leads to the cache, whose file keeps its rights.
    copy = target.with_name(f"{target.name}.copy")
    with storage_errors(target.parent):
        shutil.copyfile(target, copy)
        copy.chmod(0o755)
        copy.replace(target)


def _scratch(workspace: Workspace) -> Path | None:
    """Give the folder in which links to the cache are likeliest to be possible; None for the system's."""
    return None if workspace.settings.is_remote else workspace.settings.folder
