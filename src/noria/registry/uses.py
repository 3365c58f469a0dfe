"""Which endpoints stand on a version: one that is in use is not deleted.

The registry knows nothing of what is built on it, so an endpoint says here, in the transaction in which it begins to
share requests with a version, that it needs it. A use is a reference to the version's manifest beside that of the
version itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from noria.core.errors import Conflict
from noria.core.objects.references import add_reference, drop_owner, object_references
from noria.registry.rows import find_model, get_version

if TYPE_CHECKING:
    from noria.core.context import Context

_PREFIX: Final = "served-version:"


class ModelVersionInUse(Conflict):
    """An endpoint serves the version."""

    code = "model_version_in_use"

    def __init__(self, ref: str, endpoints: Sequence[str]) -> None:
        model, _, version = ref.rpartition("@")
        named = ", ".join(f"`{name}`" for name in endpoints)
        super().__init__(
            f"`{ref}` cannot be deleted: version {version} answers requests of the"
            f" endpoint{'s' if len(endpoints) > 1 else ''} {named}",
            hint=f"Put another version there with `noria deploy {model}@VERSION --to {endpoints[0]}`, or take the"
            f" endpoint away with `noria endpoints delete {endpoints[0]}`",
            details={"ref": ref, "endpoints": list(endpoints)},
        )


def use_version(
    connection: sa.Connection, context: Context, *, project: str, model: str, version: int, endpoint: str
) -> None:
    """Keep a version from being deleted for as long as an endpoint needs it.

    Raises
    ------
    ModelVersionNotFound
        If it was deleted in the meantime.
    """
    # Whoever deletes a version holds the row of its model, so it sees this use or this does not see the version.
    found = get_version(connection, find_model(connection, project, model, lock=True), version)
    if found.digest is not None:
        owner = f"{_begin(found.id)}{version}:{endpoint}"
        add_reference(connection, context.clock, project=project, digest=found.digest, owner=owner)


def release_versions(
    connection: sa.Connection, *, project: str, endpoint: str, digests: Collection[str], keep: Collection[int]
) -> None:
    """Let versions be deleted again, as far as this endpoint goes.

    Parameters
    ----------
    digests
        Of the manifests of all versions that the endpoint ever needed.
    keep
        The numbers of those that it needs still.
    """
    for owner, number in _uses_of(connection, project, endpoint, digests).items():
        if number not in keep:
            drop_owner(connection, owner)


def versions_in_use(
    connection: sa.Connection, *, project: str, endpoint: str, digests: Collection[str]
) -> set[int]:
    """Give the numbers of the versions that an endpoint keeps, among those of these digests."""
    return set(_uses_of(connection, project, endpoint, digests).values())


def endpoints_of(
    connection: sa.Connection, *, project: str, version_id: str, digest: str | None
) -> list[str]:
    """Give the names of the endpoints that need a version, in their order."""
    if digest is None:
        return []
    table = object_references
    owners = connection.execute(
        sa.select(table.c.owner)
        .where(table.c.project == project, table.c.digest == digest)
        .where(table.c.owner.startswith(_begin(version_id), autoescape=True))
    ).scalars()
    return sorted(owner.rpartition(":")[2] for owner in owners)


def uses_of(connection: sa.Connection, *, project: str, digests: Collection[str]) -> dict[str, list[str]]:
    """Give the endpoints that need versions with these digests, in their order, by the version's id."""
    table = object_references
    query = sa.select(table.c.owner).where(
        table.c.project == project,
        table.c.digest.in_(digests),
        table.c.owner.startswith(_PREFIX, autoescape=True),
    )
    found: dict[str, list[str]] = {}
    for owner in sorted(connection.execute(query).scalars()):
        version_id, _, endpoint = owner.removeprefix(_PREFIX).split(":", 2)
        found.setdefault(version_id, []).append(endpoint)
    return found


def versions_served_by(connection: sa.Connection, *, project: str, endpoint: str) -> list[str]:
    """Give the ids of the versions that an endpoint needs."""
    table = object_references
    query = sa.select(table.c.owner).where(
        table.c.project == project,
        table.c.owner.startswith(_PREFIX, autoescape=True),
        table.c.owner.endswith(f":{endpoint}", autoescape=True),
    )
    return sorted({owner.split(":")[1] for owner in connection.execute(query).scalars()})


def _uses_of(
    connection: sa.Connection, project: str, endpoint: str, digests: Collection[str]
) -> dict[str, int]:
    """Give the number of the version by the owner of its use."""
    table = object_references
    query = sa.select(table.c.owner).where(
        table.c.project == project,
        table.c.digest.in_(digests),
        table.c.owner.startswith(_PREFIX, autoescape=True),
    )
    taken_apart = (owner.split(":") for owner in connection.execute(query).scalars())
    return {":".join(parts): int(parts[2]) for parts in taken_apart if parts[3] == endpoint}


def _begin(version_id: str) -> str:
    return f"{_PREFIX}{version_id}:"
