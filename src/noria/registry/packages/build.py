"""Build a package of a registered version, and attach to it what is known of it.

The digest covers the files of the model, the code, the lock, the signature and the configuration, all of which hold no
time and no number of a version. What does hold them refers to the package: signature, provenance, bill of materials,
model card, report of the validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from noria.core.errors import Invalid, NoriaError
from noria.core.objects.store import ObjectNotFound
from noria.core.objects.trees import read_manifest
from noria.core.serialisation import to_canonical_json
from noria.data.service import Datasets
from noria.registry.entities import ServableVersion
from noria.registry.packages.bill import make_bill
from noria.registry.packages.card import make_card
from noria.registry.packages.entities import (
    BILL_TYPE,
    CARD_TYPE,
    CODE_FILE,
    CODE_TYPE,
    CONFIG_TYPE,
    EXECUTABLE,
    FILE_TYPE,
    GOLDEN_TYPE,
    LOCK_FILE,
    LOCK_TYPE,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_TYPE,
    MODEL_FOLDER,
    MOST_LAYERS,
    PACKAGE_TYPE,
    PROFILE_TYPE,
    PROVENANCE_TYPE,
    REF_NAME,
    REFERENCE_TYPE,
    REPORT_TYPE,
    SIGNATURE_FILE,
    SIGNATURE_TYPE,
    SIGNED_TYPE,
    TITLE,
    Descriptor,
    ImageManifest,
    Made,
    PackageConfig,
)
from noria.registry.packages.layout import Layout
from noria.registry.packages.lock import Resolved, resolve_lock
from noria.registry.packages.needs import distributions_needed
from noria.registry.packages.provenance import PAYLOAD_TYPE, make_provenance
from noria.registry.packages.recorded import recorded_environment
from noria.registry.packages.signing import SigningKeys

if TYPE_CHECKING:
    from datetime import datetime

    from noria.core.objects.trees import Manifest
    from noria.core.workspace import Workspace

_TYPES: Final = {
    "profile.json": PROFILE_TYPE,
    "golden.npz": GOLDEN_TYPE,
    "reference.npz": REFERENCE_TYPE,
    "holdout.npz": REFERENCE_TYPE,
    "answers.npz": REFERENCE_TYPE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A package in a layout.

    Attributes
    ----------
    resolved
        Its lock, and what the resolver said.
    """

    layout: Layout
    package: Descriptor
    resolved: Resolved


def build_package(
    workspace: Workspace,
    version: ServableVersion,
    layout: Layout,
    *,
    keys: SigningKeys | None,
    report: bytes | None = None,
) -> Built:
    """Build a package of a version into a layout.

    Parameters
    ----------
    keys
        Sign it; None leaves that to somebody else.
    report
        Of the validation of the version, as JSON.

    Raises
    ------
    Invalid
        If the version has more files than a package may hold.
    ObjectNotFound
        If its files are not there.
    """
    started = workspace.clock.now()
    tree = read_manifest(workspace.objects(version.project), version.digest)
    if len(tree.entries) > MOST_LAYERS - 3:
        raise Invalid(
            f"`{version.ref}` has {len(tree.entries)} files; a package holds {MOST_LAYERS - 3} at most",
            hint="Put them into one archive that the model reads",
        )
    resolved = _lock(workspace, version, tree)
    layers = _model_layers(workspace, version, tree, layout)
    code = _code_layer(workspace, version, layout)
    layers += [code] if code else []
    layers.append(layout.add(resolved.lock.encode(), LOCK_TYPE, title=LOCK_FILE))
    layers.append(layout.add(to_canonical_json(version.signature), SIGNATURE_TYPE, title=SIGNATURE_FILE))
    config = _config(version, tree, code, complete=resolved.lock.incomplete is None)
    manifest = ImageManifest(
        schema_version=2,
        media_type=MANIFEST_TYPE,
        artifact_type=PACKAGE_TYPE,
        config=layout.add(to_canonical_json(config), CONFIG_TYPE),
        layers=sorted(layers, key=lambda each: each.title),
    )
    package = layout.add_manifest(manifest, annotations={REF_NAME: version.ref})
    made = made_of(version)
    _attach(workspace, layout, package, version, made, resolved, code, started, keys)
    if report is not None:
        layout.attach(package, report, REPORT_TYPE, title="validation.json")
    if keys is not None:
        sign_package(layout, package, keys)
    return Built(layout=layout, package=package, resolved=resolved)


