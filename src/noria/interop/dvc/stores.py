"""Where the bytes of an MD5 are: DVC's caches on this machine, and its remotes in folders and buckets."""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

from noria.core.objects.bucket import SCHEMES, open_bucket
from noria.core.objects.digests import CHUNK_BYTES
from noria.core.objects.disk import storage_errors
from noria.interop.dvc.entities import FOLDER_SUFFIX, DvcContentCorrupt, DvcContentMissing

if TYPE_CHECKING:
    from noria.core.objects.bucket import Bucket

_REMOTE = re.compile(r"""'?remote "(?P<name>[^"]+)"'?""")
_LAYOUTS: Final = ("files/md5/", "")
"""Of DVC 3, and of the versions before."""

_TEXT_LOOK_BYTES: Final = 512
_PIECE_BYTES: Final = 4 * 1024 * 1024


class Store(Protocol):
    """A place that may hold the bytes of an MD5."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def write(self, md5: str, target: Path) -> bool:
        """Write the bytes to a new file, unchecked; False if they are not there."""
        ...


class FolderStore:
    """A cache, or a remote in a folder of this machine."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name

    def write(self, md5: str, target: Path) -> bool:
        """Link the file where that can be, else copy it."""
        for layout in _LAYOUTS:
            place = self._folder / layout / md5[:2] / md5[2:]
            if place.is_file() and not place.is_symlink():
                _link_or_copy(place, target)
                return True
        return False


class BucketStore:
    """A remote in a bucket."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self.name = name

    def write(self, md5: str, target: Path) -> bool:
        """Download the object."""
        for layout in _LAYOUTS:
            key = f"{layout}{md5[:2]}/{md5[2:]}"
            stored = self._bucket.head(key)
            if stored is not None:
                self._download(key, stored.size_bytes, target)
                return True
        return False

    def _download(self, key: str, size_bytes: int, target: Path) -> None:
        with storage_errors(target.parent), target.open("xb") as file:
            for start in range(0, size_bytes, _PIECE_BYTES):
                found = self._bucket.read(key, start=start, length=min(_PIECE_BYTES, size_bytes - start))
                file.write(found[0] if found else b"")


class Stores:
    """All places of a repository, the nearest first.

    Attributes
    ----------
    unreachable
        Remotes of kinds that are not read here: `name (kind)`.
    """

    def __init__(self, stores: Sequence[Store], unreachable: Sequence[str] = ()) -> None:
        self._stores = tuple(stores)
        self.unreachable = tuple(unreachable)

    def fetch(self, md5: str, target: Path) -> None:
        """Write the bytes of an MD5 to a new file, verified.

        Raises
        ------
        DvcContentMissing
            If no place has them.
        DvcContentCorrupt
            If those that have them have other bytes; the first is named.
        """
        damaged: DvcContentCorrupt | None = None
        for store in self._stores:
            if not store.write(md5, target):
                continue
            if _is_right(target, md5):
                return
            target.unlink()
            damaged = damaged or DvcContentCorrupt(
                f"The bytes of `{md5}` in {store.name} are others",
                hint="Mend it with `dvc fetch`, or remove the file there and import again",
            )
        if damaged:
            raise damaged
        away = f"; not looked into: {', '.join(self.unreachable)}" if self.unreachable else ""
        raise DvcContentMissing(
            f"`{md5}` is in none of {', '.join(store.name for store in self._stores)}{away}",
            hint="Run `dvc fetch --all-commits` where its remote can be reached, and import again",
        )


def open_stores(root: Path) -> Stores:
    """Find the cache and the remotes that a repository is set up with.

    Raises
    ------
    ConfigInvalid
        If a remote is a bucket and obstore is not installed.
    """
    settings = _settings(root / ".dvc")
    cache = settings.get("cache", {}).get("dir")
    folder = _local(root / ".dvc", cache) if cache else root / ".dvc" / "cache"
    stores: list[Store] = [FolderStore(folder, "the cache")]
    unreachable: list[str] = []
    for name, url in _remotes(settings):
        kind = urlsplit(url).scheme if "://" in url else "file"
        scheme = {"azure": "az", "gcs": "gs"}.get(kind, kind)
        if kind == "file":
            path = unquote(urlsplit(url).path) if "://" in url else url
            stores.append(FolderStore(_local(root / ".dvc", path), f"the remote `{name}`"))
        elif scheme in SCHEMES:
            stores.append(BucketStore(open_bucket(url.replace(kind, scheme, 1)), f"the remote `{name}`"))
        else:
            unreachable.append(f"`{name}` ({kind})")
    return Stores(stores, unreachable)


def _settings(folder: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    for name in ("config", "config.local"):
        try:
            parser.read_string((folder / name).read_text())
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # DVC works without; what is missing then is told by name
    return {section: dict(parser[section]) for section in parser.sections()}


def _remotes(settings: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Give names and addresses, the default first."""
    found = {}
    for section, options in settings.items():
        match = _REMOTE.fullmatch(section)
        if match and options.get("url"):
            found[match["name"]] = options["url"]
    default = settings.get("core", {}).get("remote", "")
    for name in sorted(found, key=lambda each: each != default):
        url = found[name]
        base, _, rest = url.removeprefix("remote://").partition("/")
        if url.startswith("remote://") and base in found:
            url = f"{found[base].rstrip('/')}/{rest}"
        yield name, url


def _local(folder: Path, path: str) -> Path:
    return Path(os.path.normpath(folder / Path(path).expanduser()))


def _link_or_copy(place: Path, target: Path) -> None:
    with storage_errors(target.parent):
        try:
            target.hardlink_to(place)
        except OSError:  # another file system, or one without links
            shutil.copyfile(place, target)


def _is_right(place: Path, md5: str) -> bool:
    wanted = md5.removesuffix(FOLDER_SUFFIX)
    with storage_errors(place), place.open("rb") as file:
        if hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == wanted:
            return True
        # Before version 3, DVC took the hash of texts with the line ends of Unix.
        file.seek(0)
        return _is_text(file.read(_TEXT_LOOK_BYTES)) and _unix_md5(place) == wanted


def _is_text(beginning: bytes) -> bool:
    return b"\0" not in beginning


def _unix_md5(place: Path) -> str:
    hasher = hashlib.md5(usedforsecurity=False)
    held = b""
    with place.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            text = held + chunk
            held = b"\r" if text.endswith(b"\r") else b""
            hasher.update(text[: len(text) - len(held)].replace(b"\r\n", b"\n"))
    hasher.update(held)
    return hasher.hexdigest()
