"""Lineage around model versions: what they were declared to be made from, and endpoints that serve them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.web.references import split_version
from noria.registry.entities import Origin
from noria.registry.tables import former_model_names, model_versions, models
from noria.registry.uses import uses_of, versions_served_by
from noria.tracking.lineage import RUN_PREFIX, Walk
from noria.tracking.tables import runs

_MODEL = "model:"
_ENDPOINT = "endpoint:"
_IN_CHUNK = 500


def model_users(state: Walk, project: str, frontier: Sequence[str], distance: int) -> list[str]:
    """Go from model versions to the endpoints that serve them."""
    versions = _versions(state, frontier)
    ids = {row.id: ref for ref, row in versions}
    for ref, row in versions:
        _call_by_name_of_today(state, ref, f"{_MODEL}{row.model}@{row.version}")
    digests = [row.digest for _, row in versions if row.digest is not None]
    found = []
    for version_id, endpoints in uses_of(state.connection, project=project, digests=digests).items():
        for endpoint in endpoints if version_id in ids else ():
            ref = _ENDPOINT + endpoint
            found.append(state.visit(ref, ref, distance))
            state.join(ids[version_id], ref, "served")
    return [ref for ref in found if ref is not None]


def declared_causes(state: Walk, frontier: Sequence[str], distance: int) -> list[str]:
    """Go from model versions to what was named at registration, and to what runs recorded under a former name."""
    found = []
    for ref, row in _versions(state, frontier):
        then = f"{_MODEL}{row.registered_as}@{row.version}"
        if then != ref:
            found += _made_by_former_name(state, ref, then, distance)
        found += _declared(state, ref, row.origin, distance)
    return found


def served_versions(state: Walk, project: str, frontier: Sequence[str], distance: int) -> list[str]:
    """Go from endpoints to the model versions that they serve."""
    found = []
    for endpoint in (ref for ref in frontier if ref.startswith(_ENDPOINT)):
        ids = versions_served_by(state.connection, project=project, endpoint=endpoint.removeprefix(_ENDPOINT))
        query = _select().where(model_versions.c.id.in_(ids))
        for row in state.connection.execute(query):
            ref = f"{_MODEL}{row.model}@{row.version}"
            found.append(state.visit(ref, ref, distance, row.digest or ""))
            state.join(ref, endpoint, "served")
    return [ref for ref in found if ref is not None]


def _call_by_name_of_today(state: Walk, ref: str, now: str) -> None:
    if ref != now:
        state.nodes[ref] = msgspec.structs.replace(state.nodes[ref], label=now)


def _declared(state: Walk, ref: str, origin: Origin, distance: int) -> Iterable[str]:
    """Follow the run that was named at registration."""
    if not origin.run_id:
        return
    query = sa.select(runs.c.name).where(runs.c.id == origin.run_id, runs.c.project_pk == state.project)
    name = state.connection.execute(query).scalar_one_or_none()
    run = RUN_PREFIX + origin.run_id
    fresh = state.visit(run, run if name is None else str(name), distance)
    state.join(run, ref, "made")
    if fresh is not None:
        yield fresh


def add_declared_data(state: Walk, root: str) -> None:
    """Add the data set that was named at registration, where no run has recorded it."""
    for ref, row in _versions(state, [root]):
        data, run = f"dataset:{row.origin.dataset}", f"{RUN_PREFIX}{row.origin.run_id}"
        if row.origin.dataset and data not in state.nodes:
            effect = run if run in state.nodes else ref
            state.visit(data, data, state.nodes[effect].distance + 1)
            state.join(data, effect, "read")


def _made_by_former_name(state: Walk, ref: str, then: str, distance: int) -> list[str]:
    """Follow the name that a model had when the version was made: the run knows it by that one."""
    known = set(state.nodes)
    if state.visit(then, then, distance) is None:
        return []  # another model has that name now, and its own place in the walk
    found = state.stride([then], distance)
    del state.nodes[then]
    for cause, effect in [edge for edge in state.edges if edge[1] == then]:
        state.join(cause, ref, state.edges.pop((cause, effect)).kind)
    return [cause for cause in found if cause not in known]


def _versions(state: Walk, frontier: Sequence[str]) -> list[tuple[str, sa.Row[Any]]]:
    """Read the versions that references name, by the name of the model now or by a former one."""
    named = {split_version(ref.removeprefix(_MODEL)): ref for ref in frontier if ref.startswith(_MODEL)}
    keys = [(name, version) for name, version in named if version is not None]
    found = []
    for start in range(0, len(keys), _IN_CHUNK):
        chunk = keys[start : start + _IN_CHUNK]
        names = [name for name, _ in chunk]
        former = sa.select(former_model_names.c.model_pk).where(
            former_model_names.c.project_pk == state.project, former_model_names.c.name.in_(names)
        )
        query = (
            _select()
            .where(models.c.project_pk == state.project, models.c.deleted_at.is_(None))
            .where(model_versions.c.deleted_at.is_(None))
            .where(sa.or_(models.c.name.in_(names), models.c.pk.in_(former)))
            .where(model_versions.c.version.in_([version for _, version in chunk]))
        )
        for row in state.rows(query):
            ref = named.get((row.model, row.version)) or named.get((row.registered_as, row.version))
            if ref is not None:
                found.append((ref, row))
    return found


def _select() -> sa.Select[Any]:
    columns = (
        models.c.name.label("model"),
        model_versions.c.id,
        model_versions.c.version,
        model_versions.c.digest,
        model_versions.c.origin,
        model_versions.c.registered_as,
    )
    return sa.select(*columns).join(models, models.c.pk == model_versions.c.model_pk)
