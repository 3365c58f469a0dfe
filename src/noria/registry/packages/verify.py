"""Verify a package before anything of it is used: who signed it, and that every byte is what was signed.

The order matters. The signature comes first, so that nothing of a package by a stranger is looked at; then sizes, so
that nothing large is read that is too large; then the bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noria.core.errors import NoriaError
from noria.core.objects.archives import ArchiveLimits
from noria.core.objects.digests import Hasher, hash_bytes
from noria.core.objects.paths import check_path
from noria.core.objects.trees import EXECUTABLE_MODE, FILE_MODE, Entry, make_manifest
from noria.core.serialisation import to_canonical_json
from noria.registry.entities import Signature
from noria.registry.packages.entities import (
    ATTACHED_LIMIT_BYTES,
    CODE_FILE,
    CODE_TYPE,
    CONFIG_LIMIT_BYTES,
    CONFIG_TYPE,
    EXECUTABLE,
    FILE_TYPE,
    GIBIBYTE,
    GOLDEN_TYPE,
    LOCK_FILE,
    LOCK_TYPE,
    MODEL_FOLDER,
    MOST_LAYERS,
    PACKAGE_TYPE,
    PROFILE_TYPE,
    PROVENANCE_TYPE,
    REFERENCE_TYPE,
    SIGNATURE_FILE,
    SIGNATURE_TYPE,
    SIGNED_TYPE,
    Descriptor,
    ImageManifest,
    Made,
    PackageConfig,
    PackagesSection,
    Verified,
)
from noria.registry.packages.errors import (
    LockIncomplete,
    PackageAltered,
    PackageInvalid,
    PackageKeyForeign,
    PackageUnsigned,
)
from noria.registry.packages.layout import Layout, blob_path, read_document
from noria.registry.packages.provenance import read_provenance
from noria.registry.packages.pylock import read_incomplete
from noria.registry.packages.signing import Vouched, open_envelope

CODE_LIMITS: Final = ArchiveLimits(
    n_members=20_000, member_bytes=4 * 1024 * 1024, total_bytes=64 * 1024 * 1024
)
MODEL_TYPES: Final = frozenset({FILE_TYPE, PROFILE_TYPE, GOLDEN_TYPE, REFERENCE_TYPE})
_OTHERS: Final = {CODE_FILE: CODE_TYPE, LOCK_FILE: LOCK_TYPE, SIGNATURE_FILE: SIGNATURE_TYPE}
_SIGNATURE: Final = "signature of the package"
_NEEDED: Final = (LOCK_FILE, SIGNATURE_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom and how much a workspace trusts.

    Attributes
    ----------
    keys
        Public keys by name.
    largest_bytes
        Of a package, packed or unpacked.
    complete_lock
        Whether an incomplete lock is refused.
    """

    keys: Mapping[str, str]
    largest_bytes: int = 8 * GIBIBYTE
    complete_lock: bool = False

    @classmethod
    def of(cls, section: PackagesSection, keys: Mapping[str, str]) -> Trust:
        """Read the settings."""
        return cls(
            keys=keys,
            largest_bytes=int(section.largest_gb * GIBIBYTE),
            complete_lock=section.complete_lock,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A package whose manifest is signed and fits together; its layers are not read yet.

    Attributes
    ----------
    layers
        By title.
    made
        None when it has no provenance by a trusted key.
    """

    layout: Layout
    descriptor: Descriptor
    manifest: ImageManifest
    config: PackageConfig
    layers: Mapping[str, Descriptor]
    signature: Signature
    lock_incomplete: str | None
    vouched: Vouched
    made: Made | None
    attached: list[str]

    @property
    def model_files(self) -> dict[str, Descriptor]:
        """Layers of the model by the paths that they have in the version's tree."""
        return {
            title.removeprefix(MODEL_FOLDER): each
            for title, each in self.layers.items()
            if each.media_type in MODEL_TYPES
        }

    def told(self) -> Verified:
        """Say what was found."""
        return Verified(
            digest=self.descriptor.digest,
            model=self.config.model,
            version=self.made.version if self.made else None,
            format=self.config.format,
            signed_by=self.vouched.signed_by,
            key_id=self.vouched.key_id,
            lock_incomplete=self.lock_incomplete,
            n_files=len(self.layers),
            size_bytes=sum(each.size for each in self.layers.values()),
            attached=self.attached,
        )


def verify_package(layout: Layout, descriptor: Descriptor, trust: Trust) -> Verified:
    """Verify a package whole, every byte of it.

    Raises
    ------
    PackageUnsigned, PackageKeyForeign, PackageSignatureWrong
        If nobody whom this workspace trusts vouches for it.
    PackageAltered
        If bytes are not what was signed.
    PackageInvalid, PathRefused
        If its parts do not fit together, could lead out of its folder, or are larger than the settings allow.
    LockIncomplete
        If its lock is, and the settings refuse that.
    """
    checked = check_package(layout, descriptor, trust)
    entries = []
    for path, layer in checked.model_files.items():
        hasher = Hasher()
        for chunk in layout.stream(layer):
            hasher.update(chunk)
        entries.append(entry_of(path, layer, hasher))
        check_zip(layout.folder / blob_path(layer.digest), path, trust.largest_bytes)
    for layer in checked.layers.values():
        if layer.media_type not in MODEL_TYPES:
            for _ in layout.stream(layer):
                pass
    check_tree(checked.config, entries)
    return checked.told()


def check_package(layout: Layout, descriptor: Descriptor, trust: Trust) -> Checked:
    """Check all of a package but the bytes of its large layers; raises as `verify_package`."""
    manifest = layout.manifest(descriptor)
    if manifest.artifact_type != PACKAGE_TYPE or manifest.config.media_type != CONFIG_TYPE:
        raise PackageInvalid(
            f"`{descriptor.digest}` is no package: it is of the type "
            f"`{manifest.artifact_type or manifest.config.media_type}`"
        )
    referrers = layout.referrers(descriptor.digest)
    vouched = check_signed(layout, descriptor, referrers, trust.keys)
    layers = _layers(manifest, trust.largest_bytes)
    config = read_document(layout.read(manifest.config, CONFIG_LIMIT_BYTES), PackageConfig, "configuration")
    incomplete = read_incomplete(layout.read(layers[LOCK_FILE], ATTACHED_LIMIT_BYTES))
    if config.lock_complete is not (incomplete is None):
        raise PackageInvalid("The lock of the package is not what its configuration says")
    if trust.complete_lock and incomplete is not None:
        raise LockIncomplete(
            f"The lock of the package is incomplete: {incomplete}",
            hint="Build it again where an index can be reached, or set `complete_lock = false` in `[packages]`",
        )
    if (config.code is None) == (CODE_FILE in layers):
        raise PackageInvalid("The code of the package is not what its configuration says")
    return Checked(
        layout=layout,
        descriptor=descriptor,
        manifest=manifest,
        config=config,
        layers=layers,
        signature=read_document(
            layout.read(layers[SIGNATURE_FILE], CONFIG_LIMIT_BYTES), Signature, "signature"
        ),
        lock_incomplete=incomplete,
        vouched=vouched,
        made=_made(layout, descriptor, referrers, trust.keys),
        attached=sorted({each.artifact_type or "" for _, each in referrers}),
    )


def check_zip(path: Path, title: str, limit_bytes: int) -> None:
    """Refuse a file that unpacks to more than is allowed; one that is no ZIP file is as large as it is.

    The sizes that a ZIP file declares bind its readers: none reads further.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as opened:
            unpacked = sum(member.file_size for member in opened.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise PackageInvalid(f"`{title}` of the package is a broken ZIP file: {error}") from error
    if unpacked > limit_bytes:
        raise PackageInvalid(
            f"`{title}` of the package unpacks to {unpacked} bytes; the limit is {limit_bytes}",
            hint="If it is right, set `largest_gb` in `[packages]` of `noria.toml`",
        )


def entry_of(path: str, layer: Descriptor, hasher: Hasher) -> Entry:
    """Give the entry of a file in the version's tree."""
    return Entry(
        path=path,
        digest=hasher.digest(),
        size_bytes=hasher.size_bytes,
        mode=EXECUTABLE_MODE if layer.annotations.get(EXECUTABLE) == "true" else FILE_MODE,
    )


def check_tree(config: PackageConfig, entries: list[Entry]) -> None:
    """Refuse files that are not the tree of the version; raises `PackageAltered`."""
    actual = hash_bytes(to_canonical_json(make_manifest(entries, config.empty_folders)))
    if actual != config.files:
        raise PackageAltered(
            "The files of the package are not those of the version that it names",
            details={"expected": config.files, "actual": actual},
        )


def check_signed(
    layout: Layout,
    descriptor: Descriptor,
    referrers: list[tuple[Descriptor, ImageManifest]],
    keys: Mapping[str, str],
) -> Vouched:
    """Find a signature over the manifest by a trusted key; raises as `verify_package`."""
    signatures = [each for _, each in referrers if each.artifact_type == SIGNED_TYPE]
    if not signatures:
        raise PackageUnsigned(
            f"Nobody has signed the package `{descriptor.digest}`",
            hint="Let whoever built it sign it: `noria packages sign PACKAGE`",
            details={"digest": descriptor.digest},
        )
    failures: list[NoriaError] = []
    for each in signatures:
        try:
            return _over(open_envelope(_document(layout, each), keys, _SIGNATURE), layout, descriptor)
        except NoriaError as error:
            failures.append(error)
    # A signature by a stranger beside a broken one by somebody who is trusted is not what is wrong.
    raise next((each for each in failures if not isinstance(each, PackageKeyForeign)), failures[0])


def _over(vouched: Vouched, layout: Layout, descriptor: Descriptor) -> Vouched:
    """Refuse a good signature that is over another manifest."""
    if vouched.payload_type != descriptor.media_type or vouched.payload != layout.read(
        descriptor, descriptor.size
    ):
        raise PackageAltered(
            f"The signature is over another package than `{descriptor.digest}`",
            hint="Do not use it; fetch the package again from whoever made it",
        )
    return vouched


def _made(
    layout: Layout,
    descriptor: Descriptor,
    referrers: list[tuple[Descriptor, ImageManifest]],
    keys: Mapping[str, str],
) -> Made | None:
    """Read the provenance by a trusted key; one by a stranger says nothing, and is no fault of the package."""
    for _, each in referrers:
        if each.artifact_type == PROVENANCE_TYPE:
            try:
                vouched = open_envelope(_document(layout, each), keys, "provenance of the package")
            except PackageKeyForeign:
                continue
            return read_provenance(vouched, descriptor.digest)
    return None


def _document(layout: Layout, manifest: ImageManifest) -> bytes:
    if len(manifest.layers) != 1:
        raise PackageInvalid(f"What is attached as `{manifest.artifact_type}` has not one part")
    return layout.read(manifest.layers[0], ATTACHED_LIMIT_BYTES)


def _layers(manifest: ImageManifest, limit_bytes: int) -> dict[str, Descriptor]:
    if len(manifest.layers) > MOST_LAYERS:
        raise PackageInvalid(f"The package has {len(manifest.layers)} files; the limit is {MOST_LAYERS}")
    size = sum(each.size for each in manifest.layers)
    if size > limit_bytes:
        raise PackageInvalid(
            f"The package has {size} bytes; the limit is {limit_bytes}",
            hint="If it is right, set `largest_gb` in `[packages]` of `noria.toml`",
        )
    found: dict[str, Descriptor] = {}
    for each in manifest.layers:
        check_path(each.title)
        is_model = each.title.startswith(MODEL_FOLDER) and each.media_type in MODEL_TYPES
        if each.title in found or not (is_model or _OTHERS.get(each.title) == each.media_type):
            raise PackageInvalid(
                f"The package has the file `{each.title}` twice, or as `{each.media_type}`, which it is not"
            )
        found[each.title] = each
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise PackageInvalid(f"The package has no `{missing[0]}`")
    return found
