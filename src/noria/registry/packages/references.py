"""How a package is named: a folder, a place in a registry of OCI, a digest or a version of this workspace."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noria.core.errors import Invalid
from noria.registry.packages.layout import MARKER_FILE

SCHEMES: Final = ("oci://", "oci+http://")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPlace:
    """A repository of a registry, and what is meant in it.

    Attributes
    ----------
    host
        With its port.
    tag, digest
        Either may be None; the digest counts.
    plain
        Whether it is spoken to without TLS.
    """

    host: str
    repository: str
    tag: str | None
    digest: str | None
    plain: bool

    @property
    def base(self) -> str:
        """Address below which the repository answers."""
        return f"{'http' if self.plain else 'https'}://{self.host}/v2/{self.repository}"

    @property
    def name(self) -> str:
        """Host and repository."""
        return f"{self.host}/{self.repository}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderPlace:
    """A layout in a folder; the digest may be None when it holds one package."""

    folder: Path
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacePlace:
    """A package that the workspace holds: by its digest, or the newest one of `model@version`."""

    ref: str

    @property
    def is_digest(self) -> bool:
        """Whether `ref` is the digest of a package."""
        return _DIGEST.fullmatch(self.ref) is not None


Place = RegistryPlace | FolderPlace | WorkspacePlace


def is_package(reference: str) -> bool:
    """Tell whether `noria serve` means a package by this, rather than a model of the registry.

    Examples
    --------
    >>> is_package("oci://models.example/digits:3"), is_package("./digits"), is_package("digits@champion")
    (True, True, False)
    """
    if reference.startswith(SCHEMES) or _DIGEST.fullmatch(reference):
        return True
    return _looks_like_folder(_split_digest(reference)[0])


def parse_place(reference: str) -> Place:
    """Tell where a package is.

    Raises
    ------
    Invalid
        If the text names no place; the message says which part is wrong.

    Examples
    --------
    >>> place = parse_place("oci://127.0.0.1:5000/team/digits:3")
    >>> place.base, place.tag
    ('http://127.0.0.1:5000/v2/team/digits', '3')
    """
    for scheme in SCHEMES:
        if reference.startswith(scheme):
            return _registry(reference, reference.removeprefix(scheme), plain=scheme == "oci+http://")
    if _DIGEST.fullmatch(reference):
        return WorkspacePlace(ref=reference)
    path, digest = _split_digest(reference)
    if _looks_like_folder(path):
        return FolderPlace(folder=Path(path).expanduser(), digest=digest)
    if not reference or digest is not None:
        raise Invalid(
            f"`{reference[:200]}` names no package",
            hint="Give a folder (`./digits`), a place in a registry (`oci://host/repository:tag`), or `MODEL@VERSION`",
        )
    return WorkspacePlace(ref=reference)


def _registry(reference: str, rest: str, *, plain: bool) -> RegistryPlace:
    named, digest = _split_digest(rest)
    host, _, path = named.partition("/")
    repository, colon, tag = path.partition(":")
    faults = [
        (not _HOST.fullmatch(host), f"`{host[:100]}` is no host"),
        ("@" in path, f"`{path.rpartition('@')[2][:100]}` is no digest"),
        (
            not _REPOSITORY.fullmatch(repository) or len(repository) > 255,
            f"`{repository[:100]}` is no repository",
        ),
        (bool(colon) and not _TAG.fullmatch(tag), f"`{tag[:100]}` is no tag"),
    ]
    for is_wrong, fault in faults:
        if is_wrong:
            raise Invalid(
                f"`{reference[:200]}` names no place in a registry: {fault}",
                hint="Write `oci://host/repository:tag`, in small letters",
            )
    name = host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host
    return RegistryPlace(
        host=host,
        repository=repository,
        tag=tag or None,
        digest=digest,
        plain=plain or name in _LOOPBACK,
    )


def _split_digest(text: str) -> tuple[str, str | None]:
    path, at, digest = text.rpartition("@")
    return (path, digest) if at and _DIGEST.fullmatch(digest) else (text, None)


def _looks_like_folder(path: str) -> bool:
    return path.startswith((".", "/", "~")) or (bool(path) and (Path(path) / MARKER_FILE).is_file())
