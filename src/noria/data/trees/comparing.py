"""Which files differ between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noria.core.errors import Invalid
from noria.core.objects.trees import read_manifest
from noria.data.service import Datasets
from noria.data.trees.changes import Changes

if TYPE_CHECKING:
    from noria.core.objects.trees import Manifest
    from noria.core.workspace import Workspace
    from noria.data.entities import DatasetVersion


def compare_versions(workspace: Workspace, ref: str, other: str | None) -> Changes:
    """Tell what is added, changed and removed from one version to another; otherwise as `find_pair`."""
    return compare_pair(workspace, *find_pair(workspace, ref, other))


def find_pair(workspace: Workspace, ref: str, other: str | None) -> tuple[DatasetVersion, DatasetVersion]:
    """Find the two versions that are meant, the one before first.

    Parameters
    ----------
    other
        None means the version before `ref`.

    Raises
    ------
    NotFound
        If there is no such version.
    Invalid
        If `other` is left out and there is none before.
    """
    datasets = workspace.service(Datasets)
    second = datasets.resolve(workspace.project, ref)
    if other is not None:
        return second, datasets.resolve(workspace.project, other)
    if second.parent is None:
        raise Invalid(f"`{second.ref}` has no version before it", hint="Name two versions")
    return datasets.version(workspace.project, second.name, second.parent), second


def compare_pair(workspace: Workspace, first: DatasetVersion, second: DatasetVersion) -> Changes:
    """Tell what is added, changed and removed from one version to another."""
    store = workspace.objects()
    return compare_manifests(read_manifest(store, first.digest), read_manifest(store, second.digest))


def compare_manifests(first: Manifest, second: Manifest) -> Changes:
    """Tell what is added, changed (bytes or right to be run) and removed from one tree to another."""
    before = {entry.path: entry for entry in first.entries}
    after = {entry.path: entry for entry in second.entries}
    return Changes(
        added=sorted(after.keys() - before.keys()),
        changed=sorted(path for path in before.keys() & after.keys() if before[path] != after[path]),
        removed=sorted(before.keys() - after.keys()),
    )
