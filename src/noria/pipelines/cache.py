"""Find and keep results of steps.

An entry belongs to who computed it, as the server established: nobody replaces another's. Entries whose outputs are
plain data are reused by everybody in the project; one that runs code when it is read back, only by its writer.
"""

from __future__ import annotations

import itertools
from typing import Any

from noria.access.projects import project_pk
from noria.core.context import Context
from noria.core.database.alchemy import sa
from noria.core.database.engine import upsertable
from noria.core.database.prepared import Prepared
from noria.core.database.schema import Converters
from noria.core.errors import NoriaError, NotFound
from noria.core.objects.references import add_reference, drop_owner
from noria.core.objects.store import ObjectStore
from noria.core.objects.tree_references import add_tree_reference
from noria.core.objects.trees import read_manifest
from noria.pipelines.cache_entities import CacheAnswer, CacheEntry, Followed, NewCacheEntry, StoredValue
from noria.pipelines.tables import jobs, step_cache

PICKLE = "pickle"

READ_BYTES = 1024 * 1024
"""Largest output that is read whole before it is reused."""

_WORKER = "worker:"

_ENTRY_VALUES = Converters(
    (
        step_cache,
        (
            "key",
            "writer",
            "step",
            "run_id",
            "outputs",
            "followed",
            "files",
            "inputs",
            "made",
            "logged",
            "created_at",
        ),
    )
)
_ENTRY = Prepared(
    lambda _: (
        sa.select(*_ENTRY_VALUES.columns)
        .where(step_cache.c.project_pk == sa.bindparam("project_pk"))
        .where(step_cache.c.key == sa.bindparam("key"))
        .order_by((step_cache.c.writer == sa.bindparam("writer")).desc(), step_cache.c.pk)
        .limit(sa.literal_column("20"))
    )
)


def find_entry(context: Context, project: str, key: str) -> CacheAnswer:
    """Give the caller's own entry of a key, else another's that is plain data; checked."""
    with context.database.read() as connection:
        writer = writer_of(connection, context)
        values = {"project_pk": project_pk(connection, project), "key": key, "writer": writer}
        rows = _ENTRY.all(connection, values)
    reason = None
    for entry in (CacheEntry(**_ENTRY_VALUES.from_driver(row)) for row in rows):
        fault = _fault(context, project, entry, writer)
        if fault is None:
            return CacheAnswer(entry=entry, own=entry.writer == writer)
        reason = reason or fault
    return CacheAnswer(reason=reason)


def keep_entry(
    connection: sa.Connection, context: Context, *, project: str, owner: int, run_id: str, new: NewCacheEntry
) -> None:
    """Keep a result for the caller, with references to its outputs. The caller's own older entry is replaced.

    Raises
    ------
    ObjectNotInProject
        If an output was not uploaded to this project.
    """
    writer = writer_of(connection, context)
    values: dict[str, Any] = {
        "project_pk": owner,
        "key": new.key,
        "writer": writer,
        "step": new.step,
        "run_id": run_id,
        "outputs": new.outputs,
        "followed": new.followed,
        "files": new.files,
        "inputs": new.inputs,
        "made": new.made,
        "logged": new.logged,
        "created_at": context.clock.now(),
    }
    holder = f"step:{project}:{writer}:{new.key}"
    row = _NEW_VALUES.to_driver(values)
    if _INSERT.first(connection, row) is None:
        _REPLACE.run(connection, row)
        drop_owner(connection, holder)
    for output in new.outputs:
        refer_to(connection, context, project, output, holder)


def _given() -> dict[str, Any]:
    return {column.name: sa.bindparam(column.name) for column in step_cache.c if column.name != "pk"}


def _insert(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, step_cache).values(_given())
    return insert.on_conflict_do_nothing().returning(step_cache.c.pk)


def _replace(dialect: str) -> sa.Executable:
    insert = upsertable(dialect, step_cache).values(_given())
    identity = ("pk", "project_pk", "key", "writer")
    changed = {
        column.name: insert.excluded[column.name] for column in step_cache.c if column.name not in identity
    }
    return insert.on_conflict_do_update(index_elements=["project_pk", "key", "writer"], set_=changed)


_NEW_VALUES = Converters(step_cache)
_INSERT = Prepared(_insert)
_REPLACE = Prepared(_replace)


def refer_to(
    connection: sa.Connection, context: Context, project: str, stored: StoredValue, owner: str
) -> None:
    """Keep a stored value for an owner, with all files of a tree.

    Raises
    ------
    ObjectNotInProject
        If it was not uploaded to this project.
    """
    clock = context.clock
    if stored.is_tree:
        add_tree_reference(
            connection, clock, context.objects, project=project, digest=stored.digest, owner=owner
        )
    else:
        add_reference(connection, clock, project=project, digest=stored.digest, owner=owner)


def writer_of(connection: sa.Connection, context: Context) -> str:
    """Give the name that results belong to: the caller's, or for a job's process that of who submitted the job."""
    name = context.principal.name
    if not name.startswith(_WORKER):
        return name
    query = sa.select(jobs.c.submitted_by).where(jobs.c.id == name.removeprefix(_WORKER))
    return str(connection.execute(query).scalar_one_or_none() or name)


def _fault(context: Context, project: str, entry: CacheEntry, writer: str) -> str | None:
    if entry.writer != writer and not all(map(is_data, entry.outputs)):
        return f"only `{entry.writer}`, who computed it, may read it back, since that runs code"
    for output in entry.outputs:
        if not is_sound(context.objects, output):
            return f"its output of run {entry.run_id} is gone or damaged"
    for link in entry.inputs:
        if _failed_check(context, project, link.ref):
            return f"`{link.ref}`, which it read, failed its check since"
    for followed in entry.followed:
        now = _target(context, project, followed)
        if now != followed.ref:
            return f"`{followed.name}` was `{followed.ref}`, is `{now}`"
    return None


def is_data(output: StoredValue) -> bool:
    """Tell whether reading a value back runs nothing: no pickle, and no name of code that would be imported."""
    return output.portable and output.codec != PICKLE and not output.code


def is_sound(objects: ObjectStore, output: StoredValue) -> bool:
    """Tell whether an output is there: small ones are read; large ones, which are checked when they are loaded, not."""
    sizes = {output.digest: output.size_bytes}
    if output.is_tree:
        try:
            entries = read_manifest(objects, output.digest).entries
        except NoriaError:
            return False
        sizes = {entry.digest: entry.size_bytes for entry in entries}
    large = [digest for digest, size_bytes in sizes.items() if size_bytes > READ_BYTES]
    problems = itertools.chain(
        objects.verify([digest for digest in sizes if digest not in large]),
        objects.verify(large, quick=True),
    )
    if next(problems, None) is not None:
        return False
    return all(objects.size(digest) == sizes[digest] for digest in large)


def _failed_check(context: Context, project: str, ref: str) -> bool:
    kind, _, named = ref.partition(":")
    name, _, version = named.partition("@")
    if kind != "dataset" or not version.isdecimal():
        return False
    # Few runs read data sets, and to import this takes as long as five steps.
    from noria.data.quality.service import DatasetReports

    try:
        checks = context.service(DatasetReports).checks(project, name, int(version), limit=1).items
    except NotFound:
        return False
    return bool(checks) and not checks[0].passed


def _target(context: Context, project: str, followed: Followed) -> str | None:
    kind, _, name = followed.name.partition(":")
    if kind != "dataset":
        return None  # no other kind of name can be followed from here; its steps run each time
    from noria.data.service import Datasets

    try:
        return f"dataset:{context.service(Datasets).resolve(project, name).ref}"
    except NotFound:
        return None