def sign_package(layout: Layout, package: Descriptor, keys: SigningKeys) -> None:
    """Vouch for a package: attach an envelope over its manifest."""
    data = layout.read(package, MANIFEST_LIMIT_BYTES)
    layout.attach(package, keys.seal(data, MANIFEST_TYPE), SIGNED_TYPE, title="package.dsse.json")


def made_of(version: ServableVersion) -> Made:
    """Give what the provenance tells of a version."""
    return Made(
        model=version.model,
        version=version.version,
        version_id=version.id,
        project=version.project,
        author=version.author,
        message=version.message,
        registered_at=version.created_at,
        origin=version.origin,
        holdout=version.holdout,
        metrics=version.metrics,
    )


def _config(
    version: ServableVersion, tree: Manifest, code: Descriptor | None, *, complete: bool
) -> PackageConfig:
    return PackageConfig(
        model=version.model,
        format=version.format,
        task=version.task,
        classes=version.classes,
        flavor=version.flavor,
        pickled=version.pickled,
        files=version.digest,
        empty_folders=list(tree.empty_folders),
        code=code.digest if code else None,
        lock_complete=complete,
    )


def _model_layers(
    workspace: Workspace, version: ServableVersion, tree: Manifest, layout: Layout
) -> list[Descriptor]:
    store = workspace.objects(version.project)
    layers = []
    for entry in tree.entries:
        annotations = {TITLE: MODEL_FOLDER + entry.path, **({EXECUTABLE: "true"} if entry.executable else {})}
        kind = _TYPES.get(entry.path, FILE_TYPE)
        layers.append(layout.add_stream(store.open(entry.digest), kind, annotations=annotations))
    return layers


def _code_layer(workspace: Workspace, version: ServableVersion, layout: Layout) -> Descriptor | None:
    snapshot = version.origin.snapshot
    if snapshot is None:
        return None
    try:
        chunks = workspace.objects(version.project).open(snapshot)
        return layout.add_stream(chunks, CODE_TYPE, annotations={TITLE: CODE_FILE})
    except ObjectNotFound as error:
        raise Invalid(
            f"The code that made `{version.ref}` is not in this workspace any more",
            hint="Register the version again from a run that is still here",
        ) from error


def _lock(workspace: Workspace, version: ServableVersion, tree: Manifest) -> Resolved:
    wanted = distributions_needed(workspace.objects(version.project), version, tree)
    return resolve_lock(wanted, recorded_environment(workspace, version), workspace.settings.project_root)


def _attach(
    workspace: Workspace,
    layout: Layout,
    package: Descriptor,
    version: ServableVersion,
    made: Made,
    resolved: Resolved,
    code: Descriptor | None,
    started: datetime,
    keys: SigningKeys | None,
) -> None:
    lock, now = resolved.lock, workspace.clock.now()
    card = make_card(version, made, package.digest, lock, code.digest if code else None)
    layout.attach(package, card, CARD_TYPE, title="MODEL_CARD.md")
    bill = make_bill(version, made, package.digest, lock, at=now)
    layout.attach(package, bill, BILL_TYPE, title="bom.cdx.json")
    if keys is not None:
        statement = make_provenance(
            made, package.digest, _materials(workspace, version), started=started, finished=now
        )
        sealed = keys.seal(statement, PAYLOAD_TYPE)
        layout.attach(package, sealed, PROVENANCE_TYPE, title="provenance.dsse.json")


def _materials(workspace: Workspace, version: ServableVersion) -> dict[str, str]:
    """Name what went in: files, code and data, with their digests where they are known."""
    origin = version.origin
    found = {"files": version.digest}
    if origin.snapshot is not None:
        found["code"] = origin.snapshot
    if origin.dataset is not None:
        try:
            digest = workspace.service(Datasets).resolve(version.project, origin.dataset).digest
        except NoriaError:
            digest = ""  # it may be gone, or hidden from whoever builds
        found[f"dataset:{origin.dataset}"] = digest
    if origin.run_id is not None:
        found[f"run:{origin.run_id}"] = ""
    return found
