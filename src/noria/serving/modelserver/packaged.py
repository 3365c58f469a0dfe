"""What `noria serve PACKAGE` needs before it serves: a version of this workspace with the package's very files."""

from __future__ import annotations

from pathlib import Path

from noria.core.errors import Corrupt
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.registry.entities import ModelVersion, ServableVersion
from noria.registry.exchange import as_new, same_files
from noria.registry.packages.opening import open_package
from noria.registry.service import Models


def ensure_version(workspace: Workspace, reference: str, cache: Path) -> str:
    """Verify a package and give the `model@version` of this workspace that has its files, registered if there is none.

    Raises
    ------
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong, PackageAltered, PackageInvalid
        As `open_package` does; nothing is registered then.
    """
    packed, folder = open_package(reference, workspace, cache)
    found = same_files(workspace, packed.model, packed.digest)
    if found is None:
        found = _register(workspace, packed, folder)
    return f"{found.model}@{found.version}"


def _register(workspace: Workspace, packed: ServableVersion, folder: Path) -> ModelVersion:
    tree = put_tree(workspace.objects(), folder)
    if tree.digest != packed.digest:
        raise Corrupt(f"The files of the package are `{tree.digest}`, and it says `{packed.digest}`")
    return workspace.service(Models).register(workspace.project, packed.model, as_new(packed))
