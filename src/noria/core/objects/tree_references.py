"""Keep a whole tree for an owner: its manifest, and with it every file that the manifest lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from noria.core.clock import Clock
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.objects.references import (
    ObjectNotInProject,
    add_reference,
    held_digests,
    object_references,
    object_trees,
)
from noria.core.objects.store import ObjectReader
from noria.core.objects.trees import Manifest, read_manifest

_PREFIX_CHARS = len("blake3:")


def add_tree_reference(
    connection: sa.Connection, clock: Clock, objects: ObjectReader, *, project: str, digest: str, owner: str
) -> Manifest:
    """Keep the tree `digest` for `owner`, and give its manifest.

    Raises
    ------
    ObjectNotInProject
        If the manifest or one of its files did not enter this project by upload: a manifest that names a foreign
        digest gives no access to it.
    ManifestInvalid
        If the object is no manifest.
    """
    add_reference(connection, clock, project=project, digest=digest, owner=owner)
    manifest = read_manifest(objects, digest)
    files = manifest.digests()
    absent = files - held_digests(connection, project=project, digests=files, lock=True)
    if absent:
        raise ObjectNotInProject(project, min(absent))
    _MARK.run(connection, {"digest": digest, "project": project})
    return manifest


class KeptFiles:
    """The files of all trees that something refers to, by project.

    Grows with each `refresh`; a file of a tree that was let go meanwhile stays in it until the next instance.
    """

    def __init__(self, objects: ObjectReader) -> None:
        self._objects = objects
        self._read: set[tuple[str, str]] = set()
        self._files: defaultdict[str, set[bytes]] = defaultdict(set)

    def refresh(self, connection: sa.Connection) -> None:
        """Read the manifests that are new.

        Raises
        ------
        ObjectNotFound, ObjectCorrupt, ManifestInvalid
            If one cannot be read: nothing may be removed then that it may list.
        """
        for project, digest in kept_trees(connection):
            if (project, digest) not in self._read:
                files = read_manifest(self._objects, digest).digests()
                # 32 bytes each: there may be millions.
                self._files[project].update(bytes.fromhex(file[_PREFIX_CHARS:]) for file in files)
                self._read.add((project, digest))

    def has(self, project: str, digest: str) -> bool:
        """Tell whether a tree of the project lists the object."""
        return bytes.fromhex(digest[_PREFIX_CHARS:]) in self._files[project]


def kept_trees(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    """Give project and manifest of each tree that something refers to."""
    for row in _KEPT.all(connection, {}):
        yield row[0], row[1]


_KEPT = Prepared(
    lambda _: (
        sa.select(object_trees.c.project, object_trees.c.digest)
        .where(
            sa.exists().where(
                object_references.c.project == object_trees.c.project,
                object_references.c.digest == object_trees.c.digest,
            )
        )
        .order_by(object_trees.c.digest, object_trees.c.project)
    )
)


def _mark(dialect: str) -> sa.Insert:
    names = ("digest", "project")
    insert = upsertable(dialect, object_trees).values({name: sa.bindparam(name) for name in names})
    return insert.on_conflict_do_nothing()


_MARK = Prepared(_mark)
