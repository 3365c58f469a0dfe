"""An archive, a folder or what lies at an address as the next version of a dataset."""

from __future__ import annotations

import hashlib
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from noria.core.errors import Invalid, NotFound, Unavailable
from noria.core.objects.disk import storage_errors
from noria.core.objects.sources import TEMPORARY_PREFIX
from noria.data.client import dataset
from noria.data.trees.addresses import without_secrets
from noria.data.trees.archives import is_archive, stem, unpack_archive
from noria.data.trees.changes import absolute
from noria.data.trees.stat_index import StatIndex

if TYPE_CHECKING:
    from noria.core.objects.store import Progress
    from noria.core.workspace import Workspace
    from noria.data.entities import DatasetVersion

_TIMEOUT_S: Final = 30.0
_MOST_REDIRECTS: Final = 10
_HASH_DIGITS: Final = 64
_IN_ADDRESSES: Final = "%/:=&?~#+!$,;'@()*[]"


class ImportMismatch(Invalid):
    """What came is not what was announced: by its size or by its hash."""

    code = "import_mismatch"


def import_source(
    workspace: Workspace,
    source: str,
    *,
    name: str | None = None,
    message: str = "",
    sha256: str | None = None,
    unpack: bool = True,
    progress: Progress | None = None,
) -> DatasetVersion:
    """Store a source as the next version.

    Parameters
    ----------
    source
        An archive, a file or a folder on this machine, or an `http(s)://` address of an archive or a file.
    name
        The dataset; when left out, the last part of the source without the ending of an archive.
    sha256
        What the bytes of the archive or file must have.
    unpack
        Whether archives are taken apart.

    Raises
    ------
    NotFound, Invalid
        If there is no such source.
    ImportMismatch
        If its size or its hash is not as announced; nothing is stored.
    ArchiveInvalid, PathRefused
        As `unpack_archive`; nothing is stored.
    Unavailable
        If the address does not answer.
    """
    if sha256 is not None and (len(sha256) != _HASH_DIGITS or set(sha256.lower()) - set("0123456789abcdef")):
        raise Invalid(f"`{sha256[:80]}` is no SHA-256", hint="Give its 64 hexadecimal digits")
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as scratch:
        found = _fetched(workspace, source, Path(scratch), sha256)
        chosen = name or stem(found.name)
        if unpack and found.is_file() and is_archive(found.name):
            unpacked = Path(scratch, "unpacked")
            unpack_archive(found, unpacked)
            found = unpacked
        words = message or f"from {without_secrets(source)}"
        added = dataset(chosen, workspace=workspace).add(found, message=words, progress=progress)
        if found.is_relative_to(scratch):
            StatIndex.of(workspace.settings).forget(absolute(found))
    return added


def _fetched(workspace: Workspace, source: str, scratch: Path, sha256: str | None) -> Path:
    if source.startswith(("http://", "https://")):
        return _download(workspace, source, scratch, sha256)
    if "://" in source and not source.startswith("file://"):
        raise Invalid(
            f"`{without_secrets(source)}` cannot be imported",
            hint="Give an archive, a folder, or an `http(s)://` address; for a bucket see `noria data remote`",
        )
    path = Path(source.removeprefix("file://"))
    if not path.exists():
        raise NotFound(f"There is no file or folder `{path}`", details={"path": str(path)})
    if sha256 is not None:
        if not path.is_file():
            raise Invalid(f"`{path}` is a folder, which has no SHA-256")
        with path.open("rb") as file:
            _check_hash(source, hashlib.file_digest(file, "sha256").hexdigest(), sha256)
    return path.resolve()


def _download(workspace: Workspace, url: str, scratch: Path, sha256: str | None) -> Path:
    parts = [part for part in unquote(urlsplit(url).path).split("/") if part not in ("", ".", "..")]
    target = scratch / (parts[-1].replace("\0", "")[:100] if parts else "data")
    hasher, n_bytes = hashlib.sha256(), 0
    with _answer(workspace, url) as (announced, chunks), storage_errors(scratch), target.open("wb") as file:
        for chunk in chunks:
            hasher.update(chunk)
            n_bytes += len(chunk)
            file.write(chunk)
    if announced is not None and announced != n_bytes:
        raise ImportMismatch(
            f"`{without_secrets(url)}` announced {announced} bytes and sent {n_bytes}", hint="Try again"
        )
    if sha256 is not None:
        _check_hash(url, hasher.hexdigest(), sha256)
    return target


@contextmanager
def _answer(workspace: Workspace, url: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
    from noria.core.outbound.addresses import AddressRefused
    from noria.core.outbound.client import Outbound, UrlInvalid
    from noria.core.outbound.entities import OutboundRequest, OutboundSection

    shown, (bare, headers) = without_secrets(url), _signed_in(url)
    section = workspace.settings.section("outbound", OutboundSection)
    request = OutboundRequest(
        method="GET", url=bare, headers=headers, timeout_s=_TIMEOUT_S, max_redirects=_MOST_REDIRECTS
    )
    try:
        # A person names the host on their own machine, so it may be an inner one; where it sends us to may not.
        with Outbound(section, workspace.clock).stream(request, trusted=urlsplit(bare).hostname) as answer:
            if not 200 <= answer.status < 300:
                raise NotFound(f"`{shown}` answered {answer.status}", hint="Check the address")
            length = answer.headers.get("content-length")
            is_plain = "content-encoding" not in answer.headers
            announced = int(length) if length and length.isdecimal() and is_plain else None
            yield announced, answer.chunks
    except UrlInvalid:
        raise Invalid(f"`{shown}` is no address of a file", hint="Write `https://host/path`") from None
    except AddressRefused as error:
        hint = f'If it may be, say so in `noria.toml`: `[outbound]` `allow = ["{error.details["host"]}"]`'
        raise Unavailable(f"`{shown}` cannot be fetched: {error.message}", hint=hint) from None
    except Unavailable as error:
        why = error.message.replace(bare, shown)  # which may hold secrets
        raise Unavailable(
            f"`{shown}` cannot be fetched: {why}", hint="Check the address, and try again"
        ) from None


def _signed_in(url: str) -> tuple[str, dict[str, str]]:
    """Give an address without user and password, in ASCII, and the headers that say who they are."""
    parts = urlsplit(url)
    around, _, host = parts.netloc.rpartition("@")
    bare = quote(urlunsplit(parts._replace(netloc=host, fragment="")), safe=_IN_ADDRESSES)
    if not around:
        return bare, {}
    token = b64encode(unquote(around).encode()).decode()
    return bare, {"authorization": f"Basic {token}"}


def _check_hash(source: str, actual: str, expected: str) -> None:
    if actual != expected.lower():
        raise ImportMismatch(
            f"`{without_secrets(source)}` has the SHA-256 `{actual}`, announced was `{expected.lower()}`",
            hint="Nothing was stored",
        )
