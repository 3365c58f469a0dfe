"""An archive, a folder or what lies at an address as the next version of a dataset."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from noria.core.errors import Invalid, NotFound, Unavailable
from noria.core.objects.digests import CHUNK_BYTES
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
_HASH_DIGITS: Final = 64


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
        found = _fetched(source, Path(scratch), sha256)
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


def _fetched(source: str, scratch: Path, sha256: str | None) -> Path:
    if source.startswith(("http://", "https://")):
        return _download(source, scratch, sha256)
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


def _download(url: str, scratch: Path, sha256: str | None) -> Path:
    parts = [part for part in unquote(urlsplit(url).path).split("/") if part not in ("", ".", "..")]
    target = scratch / (parts[-1].replace("\0", "")[:100] if parts else "data")
    hasher, n_bytes = hashlib.sha256(), 0
    with _answer(url) as (announced, chunks), storage_errors(scratch), target.open("wb") as file:
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
def _answer(url: str) -> Iterator[tuple[int | None, Iterator[bytes]]]:
    import httpx

    shown = without_secrets(url)
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT_S) as response:
            if not response.is_success:
                raise NotFound(f"`{shown}` answered {response.status_code}", hint="Check the address")
            length = response.headers.get("content-length")
            is_plain = "content-encoding" not in response.headers
            announced = int(length) if length and length.isdecimal() and is_plain else None
            yield announced, response.iter_bytes(CHUNK_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = type(error).__name__  # its words may hold the address as it was given
        raise Unavailable(
            f"`{shown}` cannot be fetched: {why}", hint="Check the address, and try again"
        ) from None


def _check_hash(source: str, actual: str, expected: str) -> None:
    if actual != expected.lower():
        raise ImportMismatch(
            f"`{without_secrets(source)}` has the SHA-256 `{actual}`, announced was `{expected.lower()}`",
            hint="Nothing was stored",
        )
