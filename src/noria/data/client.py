"""Add and read datasets from Python; the same on a folder and on a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core import lineage
from noria.core.author import local_author
from noria.core.errors import Invalid
from noria.core.objects.checkouts import checkout
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import Objects
from noria.core.objects.store import Progress
from noria.core.objects.trees import Entry, TreeInfo, make_manifest, put_manifest, read_manifest
from noria.core.workspace import Workspace, current_workspace
from noria.data.content import Content, load_arrays, read_source
from noria.data.entities import DatasetKind, DatasetVersion, NewDatasetVersion, check_dataset_ref
from noria.data.quality.gate import rules_of
from noria.data.table_handle import TableHandle
from noria.data.trees.adding import large_before, store_path
from noria.data.trees.stat_index import StatIndex

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from noria.data.diffing.entities import TableDiff
    from noria.data.profiling.entities import VersionProfile
    from noria.data.quality.entities import CheckReport
    from noria.data.trees.adding import Stored

_MAX_IN_MEMORY_BYTES = 8 << 30


class DatasetHandle(TableHandle):
    """A dataset, or one version of it, to add to and to read from.

    Made by `noria.dataset()`. What only tables can is inherited.
    """

    def add(
        self,
        source: Any,
        *,
        message: str = "",
        author: str | None = None,
        progress: Progress | None = None,
        stored: Stored | None = None,
    ) -> DatasetVersion:
        """Store `source` as the next version.

        Parameters
        ----------
        source
            A path, an array, a mapping of names to arrays, or a Polars frame.
        message
            What changed, for the log.
        author
            Who made the content, where that is known to be somebody else; on a server the caller is the author.
        progress
            Told how many files and bytes of a path are stored, while it runs.
        stored
            What `store_here` gave for the same path.

        Returns
        -------
        DatasetVersion
            The new version; the newest one when the content is equal to it.
        """
        rules = rules_of(self._workspace, self.name)
        content = read_source(source, target=rules.target if rules is not None else None)
        said = (message, author or local_author())
        if content.folder is not None:
            added = self._add_path(content, content.folder, said, progress, stored)
        else:
            added = self._add_version(content, self._store(content.files or {}), said)
        lineage.record_output(f"dataset:{added.ref}", added.digest)
        return added

    def _add_path(
        self,
        content: Content,
        path: Path,
        said: tuple[str, str | None],
        progress: Progress | None,
        stored: Stored | None,
    ) -> DatasetVersion:
        project, index = self._workspace.project, StatIndex.of(self._workspace.settings)
        store = self._workspace.objects(like=large_before(index, path))
        if stored is None:
            stored = store_path(store, path, index, progress=progress)
        else:
            self._workspace.service(Objects).take_in(project, stored.new)
        stored.remember(index)
        try:
            added = self._add_version(content, stored.tree, said)
        except ObjectNotInProject:
            # What the index knew was let go meanwhile: all of it is read and stored again.
            stored = store_path(store, path, index, trusting=False, progress=progress)
            stored.remember(index)
            added = self._add_version(content, stored.tree, said)
        index.settle(stored.path, project=project, name=self.name, version=added.version)
        return added

    def _add_version(self, content: Content, tree: TreeInfo, said: tuple[str, str | None]) -> DatasetVersion:
        message, author = said
        new = NewDatasetVersion(
            digest=tree.digest,
            kind=content.kind,
            message=message,
            n_files=tree.n_files,
            size_bytes=tree.size_bytes,
            n_rows=content.n_rows,
            profile=content.profile,
            author=author,
        )
        return self._service.add(self._workspace.project, self.name, new)

    def log(self, *, limit: int = 50) -> list[DatasetVersion]:
        """List versions, newest first."""
        return self._service.log(self._workspace.project, self.name, limit=limit).items

    def checkout(self, target: Path, *, overwrite: bool = False) -> Path:
        """Write the version's files below `target`, verified.

        Raises
        ------
        Conflict
            If a file is in the way and `overwrite` is not set.
        """
        version = self._opened()
        checkout(self._workspace.objects(), version.digest, target, overwrite=overwrite)
        return target

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Read a version that was made of arrays.

        Returns
        -------
        dict of ndarray
            By the names they were added under.
        """
        version = self._opened()
        if version.kind is not DatasetKind.ARRAYS:
            raise Invalid(
                f"`{version.ref}` holds {version.kind}, not arrays",
                hint="Read it with `.polars()` or `.checkout()`",
            )
        return load_arrays(self._files(version))

    def numpy(
        self, *, columns: Sequence[str] | None = None, rows: str | pl.Expr | slice | None = None
    ) -> np.ndarray[Any, Any]:
        """Read a version that is one array, or a table, with rows first; `columns` and `rows` as for `scan`.

        Raises
        ------
        Invalid
            If it holds more than one array; the message names them.
        """
        if self.current.kind is not DatasetKind.ARRAYS:
            return self.polars(columns=columns, rows=rows).to_numpy()
        found = self.arrays()
        if len(found) != 1:
            raise Invalid(
                f"`{self.ref}` holds the arrays {', '.join(f'`{name}`' for name in found)}",
                hint="Use `.arrays()`",
            )
        return next(iter(found.values()))

    def profile(self, *, target: str | None = None, file: str | None = None) -> VersionProfile:
        """Tell what the columns and rows hold; `target` names a column that others may give away.

        The profile that is kept with the version, or one that is made now and kept.
        """
        from noria.data.looking import profile_version

        return profile_version(self._workspace, self.current, target=target, file=file)

    def diff(self, before: str, *, key: Sequence[str] | None = None, file: str | None = None) -> TableDiff:
        """Tell what changed since another version of a table: columns, rows, cells and distributions.

        Parameters
        ----------
        before
            A reference such as `orders@2`.
        key
            Columns that name a row; a likely key when left out, and none where it is empty.
        file
            Which of several files it is.
        """
        from noria.data.looking import diff_versions, find_version

        earlier = find_version(self._workspace, before)
        return diff_versions(self._workspace, earlier, self.current, key=key, file=file)

    def check(self, *, file: str | None = None, record: bool = True) -> CheckReport:
        """Check the rules in `noria.toml`; the result is kept, and blocks runs and steps if one is broken.

        Raises
        ------
        Invalid
            If there are no rules.
        """
        from noria.data.looking import check_version

        return check_version(self._workspace, self.current, file=file, record=record)

    def _store(self, files: Mapping[str, bytes]) -> TreeInfo:
        store = self._workspace.objects()
        entries = []
        for path, data in files.items():
            stored = store.put_bytes(data)
            entries.append(Entry(path=path, digest=stored.digest, size_bytes=stored.size_bytes))
        return put_manifest(store, make_manifest(entries))

    def _files(self, version: DatasetVersion) -> Iterator[tuple[str, bytes]]:
        store = self._workspace.objects()
        for entry in read_manifest(store, version.digest).entries:
            yield entry.path, store.get(entry.digest, limit_bytes=_MAX_IN_MEMORY_BYTES)


def dataset(ref: str, *, workspace: Workspace | None = None) -> DatasetHandle:
    """Name a dataset, to add to it or to read it.

    Parameters
    ----------
    ref
        `digits` (its newest version), `digits@latest`, `digits@3`, or `digits@2026-01-31` (what was the newest at
        the first instant of that day in UTC; with a time, at that moment).
    workspace
        The current one when left out.

    Examples
    --------
    >>> import noria, numpy as np, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ws = noria.open_workspace(noria.load_settings(workspace=folder.name))
    >>> added = noria.dataset("points", workspace=ws).add({"x": np.arange(3)}, message="three points")
    >>> added.ref, added.n_rows
    ('points@1', 3)
    >>> noria.dataset("points@1", workspace=ws).arrays()["x"].tolist()
    [0, 1, 2]
    >>> ws.close(); folder.cleanup()
    """
    name, selector = check_dataset_ref(ref)
    return DatasetHandle(workspace or current_workspace(), name, selector)
