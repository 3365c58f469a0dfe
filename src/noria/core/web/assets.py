"""The static files of the pages, each under an address that holds the digest of its content."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
from dataclasses import dataclass

ASSETS_PATH = "/static"
ASSET_HEADERS = {"cache-control": "public, max-age=31536000, immutable"}
"""A changed file has another address, so browsers may keep each for good."""

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
        As templates call it: `noria.css`.
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
    read = [_asset(entry.name, entry.read_bytes()) for entry in folder.iterdir()]
    return {asset.name: asset for asset in read}


def asset_path(name: str) -> str:
    """Give the address of a static file."""
    return f"{ASSETS_PATH}/{assets()[name].file}"


def find_asset(file: str) -> Asset | None:
    """Give the static file that has this last part in its address."""
    return next((asset for asset in assets().values() if asset.file == file), None)


def _asset(name: str, body: bytes) -> Asset:
    stem, _, kind = name.rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(name=name, file=f"{stem}.{digest}.{kind}", media_type=_MEDIA_TYPES[kind], body=body)
