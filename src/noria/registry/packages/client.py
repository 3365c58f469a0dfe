"""What the commands do with packages: each moves files on this machine, and tells the workspace of the result."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from noria.core.author import local_author
from noria.core.errors import Invalid
from noria.core.objects.trees import put_tree
from noria.core.serialisation import to_json
from noria.registry.packages.build import Built, build_package, sign_package
from noria.registry.packages.entities import (
    ATTACHED_LIMIT_BYTES,
    LOCK_FILE,
    Descriptor,
    NewPackage,
    Package,
    PackageDifference,
    Verified,
)
from noria.registry.packages.fetching import fetch_layout, find_package
from noria.registry.packages.layout import Layout
from noria.registry.packages.moving import copy, push, registry_of
from noria.registry.packages.opening import trust_of
from noria.registry.packages.pylock import Lock, read_lock
from noria.registry.packages.references import FolderPlace, RegistryPlace, WorkspacePlace, parse_place
from noria.registry.packages.service import Packages
from noria.registry.packages.signing import SigningKeys
from noria.registry.packages.verify import verify_package
from noria.registry.rules import servable
from noria.registry.service import Models

if TYPE_CHECKING:
    from noria.core.workspace import Workspace


def build(
    workspace: Workspace, ref: str, *, to: Path | None = None, sign: bool = True, report: bytes | None = None
) -> tuple[Package, Built]:
    """Build a package of a version, keep it in the workspace, and write it to a folder if one is named."""
    version = servable(workspace.service(Models).resolve(workspace.project, ref))
    report = report or _newest_report(workspace, version.model, version.version)
    keys = SigningKeys.of(workspace) if sign else None
    with _draft() as folder:
        built = build_package(workspace, version, Layout.make(folder), keys=keys, report=report)
        package = _keep(workspace, built.layout, built.package, version.model, version.version)
        if to is not None:
            copy(built.layout, built.package, Layout.make(to))
    return package, built


def sign(workspace: Workspace, reference: str) -> Package | None:
    """Vouch for a package in a folder or in the workspace; gives the package if the workspace holds it."""
    place = parse_place(reference)
    keys = SigningKeys.of(workspace)
    if isinstance(place, RegistryPlace):
        raise Invalid(f"`{reference}` is in a registry", hint="Sign it where it was built, and push it again")
    if isinstance(place, FolderPlace):
        layout = Layout.open(place.folder)
        sign_package(layout, layout.package(place.digest), keys)
        return None
    package = find_package(workspace, place)
    with fetch_layout(workspace, package.digest) as (layout, descriptor):
        sign_package(layout, descriptor, keys)
        return _keep(workspace, layout, descriptor, package.model, package.version)


def verify(workspace: Workspace, reference: str) -> Verified:
    """Verify a package whole, wherever it is; raises as `verify_package`."""
    with fetch_layout(workspace, reference) as (layout, descriptor):
        return verify_package(layout, descriptor, trust_of(workspace))


def send(workspace: Workspace, reference: str, target: str) -> tuple[str, Descriptor]:
    """Copy a package to a folder or a registry; gives what it is called there.

    Raises
    ------
    Invalid
        If the target is neither.
    """
    place = parse_place(target)
    if isinstance(place, WorkspacePlace) or place.digest is not None:
        raise Invalid(
            f"`{target}` is no place to push a package to",
            hint="Give a folder (`./digits`) or a place in a registry (`oci://host/repository:tag`)",
        )
    with fetch_layout(workspace, reference) as (layout, descriptor):
        if isinstance(place, FolderPlace):
            copy(layout, descriptor, Layout.make(place.folder))
            return f"{place.folder}@{descriptor.digest}", descriptor
        push(layout, descriptor, registry_of(workspace, place), place.tag)
        return f"oci://{place.name}@{descriptor.digest}", descriptor


def fetch(workspace: Workspace, reference: str, folder: Path) -> Verified:
    """Fetch a package into a folder, verified; nothing is left there of one that is refused."""
    with fetch_layout(workspace, reference) as (layout, descriptor):
        told = verify_package(layout, descriptor, trust_of(workspace))
        copy(layout, descriptor, Layout.make(folder))
    return told


def difference(workspace: Workspace, before: str, after: str) -> PackageDifference:
    """Compare two packages, wherever they are."""
    from noria.registry.packages.difference import compare_packages

    with fetch_layout(workspace, before) as old, fetch_layout(workspace, after) as new:
        return compare_packages(old, new)


def lock_of(workspace: Workspace, reference: str) -> tuple[Lock, bytes]:
    """Give the lock of a package."""
    with fetch_layout(workspace, reference) as (layout, descriptor):
        verify_package(layout, descriptor, trust_of(workspace))
        layers = layout.manifest(descriptor).layers
        layer = next(each for each in layers if each.title == LOCK_FILE)
        data = layout.read(layer, ATTACHED_LIMIT_BYTES)
    return read_lock(data), data


def contents(workspace: Workspace, reference: str) -> tuple[Verified, list[Descriptor]]:
    """Give what a package holds, verified: its layers, and what is attached to it."""
    with fetch_layout(workspace, reference) as (layout, descriptor):
        told = verify_package(layout, descriptor, trust_of(workspace))
        attached = [each.layers[0] for _, each in layout.referrers(descriptor.digest) if each.layers]
        return told, [*layout.manifest(descriptor).layers, *attached]


def _keep(workspace: Workspace, layout: Layout, descriptor: Descriptor, model: str, version: int) -> Package:
    tree = put_tree(workspace.objects(), layout.folder)
    new = NewPackage(digest=descriptor.digest, layout=tree.digest, author=local_author())
    return workspace.service(Packages).keep(workspace.project, model, version, new)


def _newest_report(workspace: Workspace, model: str, version: int) -> bytes | None:
    """Give the report that gates go by, or else the newest one; None when the version was not validated."""
    from noria.registry.validation.service import Validations

    reports = workspace.service(Validations).list(workspace.project, model, version).items
    found = next((each for each in reports if each.counts), reports[0] if reports else None)
    return to_json(found) if found else None


@contextmanager
def _draft() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="noria-package-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
