"""Packages of versions: kept, found, listed and removed with their versions; on each transport and database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.objects.references import ObjectNotInProject
from noria.core.workspace import Workspace
from noria.registry.packages import client
from noria.registry.packages.entities import NewPackage
from noria.registry.packages.errors import PackageInvalid, PackageNotFound
from noria.registry.packages.service import Packages
from noria.registry.rows import ModelVersionNotFound
from noria.registry.tables import packages as packages_table
from noria.registry.versions import ModelVersions
from noria.server.upkeep import remove_deleted
from support.packages import register_files

PROJECT = "default"


def test_packages_are_kept_found_and_removed_with_their_versions(
    workspace: Workspace, context: Context, tmp_path: Path
) -> None:
    """By digest, by version and in pages; what is no package of the version is refused, and nothing outlives it."""
    service = workspace.service(Packages)
    register_files(workspace, tmp_path / "one")
    register_files(workspace, tmp_path / "two", {"a": b"1"})
    with pytest.raises(PackageNotFound, match="No package of `iris@1` was built"):
        service.newest(PROJECT, "iris", 1)

    unsigned, _ = client.build(workspace, "iris@1", sign=False)
    first, _ = client.build(workspace, "iris@1")
    second, _ = client.build(workspace, "iris@2")

    assert (first.id, unsigned.key_id) == (unsigned.id, None)
    assert service.newest(PROJECT, "iris", 1) == service.get(PROJECT, first.digest) == first
    page = service.list(PROJECT, limit=1)
    assert page.items == [second]
    assert service.list(PROJECT, model="iris", before=page.next).items == [first]
    assert client.verify(workspace, first.digest).digest == first.digest
    for new, version, refused in (
        (NewPackage(digest=first.digest, layout=first.layout), 2, PackageInvalid),
        (NewPackage(digest=second.digest, layout=first.layout), 1, PackageInvalid),
        (NewPackage(digest=first.digest, layout="blake3:" + "0" * 64), 1, ObjectNotInProject),
        (NewPackage(digest=first.digest, layout=first.layout), 9, ModelVersionNotFound),
    ):
        with pytest.raises(refused):
            service.keep(PROJECT, "iris", version, new)

    workspace.service(ModelVersions).delete(PROJECT, "iris", 1)
    assert service.list(PROJECT).items == [second]
    with pytest.raises(PackageNotFound):
        service.get(PROJECT, first.digest)
    remove_deleted(context, older_than=timedelta())
    with context.database.read() as connection:
        left = connection.execute(sa.select(packages_table.c.digest)).scalars().all()
    assert left == [second.digest]
