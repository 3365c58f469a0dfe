"""Bring a package to this machine as a layout, from wherever it is."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.objects.checkouts import checkout
from noria.registry.packages.entities import Descriptor
from noria.registry.packages.layout import Layout
from noria.registry.packages.moving import pull, registry_of
from noria.registry.packages.references import FolderPlace, RegistryPlace, WorkspacePlace, parse_place

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.registry.packages.entities import Package


@contextmanager
def fetch_layout(
    workspace: Workspace, reference: str, cache: Path | None = None
) -> Iterator[tuple[Layout, Descriptor]]:
    """Give the layout that holds a package, and which one is meant.

    Of a folder it is the folder itself; of a registry, a layout in `cache`, in which blobs of earlier fetches stay;
    of this workspace, a layout that is gone when the block ends.

    Raises
    ------
    PackageNotFound
        If it is not there.
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong
        If it is in a registry, and nobody who is trusted vouches for it.
    """
    place = parse_place(reference)
    if isinstance(place, FolderPlace):
        layout = Layout.open(place.folder)
        yield layout, layout.package(place.digest)
    elif isinstance(place, RegistryPlace):
        with _kept(place, cache) as folder:
            layout = Layout.make(folder)
            yield layout, _pulled(workspace, place, layout)
    else:
        package = find_package(workspace, place)
        with tempfile.TemporaryDirectory(prefix="noria-package-") as folder:
            checkout(workspace.objects(), package.layout, Path(folder))
            layout = Layout.open(Path(folder))
            yield layout, layout.package(package.digest)


def find_package(workspace: Workspace, place: WorkspacePlace) -> Package:
    """Look up a package that the workspace holds."""
    from noria.registry.packages.service import Packages
    from noria.registry.service import Models

    packages = workspace.service(Packages)
    if place.is_digest:
        return packages.get(workspace.project, place.ref)
    version = workspace.service(Models).resolve(workspace.project, place.ref)
    return packages.newest(workspace.project, version.model, version.version)


def _pulled(workspace: Workspace, place: RegistryPlace, layout: Layout) -> Descriptor:
    from noria.registry.packages.opening import trust_of

    return pull(registry_of(workspace, place), layout, trust_of(workspace))


@contextmanager
def _kept(place: RegistryPlace, cache: Path | None) -> Iterator[Path]:
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="noria-package-") as gone:
            yield Path(gone)
        return
    folder = cache / hashlib.sha256(place.name.encode()).hexdigest()[:40]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        # What a stranger sent is not kept to be met again.
        shutil.rmtree(folder, ignore_errors=True)
        raise
