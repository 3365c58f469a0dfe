"""Keep a whole tree for an owner: its manifest and every file that the manifest lists."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.clock import Clock
from noria.core.objects.references import add_reference
from noria.core.objects.store import ObjectReader
from noria.core.objects.trees import read_manifest


def add_tree_reference(
    connection: sa.Connection, clock: Clock, objects: ObjectReader, *, project: str, digest: str, owner: str
) -> None:
    """Keep the tree `digest` for `owner`.

    Raises
    ------
    ObjectNotInProject
        If the manifest or one of its files did not enter this project by upload: a manifest that names a foreign
        digest gives no access to it.
    ManifestInvalid
        If the object is no manifest.
    """
    add_reference(connection, clock, project=project, digest=digest, owner=owner)
    for entry in {entry.digest for entry in read_manifest(objects, digest).entries}:
        add_reference(connection, clock, project=project, digest=entry, owner=owner)
