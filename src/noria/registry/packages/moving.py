"""Copy a package with what refers to it, between layouts and registries; its digest stays the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.outbound.entities import OutboundSection
from noria.registry.packages.credentials import Keychain
from noria.registry.packages.entities import (
    ATTACHED_LIMIT_BYTES,
    BILL_TYPE,
    CARD_TYPE,
    CONFIG_LIMIT_BYTES,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_TYPE,
    MOST_LAYERS,
    PACKAGE_TYPE,
    PROVENANCE_TYPE,
    REF_NAME,
    REPORT_TYPE,
    SIGNED_TYPE,
    Descriptor,
    ImageManifest,
)
from noria.registry.packages.errors import PackageAltered, PackageInvalid, PackageNotFound
from noria.registry.packages.layout import Layout, blob_path, read_document
from noria.registry.packages.references import RegistryPlace
from noria.registry.packages.registries import Registry
from noria.registry.packages.verify import Trust, check_signed

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

KNOWN: Final = frozenset({SIGNED_TYPE, PROVENANCE_TYPE, BILL_TYPE, CARD_TYPE, REPORT_TYPE})
"""Kinds of referrers that travel with a package."""
MOST_REFERRERS: Final = 100


def registry_of(workspace: Workspace, place: RegistryPlace) -> Registry:
    """Give the registry of a place, as the settings let it be called."""
    from noria.core.outbound.client import Outbound

    outbound = Outbound(workspace.settings.section("outbound", OutboundSection), workspace.clock)
    return Registry(place, outbound, Keychain(place.host, os.environ))


def push(layout: Layout, package: Descriptor, registry: Registry, tag: str | None) -> Descriptor:
    """Send a package with what refers to it; blobs that the registry has are not sent again."""
    manifest = layout.manifest(package)
    _push_manifest(layout, package, manifest, registry, tag)
    for descriptor, referrer in layout.referrers(package.digest):
        lists_them = _push_manifest(layout, descriptor, referrer, registry, None)
        if not lists_them:
            told = msgspec.structs.replace(descriptor, artifact_type=referrer.artifact_type)
            registry.add_referrer(package.digest, told)
    return package


def pull(registry: Registry, layout: Layout, trust: Trust) -> Descriptor:
    """Fetch a package with what refers to it. Its layers are fetched once its signature was found good.

    Raises
    ------
    PackageNotFound
        If the registry does not have it.
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong, PackageAltered, PackageInvalid
        As `verify_package`.
    """
    place = registry.place
    wanted = place.digest or place.tag or "latest"
    found = registry.manifest(wanted)
    if found is None:
        raise PackageNotFound(
            f"`{place.name}` has no package `{wanted}`",
            hint="Name the tag or digest that it was pushed under: `oci://host/repository:tag`",
        )
    data, _ = found
    manifest = read_document(data, ImageManifest, "manifest")
    if manifest.artifact_type != PACKAGE_TYPE:
        raise PackageInvalid(
            f"`{place.name}` has something else under `{wanted}`: of the type "
            f"`{manifest.artifact_type or manifest.config.media_type}`"
        )
    package = layout.add_manifest_bytes(data, manifest, {REF_NAME: wanted})
    for each in registry.referrers(package.digest)[:MOST_REFERRERS]:
        _pull_referrer(registry, layout, each, package.digest)
    check_signed(layout, package, layout.referrers(package.digest), trust.keys)
    _check_sizes(manifest, trust)
    for blob in (manifest.config, *manifest.layers):
        _pull_blob(registry, layout, blob)
    return package


def copy(source: Layout, package: Descriptor, target: Layout) -> Descriptor:
    """Copy a package with what refers to it from one layout to another."""
    manifests = [(package, source.manifest(package)), *source.referrers(package.digest)]
    for descriptor, manifest in manifests:
        for blob in (manifest.config, *manifest.layers):
            if not (target.folder / blob_path(blob.digest)).exists():
                target.add_stream(source.stream(blob), blob.media_type)
        target.add_manifest_bytes(
            source.read(descriptor, MANIFEST_LIMIT_BYTES), manifest, descriptor.annotations
        )
    return package


def _push_manifest(
    layout: Layout, descriptor: Descriptor, manifest: ImageManifest, registry: Registry, tag: str | None
) -> bool:
    for blob in {each.digest: each for each in (manifest.config, *manifest.layers)}.values():
        if not registry.has_blob(blob.digest):
            registry.put_blob(blob, layout.stream(blob))
    data = layout.read(descriptor, MANIFEST_LIMIT_BYTES)
    return registry.put_manifest(tag or descriptor.digest, data, MANIFEST_TYPE)


def _pull_referrer(registry: Registry, layout: Layout, told: Descriptor, package: str) -> None:
    if told.media_type != MANIFEST_TYPE or (told.artifact_type or "") not in {*KNOWN, ""}:
        return
    found = registry.manifest(told.digest)
    if found is None:
        return
    manifest = read_document(found[0], ImageManifest, "manifest")
    fits = manifest.subject is not None and manifest.subject.digest == package
    small = all(each.size <= ATTACHED_LIMIT_BYTES for each in (manifest.config, *manifest.layers))
    if manifest.artifact_type not in KNOWN or not fits or not small or len(manifest.layers) != 1:
        return
    for blob in (manifest.config, *manifest.layers):
        _pull_blob(registry, layout, blob)
    layout.add_manifest_bytes(found[0], manifest, {})


def _pull_blob(registry: Registry, layout: Layout, blob: Descriptor) -> None:
    path = layout.folder / blob_path(blob.digest)
    if path.exists():
        return  # its bytes are checked when it is read
    added = layout.add_stream(registry.blob(blob), blob.media_type)
    if added.digest != blob.digest:
        (layout.folder / blob_path(added.digest)).unlink(missing_ok=True)
        raise PackageAltered(
            f"`{registry.place.name}` gave other bytes for `{blob.title or blob.digest}`",
            hint="Pull again; if it stays so, push the package again",
        )


def _check_sizes(manifest: ImageManifest, trust: Trust) -> None:
    size = manifest.config.size + sum(each.size for each in manifest.layers)
    if manifest.config.size > CONFIG_LIMIT_BYTES or len(manifest.layers) > MOST_LAYERS:
        raise PackageInvalid("The package has more files, or a larger configuration, than any has")
    if size > trust.largest_bytes:
        raise PackageInvalid(
            f"The package has {size} bytes; the limit is {trust.largest_bytes}",
            hint="If it is right, set `largest_gb` in `[packages]` of `noria.toml`",
        )
