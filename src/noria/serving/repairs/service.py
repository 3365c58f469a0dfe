"""Begin and end repairs of an endpoint's inputs. Each is a revision of the endpoint, which captured rows carry."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.core.errors import Invalid, NotFound, near
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.core.stats.column_names import flatten_names
from noria.registry.entities import Signature
from noria.registry.service import Models
from noria.serving.chunks import last_position
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.permissions import DEPLOY, END_REPAIRS, READ_ENDPOINTS
from noria.serving.repairs.entities import (
    ByEstimate,
    ByExchange,
    ByTable,
    ColumnRepair,
    EndRepair,
    InputRepair,
    NewRepair,
    RepairPage,
    places_of,
)
from noria.serving.repairs.events import REPAIR_ENDED, REPAIR_STARTED
from noria.serving.repairs.tables import input_repairs
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.sight import rollout_under_way
from noria.serving.tables import endpoints

_FIELDS = [name for name in InputRepair.__struct_fields__ if name not in ("project", "endpoint")]


class InputRepairs(Service):
    """What is put right about an endpoint's inputs before the model sees them."""

    @operation("GET", "/projects/{project}/endpoints/{name}/input-repairs", needs=READ_ENDPOINTS)
    def list(self, project: str, name: str, limit: int = 50) -> RepairPage:
        """List the repairs of an endpoint, newest first; the one that stands has no `ended_at`."""
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, name)
            query = _select(place).order_by(input_repairs.c.pk.desc()).limit(max(1, min(limit, 1000)))
            return RepairPage(items=[_entity(project, name, row) for row in connection.execute(query)])

    @operation("GET", "/projects/{project}/endpoints/{name}/input-repair", needs=READ_ENDPOINTS)
    def get(self, project: str, name: str) -> InputRepair:
        """Get the repair that stands.

        Raises
        ------
        NotFound
            If inputs are taken as they are sent.
        """
        with self.context.database.read() as connection:
            found = _standing(connection, project, endpoint_row(connection, project, name))
        if found is None:
            raise NotFound(
                f"The inputs of `{name}` are taken as they are sent",
                hint=f"What was repaired before: `noria endpoints repairs {name}`",
            )
        return found

    @operation("PUT", "/projects/{project}/endpoints/{name}/input-repair", needs=DEPLOY)
    def set(self, project: str, name: str, new: NewRepair) -> InputRepair:
        """Put inputs right from now on, in place of what was put right before.

        Raises
        ------
        Invalid
            If the endpoint's model has no such column, or one of another type than the change is for.
        RolloutUnderWay
            If a rollout has not ended: what it compares would change under it.
        """
        with self.context.database.read() as connection:
            seen = endpoint_row(connection, project, name)
            version = max(seen.shares, key=lambda share: share.weight).version
        check_columns(new.columns, self.sibling(Models).version(project, seen.model, version).signature)
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, name, lock=True)
            standing = _standing(connection, project, place)
            if standing is not None and new.decision_id and standing.decision_id == new.decision_id:
                return standing
            under_way = rollout_under_way(connection, place.pk)
            if under_way is not None:
                raise RolloutUnderWay(name, under_way.rollout)
            revision = place.revision + 1
            if standing is not None:
                self._close(connection, standing, revision, "Another repair takes its place", still=[])
            begun = self._begin(connection, project, place, new, revision)
            _raise_revision(connection, place)
        return begun

    @operation("POST", "/projects/{project}/endpoints/{name}/input-repair/end", needs=END_REPAIRS, status=200)
    def end(self, project: str, name: str, wish: EndRepair) -> RepairPage:
        """Take columns as they are sent again, all of them unless some are named.

        Returns
        -------
        RepairPage
            The repair that ended, behind the one that goes on with the other columns; none where there was none.
        """
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, name, lock=True)
            standing = _standing(connection, project, place)
            if standing is None or wish.id not in (None, standing.id):
                return RepairPage(items=[])
            named = set(wish.columns) or {column.column for column in standing.columns}
            still = [column for column in standing.columns if column.column not in named]
            if len(still) == len(standing.columns):
                known = [column.column for column in standing.columns]
                raise _unknown(wish.columns[0], known)
            revision = place.revision + 1
            ended = self._close(connection, standing, revision, wish.reason or "Ended by hand", still=still)
            items = [ended]
            if still:
                rest = NewRepair(columns=still, reason=standing.reason, decision_id=standing.decision_id)
                items.insert(0, self._begin(connection, project, place, rest, revision))
            _raise_revision(connection, place)
        return RepairPage(items=items)

    def _begin(
        self, connection: sa.Connection, project: str, place: EndpointRow, new: NewRepair, revision: int
    ) -> InputRepair:
        newest = sa.select(sa.func.max(input_repairs.c.number)).where(input_repairs.c.endpoint_pk == place.pk)
        begun = InputRepair(
            id=new_id(),
            project=project,
            endpoint=place.name,
            number=(connection.execute(newest).scalar() or 0) + 1,
            columns=new.columns,
            reason=new.reason,
            decision_id=new.decision_id,
            started_by=self.context.principal.name,
            created_at=self.context.clock.now(),
            revision=revision,
            position=last_position(connection, place.pk),
        )
        values = {name: getattr(begun, name) for name in _FIELDS}
        connection.execute(sa.insert(input_repairs).values(endpoint_pk=place.pk, **values))
        self._tell(connection, REPAIR_STARTED, begun, {"revision": revision, "reason": new.reason})
        return begun

    def _close(
        self,
        connection: sa.Connection,
        standing: InputRepair,
        revision: int,
        why: str,
        *,
        still: builtins.list[ColumnRepair],
    ) -> InputRepair:
        ended = msgspec.structs.replace(
            standing,
            ended_at=self.context.clock.now(),
            ended_by=self.context.principal.name,
            ended_revision=revision,
            ended_why=why,
        )
        changes = {name: getattr(ended, name) for name in _FIELDS if name.startswith("ended_")}
        connection.execute(
            sa.update(input_repairs).where(input_repairs.c.id == standing.id).values(**changes)
        )
        payload = {"revision": revision, "reason": why, "still": [column.column for column in still]}
        self._tell(connection, REPAIR_ENDED, ended, payload)
        return ended

    def _tell(
        self, connection: sa.Connection, type_: EventType, repair: InputRepair, payload: dict[str, Any]
    ) -> None:
        common = {
            "repair": repair.id,
            "number": repair.number,
            "decision": repair.decision_id,
            "columns": [column.column for column in repair.columns],
            "words": repair.words,
        }
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=type_,
            subject=f"endpoint:{repair.endpoint}",
            project=repair.project,
            payload={**common, **payload},
        )


