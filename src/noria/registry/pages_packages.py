"""Packages as the page of a version lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.web.pages import Visit
from noria.registry.entities import ModelVersion
from noria.registry.packages.entities import Package
from noria.registry.packages.reasons import words_of
from noria.registry.packages.service import Packages

MAX_PACKAGES: Final = 20
"""Packages that are listed, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRow:
    """A package of a version.

    Attributes
    ----------
    key_id
        Key that signed it; empty when nobody did.
    lock_words, lock_values
        Why its lock names not everything, to be translated, and what stands in its places; empty when it does.
    """

    digest: str
    key_id: str
    lock_words: str
    lock_values: Mapping[str, str]
    size_bytes: int
    created_at: datetime


def package_rows(visit: Visit, version: ModelVersion) -> tuple[PackageRow, ...]:
    """List the newest packages of a version."""
    found = visit.context.service(Packages).list(
        version.project, model=version.model, version=version.version, limit=MAX_PACKAGES
    )
    return tuple(_package(each) for each in found.items)


def _package(found: Package) -> PackageRow:
    words, values = words_of(found.lock_incomplete) if found.lock_incomplete else ("", {})
    return PackageRow(
        digest=found.digest,
        key_id=found.key_id or "",
        lock_words=words,
        lock_values=values,
        size_bytes=found.size_bytes,
        created_at=found.created_at,
    )
