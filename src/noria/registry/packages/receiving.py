"""Take a package in: verified, its version is registered here, and the package kept for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria.core.names import check_name
from noria.core.objects.trees import put_tree
from noria.registry.entities import ModelVersion, ServableVersion, TagChanges
from noria.registry.exchange import ORIGIN_TAG, as_new, same_files
from noria.registry.packages.entities import NewPackage, Package
from noria.registry.packages.fetching import fetch_layout
from noria.registry.packages.opening import open_layout, trust_of
from noria.registry.packages.service import Packages
from noria.registry.packages.verify import check_package
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.versions import ModelVersions

if TYPE_CHECKING:
    from noria.core.workspace import Workspace


def receive_package(workspace: Workspace, reference: str) -> tuple[ServableVersion, Package]:
    """Register the version that a package holds, if the model has none with these files, and keep the package.

    Consents stay behind: pickles that came in a package are not loaded before somebody consents here.

    Raises
    ------
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong, PackageAltered, PackageInvalid, LockIncomplete
        As `open_package`; nothing is registered then.
    """
    with (
        tempfile.TemporaryDirectory(prefix="noria-package-") as draft,
        fetch_layout(workspace, reference) as (layout, descriptor),
    ):
        checked = check_package(layout, descriptor, trust_of(workspace))
        told, files = open_layout(checked, workspace, Path(draft) / "opened")
        check_name("model", told.model)
        put_tree(workspace.objects(), files)
        version = same_files(workspace, told.model, told.digest) or _register(workspace, told)
        tree = put_tree(workspace.objects(), layout.folder)
        new = NewPackage(digest=descriptor.digest, layout=tree.digest, author=told.author)
        package = workspace.service(Packages).keep(workspace.project, version.model, version.version, new)
    return servable(version), package


def _register(workspace: Workspace, told: ServableVersion) -> ModelVersion:
    # The run, its code and its environment are elsewhere; a package has the code and the lock in it.
    origin = msgspec.structs.replace(told.origin, run_id=None, snapshot=None, environment=None)
    new = as_new(msgspec.structs.replace(told, origin=origin))
    made = workspace.service(Models).register(workspace.project, told.model, new)
    tags: dict[str, str | None] = {ORIGIN_TAG: f"package/{told.ref}"}
    return workspace.service(ModelVersions).tag(
        workspace.project, made.model, made.version, TagChanges(tags=tags)
    )
