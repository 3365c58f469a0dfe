"""The static files of the pages, each under an address that holds the digest of its content."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable

ASSETS_PATH = "/static"
ASSET_HEADERS = {"cache-control": "public, max-age=31536000, immutable"}
"""A changed file has another address, so browsers may keep each for good."""

LEAST_PACKED_BYTES = 1024
"""Smaller files are sent as they are."""

_JOINED = {"frame.js": ("keyboard.js", "parts.js")}
"""Files of which the server makes one: what every page needs comes by one request."""

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A static file.

    Attributes
    ----------
    name
        As templates call it: `noria.css`, `vendor/plotly.min.js`.
    file
        Last part of its address: `noria.3f2a9c1d0b7e.css`.
    """

    name: str
    file: str
    media_type: str
    body: bytes


@functools.cache
def assets() -> dict[str, Asset]:
    """Read the static files; by name."""
    folder = importlib.resources.files(__package__) / "static"
    own = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    for name, parts in _JOINED.items():
        own[name] = b"".join(own.pop(part) for part in parts)
    made = [_asset(name, body) for name, body in own.items()]
    return {asset.name: asset for asset in [*made, *_vendor(folder / "vendor")]}


def _vendor(folder: Traversable) -> list[Asset]:
    """Read the scripts of others, which the build puts there (`hatch_build.py`) where it can."""
    if not folder.is_dir():
        return []
    return [
        _asset(f"vendor/{entry.name}", entry.read_bytes())
        for entry in folder.iterdir()
        if entry.name.endswith(".js")
    ]


def has_asset(name: str) -> bool:
    """Tell whether there is such a file: a script of others is there only if the build could get it."""
    return name in assets()


@functools.cache
def gzipped(file: str) -> bytes | None:
    """Give a static file packed by gzip, or None where there is no such file or packing would gain nothing.

    Parameters
    ----------
    file
        Last part of its address.
    """
    asset = find_asset(file)
    if asset is None or len(asset.body) < LEAST_PACKED_BYTES:
        return None
    return gzip.compress(asset.body, 6, mtime=0)


def asset_path(name: str) -> str:
    """Give the address of a static file."""
    return f"{ASSETS_PATH}/{assets()[name].file}"


def find_asset(file: str) -> Asset | None:
    """Give the static file that has this last part in its address."""
    return next((asset for asset in assets().values() if asset.file == file), None)


def _asset(name: str, body: bytes) -> Asset:
    stem, _, kind = name.rpartition("/")[2].rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(name=name, file=f"{stem}.{digest}.{kind}", media_type=_MEDIA_TYPES[kind], body=body)