def check_columns(columns: list[ColumnRepair], signature: Signature | None) -> None:
    """Refuse a repair that does not fit what the model takes.

    Raises
    ------
    Invalid
        The message names the column.
    """
    if signature is None:
        raise Invalid("The version that answers has no signature, so no column of its inputs is known")
    kinds = {
        name: spec.datatype for spec in signature.inputs for name in flatten_names(spec.name, spec.shape[1:])
    }
    for repair in columns:
        for column in places_of(repair):
            if column not in kinds:
                raise _unknown(column, list(kinds))
        datatype = kinds[repair.column]
        if isinstance(repair.change, ByExchange):
            _check_exchange(repair.column, repair.change.other, kinds)
            continue
        is_text, change = datatype == "BYTES", repair.change
        for_text = isinstance(change, ByTable) or (isinstance(change, ByEstimate) and change.code is not None)
        if is_text and not for_text:
            raise Invalid(
                f"`{repair.column}` holds texts, which cannot be divided", hint="Give a table of codes"
            )
        if datatype == "BOOL" or (not is_text and isinstance(change, ByEstimate) and change.code is not None):
            raise Invalid(f"`{repair.column}` is of the type {datatype}, which this repair is not for")
        _check_numbers(repair)


def _check_exchange(one: str, other: str, kinds: Mapping[str, str]) -> None:
    if one == other:
        raise Invalid(f"`{one}` cannot be exchanged with itself")
    if (kinds[one] == "BYTES") != (kinds[other] == "BYTES"):
        text, number = (one, other) if kinds[one] == "BYTES" else (other, one)
        raise Invalid(f"`{text}` holds texts and `{number}` does not, so they cannot be exchanged")


def _check_numbers(repair: ColumnRepair) -> None:
    factor = getattr(repair.change, "slope", getattr(repair.change, "factor", 1.0))
    if factor == 0 or math.isnan(factor):
        raise Invalid(f"`{repair.column}` cannot be divided by {factor:g}")


def _unknown(column: str, known: builtins.list[str]) -> Invalid:
    close = near(column, known)
    shown = ", ".join(f"`{name}`" for name in known[:20])
    return Invalid(
        f"The endpoint's model has no column `{column}`",
        hint=f"Did you mean `{close}`?" if close else f"It has {shown}",
    )


def _select(place: EndpointRow) -> sa.Select[Any]:
    return sa.select(*(input_repairs.c[name] for name in _FIELDS)).where(
        input_repairs.c.endpoint_pk == place.pk
    )


def _standing(connection: sa.Connection, project: str, place: EndpointRow) -> InputRepair | None:
    row = connection.execute(_select(place).where(input_repairs.c.ended_at.is_(None))).one_or_none()
    return None if row is None else _entity(project, place.name, row)


def _entity(project: str, name: str, row: Any) -> InputRepair:
    return InputRepair(project=project, endpoint=name, **dict(zip(_FIELDS, row, strict=True)))


def _raise_revision(connection: sa.Connection, place: EndpointRow) -> None:
    connection.execute(
        sa.update(endpoints).where(endpoints.c.pk == place.pk).values(revision=place.revision + 1)
    )
