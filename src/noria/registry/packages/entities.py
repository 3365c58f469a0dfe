"""The parts of a package: descriptors and manifests of OCI, our configuration, and what is told of a package."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from noria.core.config import Section
from noria.registry.entities import Holdout, Origin, Task

Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$", max_length=71)]
"""A digest as OCI writes it; its length keeps out the line end that `$` would allow."""

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"

PACKAGE_TYPE: Final = "application/vnd.noria.package.v1"
CONFIG_TYPE: Final = "application/vnd.noria.package.config.v1+json"
FILE_TYPE: Final = "application/vnd.noria.model.file.v1"
PROFILE_TYPE: Final = "application/vnd.noria.profile.v1+json"
GOLDEN_TYPE: Final = "application/vnd.noria.golden.v1+npz"
REFERENCE_TYPE: Final = "application/vnd.noria.reference.v1+npz"
SIGNATURE_TYPE: Final = "application/vnd.noria.signature.v1+json"
CODE_TYPE: Final = "application/vnd.noria.code.v1.tar"
LOCK_TYPE: Final = "application/vnd.noria.pylock.v1+toml"

SIGNED_TYPE: Final = "application/vnd.noria.package.signature.v1+json"
PROVENANCE_TYPE: Final = "application/vnd.in-toto.provenance+dsse"
BILL_TYPE: Final = "application/vnd.cyclonedx+json"
CARD_TYPE: Final = "text/markdown"
REPORT_TYPE: Final = "application/vnd.noria.validation.v1+json"

TITLE: Final = "org.opencontainers.image.title"
REF_NAME: Final = "org.opencontainers.image.ref.name"
EXECUTABLE: Final = "noria.executable"

MODEL_FOLDER: Final = "model/"
CODE_FILE: Final = "code.tar"
LOCK_FILE: Final = "pylock.toml"
SIGNATURE_FILE: Final = "signature.json"

MOST_LAYERS: Final = 1_000
MANIFEST_LIMIT_BYTES: Final = 4 << 20
"""What registries take as a manifest at most."""
CONFIG_LIMIT_BYTES: Final = 1 << 20
ATTACHED_LIMIT_BYTES: Final = 32 << 20
"""Largest report, bill or signature that is read."""
GIBIBYTE: Final = 1 << 30


class PackagesSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[packages]`: whose packages are loaded, and how large they may be.

    Attributes
    ----------
    trusted_keys
        Public keys by the name of their holder, as `noria packages keys` prints them. This workspace's own key is
        trusted without being named.
    largest_gb
        Most gigabytes of a package, packed or unpacked.
    complete_lock
        Whether packages whose lock is incomplete are refused.
    """

    trusted_keys: dict[str, str] = msgspec.field(default_factory=dict)
    largest_gb: Annotated[float, msgspec.Meta(gt=0)] = 8.0
    complete_lock: bool = False


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What names some bytes of a layout or registry.

    Attributes
    ----------
    size
        In bytes.
    """

    media_type: str
    digest: Sha256
    size: Annotated[int, msgspec.Meta(ge=0)]
    artifact_type: str | None = None
    annotations: dict[str, str] = {}

    @property
    def title(self) -> str:
        """Path of the file that these bytes are; empty when none is told."""
        return self.annotations.get(TITLE, "")


class ImageManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A manifest of OCI: of a package, or of something that is attached to one (`subject`)."""

    schema_version: int
    media_type: str
    config: Descriptor
    layers: list[Descriptor]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class ImageIndex(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A list of manifests: `index.json` of a layout, or the referrers that a registry tells."""

    schema_version: int
    manifests: list[Descriptor]
    media_type: str | None = None


class PackageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of a model inside its package; holds no time and no number of a version.

    Attributes
    ----------
    files
        Digest of the tree of the model's files, as the registry knows the version by.
    lock_complete
        Whether the lock names every distribution with hashes.
    """

    model: str
    format: str
    task: Task
    classes: list[int | float | str | bool] | None
    flavor: str | None
    pickled: bool
    files: str
    empty_folders: list[str]
    code: str | None
    lock_complete: bool


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Where a package comes from, as its provenance tells it: what its digest leaves out.

    Attributes
    ----------
    version
        Number in the registry that it was built from.
    registered_at
        When that version was.
    """

    model: str
    version: int
    version_id: str
    project: str
    author: str
    message: str
    registered_at: datetime
    origin: Origin = Origin()
    holdout: Holdout | None = None
    metrics: dict[str, float] = {}


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """Something that refers to a package: its manifest, and what it is of."""

    kind: str
    manifest: Descriptor


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a package whose every byte is as its signature says.

    Attributes
    ----------
    signed_by
        Name of the trusted key.
    lock_incomplete
        Why the lock names not everything; None when it does.
    n_files, size_bytes
        Of the layers.
    attached
        Kinds of what refers to it.
    """

    digest: Sha256
    model: str
    version: int | None
    format: str
    signed_by: str
    key_id: str
    lock_incomplete: str | None
    n_files: int
    size_bytes: int
    attached: list[str]


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package that this workspace holds.

    Attributes
    ----------
    digest
        Of the manifest: the same wherever the package goes.
    layout
        Digest of the tree of the layout's files, in the project's objects.
    lock_incomplete
        As that of `Verified`.
    key_id
        Key that signed it; None when nobody did.
    """

    id: str
    project: str
    model: str
    version: int
    digest: Sha256
    layout: str
    size_bytes: int
    lock_incomplete: str | None
    key_id: str | None
    author: str
    created_at: datetime

    @property
    def ref(self) -> str:
        """`model@version`."""
        return f"{self.model}@{self.version}"


class NewPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package to keep. The files of its layout were uploaded to the project before."""

    digest: Sha256
    layout: str
    author: str | None = None


class PackagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Packages, newest first; `next` continues."""

    items: list[Package]
    next: str | None


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that two packages do not share; sizes in bytes, None where it is not there."""

    path: str
    before: int | None
    after: int | None


class PackageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How two packages differ.

    Attributes
    ----------
    files
        Those that were added, removed or changed.
    config
        Values before and after, by field.
    distributions
        Versions in the lock before and after, by name.
    """

    before: str
    after: str
    files: list[FileChange]
    config: dict[str, tuple[Any, Any]]
    distributions: dict[str, tuple[str | None, str | None]]

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return self.before == self.after
