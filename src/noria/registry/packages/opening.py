"""Open a package to serve it: fetched, verified, and its model's files laid out in a folder."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.errors import NotFound
from noria.core.objects.archives import unpack
from noria.core.objects.digests import Hasher
from noria.core.objects.targets import TargetFolder
from noria.registry.entities import Consent, Origin, ServableVersion
from noria.registry.packages.entities import CODE_FILE, EXECUTABLE, PackagesSection
from noria.registry.packages.fetching import fetch_layout
from noria.registry.packages.signing import SigningKeys
from noria.registry.packages.verify import (
    CODE_LIMITS,
    Checked,
    Trust,
    check_package,
    check_tree,
    check_zip,
    entry_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from noria.core.workspace import Workspace
    from noria.registry.packages.entities import Descriptor
    from noria.registry.packages.layout import Layout

MODEL: Final = "model"
CODE: Final = "code"


def open_package(reference: str, workspace: Workspace, cache: Path) -> tuple[ServableVersion, Path]:
    """Fetch and verify a package, and give its version with a folder of the model's files.

    The code that the package holds, if any, lies in the folder `code` beside that of the files.

    Parameters
    ----------
    reference
        A folder, `oci://host/repository:tag`, or the digest or `model@version` of one that the workspace holds.
    workspace
        Whose settings say which keys are trusted and how large a package may be.
    cache
        Folder for what was fetched and unpacked; what is in it already is verified again.

    Raises
    ------
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong
        If nobody whom this workspace trusts vouches for it.
    PackageAltered, PackageInvalid, PathRefused, ArchiveInvalid, LockIncomplete
        If it is not what was signed, or not what may be loaded; nothing of it is left in `cache`.
    PackageNotFound, Unavailable
        If it is not there, or its registry does not answer.
    """
    with fetch_layout(workspace, reference, cache / "layouts") as (layout, descriptor):
        checked = check_package(layout, descriptor, trust_of(workspace))
        return open_layout(
            checked, workspace, cache / hashlib.sha256(descriptor.digest.encode()).hexdigest()[:40]
        )


def open_layout(checked: Checked, workspace: Workspace, place: Path) -> tuple[ServableVersion, Path]:
    """Lay the files of a checked package out below a folder; raises and gives as `open_package`."""
    try:
        _lay_out(checked, place, trust_of(workspace))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return servable_of(checked, workspace), place / MODEL


def trust_of(workspace: Workspace) -> Trust:
    """Give whom and how much a workspace trusts."""
    section = workspace.settings.section("packages", PackagesSection)
    return Trust.of(section, SigningKeys.of(workspace).trusted())


def servable_of(checked: Checked, workspace: Workspace) -> ServableVersion:
    """Give the version that a package holds; what its provenance does not tell is told of the package itself."""
    config, made = checked.config, checked.made
    at = made.registered_at if made else workspace.clock.now()
    return ServableVersion(
        id=made.version_id if made else checked.descriptor.digest,
        project=workspace.project,
        model=config.model,
        version=made.version if made else 1,
        digest=config.files,
        format=config.format,
        task=config.task,
        signature=checked.signature,
        classes=config.classes,
        holdout=made.holdout if made else None,
        metrics=made.metrics if made else {},
        origin=made.origin if made else Origin(),
        message=made.message if made else "",
        author=made.author if made else checked.vouched.signed_by,
        created_at=at,
        updated_at=at,
        flavor=config.flavor,
        pickled=config.pickled,
        consent=_consent(workspace, config.files) if config.pickled else None,
    )


def _lay_out(checked: Checked, place: Path, trust: Trust) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(place / MODEL, ignore_errors=True)
    entries = []
    with TargetFolder(place / MODEL, durable=False) as folder:
        for path, layer in sorted(checked.model_files.items()):
            hasher = Hasher()
            chunks = _noting(checked.layout, layer, hasher)
            folder.write(path, chunks, executable=layer.annotations.get(EXECUTABLE) == "true")
            entries.append(entry_of(path, layer, hasher))
            check_zip(place / MODEL / path, path, trust.largest_bytes)
        for path in checked.config.empty_folders:
            folder.make_folder(path)
    check_tree(checked.config, entries)
    shutil.rmtree(place / CODE, ignore_errors=True)
    if CODE_FILE in checked.layers:
        code = checked.layers[CODE_FILE]
        for _ in checked.layout.stream(
            code
        ):  # an archive that was altered is told as that, not as a broken one
            pass
        unpack(checked.layout.stream(code), place / CODE, limits=CODE_LIMITS)


def _noting(layout: Layout, layer: Descriptor, hasher: Hasher) -> Iterator[bytes]:
    for chunk in layout.stream(layer):
        hasher.update(chunk)
        yield chunk


def _consent(workspace: Workspace, files: str) -> Consent | None:
    """Find the consent that somebody gave in this workspace to load these very files."""
    from noria.registry.consents import Consents

    try:
        given = workspace.service(Consents).list(workspace.project).items
    except NotFound:
        return None
    return next((each for each in given if each.digest == files), None)
