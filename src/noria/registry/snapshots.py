"""Hold on to artifacts as they are now: a tree of them for a version, which no later change of theirs can alter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from noria.core.errors import NotFound
from noria.core.objects.digests import hash_bytes
from noria.core.objects.references import record_upload, record_uploads
from noria.core.objects.store import ObjectInfo
from noria.core.objects.tree_references import add_tree_reference
from noria.core.objects.trees import Entry, Manifest, make_manifest, put_manifest, read_manifest
from noria.core.serialisation import to_canonical_json
from noria.registry.entities import ArtifactPlace
from noria.registry.runtimes.mlflow_format import FILE, LIMIT_BYTES, MlmodelFacts, read_mlmodel
from noria.tracking.model_tables import logged_models
from noria.tracking.shelves import MODEL, RUN, files_below, find_shelf

if TYPE_CHECKING:
    from noria.core.context import Context

_AT_ONCE = 1_000


def read_tree(connection: sa.Connection, place: ArtifactPlace) -> Manifest | None:
    """Give the files at a place as a tree; None when there are none, or no such run or model.

    A folder of a run in which nothing lies stands for the logged model of that name that the run made, which is where
    clients since MLflow 3 put it.
    """
    entries = list(_entries(connection, place))
    if not entries and place.of.startswith(f"{RUN}:") and place.folder:
        made = _made_by(connection, place)
        if made is not None:
            entries = list(_entries(connection, made))
    return make_manifest(entries) if entries else None


def put_snapshot(context: Context, tree: Manifest) -> str:
    """Store the manifest of a tree, and give its digest."""
    return put_manifest(context.objects, tree).digest


def digest_of(tree: Manifest) -> str:
    """Give the digest of the manifest of a tree, stored or not."""
    return hash_bytes(to_canonical_json(tree))


def keep_tree(
    connection: sa.Connection, context: Context, *, project: str, digest: str, held_by: str, owner: str
) -> None:
    """Keep a tree for `owner` in a project; what another project holds enters this one.

    Parameters
    ----------
    held_by
        The project that holds the files, whose objects the caller may read.
    """
    tree = read_manifest(context.objects, digest)
    size = len(to_canonical_json(tree))
    record_upload(connection, context.clock, project=project, digest=digest, size_bytes=size)
    if held_by != project:
        infos = [ObjectInfo(digest=entry.digest, size_bytes=entry.size_bytes) for entry in tree.entries]
        record_uploads(connection, context.clock, project=project, infos=infos)
    add_tree_reference(
        connection, context.clock, context.objects, project=project, digest=digest, owner=owner
    )


def facts_of(context: Context, digest: str) -> MlmodelFacts | None:
    """Read what the `MLmodel` file of a tree says; None if there is none that can be read."""
    tree = read_manifest(context.objects, digest)
    for entry in tree.entries:
        if entry.path == FILE and entry.size_bytes <= LIMIT_BYTES:
            data = context.objects.get(entry.digest, limit_bytes=LIMIT_BYTES)
            return read_mlmodel(data, [other.path for other in tree.entries])
    return None


def _entries(connection: sa.Connection, place: ArtifactPlace) -> Iterator[Entry]:
    try:
        shelf = find_shelf(connection, place.project, place.of)
    except NotFound:
        return
    cut = len(place.folder) + 1 if place.folder else 0
    after = ""
    while True:
        files = files_below(connection, shelf, place.folder, after=after, limit=_AT_ONCE)
        for file in files:
            yield Entry(path=file.path[cut:], digest=file.digest, size_bytes=file.size_bytes)
        if len(files) < _AT_ONCE:
            return
        after = files[-1].path


def _made_by(connection: sa.Connection, place: ArtifactPlace) -> ArtifactPlace | None:
    name, _, rest = place.folder.partition("/")
    query = (
        sa.select(logged_models.c.id)
        .where(logged_models.c.source_run == place.of.removeprefix(f"{RUN}:"))
        .where(logged_models.c.name == name, logged_models.c.deleted_at.is_(None))
        .order_by(logged_models.c.created_at.desc(), logged_models.c.pk.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else ArtifactPlace(project=place.project, of=f"{MODEL}:{found}", folder=rest)
