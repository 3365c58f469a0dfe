"""The files of a tree as a page lists them: only of trees that are read quickly."""

from __future__ import annotations

from typing import Final

from noria.core.errors import NoriaError
from noria.core.objects.store import ObjectReader
from noria.core.objects.trees import read_manifest

MAX_MANIFEST_BYTES: Final = 512 * 1024
"""Of a list that is read for a page: about three thousand files."""


def list_files(store: ObjectReader, digest: str) -> tuple[tuple[str, int | None], ...] | None:
    """Give path and size of each file of a tree; None for one with too many, or that cannot be read.

    The caller has shown that they may read the tree.
    """
    try:
        if store.size(digest) > MAX_MANIFEST_BYTES:
            return None
        return tuple((entry.path, entry.size_bytes) for entry in read_manifest(store, digest).entries)
    except NoriaError:
        return None
