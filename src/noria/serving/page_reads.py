"""What pages read beyond the operations: where rolling an endpoint back would lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.operations import Service
from noria.serving.locate import COLUMNS, EndpointRow, endpoint_row, find_endpoint
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.rollouts.sight import rollout_under_way, version_before
from noria.serving.tables import endpoints

MAX_OF_MODEL: Final = 20
"""Endpoints of one model that a form offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingBack:
    """What rolling back would do.

    Attributes
    ----------
    model
        Whose versions they are.
    from_version, to_version
        The version that would go, and the one that would answer every request.
    is_abort
        Whether a rollout under way would be ended, rather than another one made.
    """

    model: str
    from_version: int
    to_version: int
    is_abort: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An endpoint and the version that answers most of its requests."""

    endpoint: str
    version: int


class EndpointReads(Service):
    """Reads for pages; no operations: programs have `Endpoints`."""

    def going_back(self, project: str, name: str) -> GoingBack | None:
        """Tell where rolling an endpoint back would lead; None where there is no way back."""
        admit(self.context.principal, READ_ENDPOINTS, project)
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, name)
            stored = rollout_under_way(connection, place.pk)
            before = version_before(connection, project, place)
        if stored is not None and stored.rollout.from_version is not None:
            goes, comes = stored.rollout.to_version, stored.rollout.from_version
        elif before is not None:
            goes, comes = _standing(place).version, before
        else:
            return None
        return GoingBack(model=place.model, from_version=goes, to_version=comes, is_abort=stored is not None)

    def of_model(self, project: str, model: str) -> tuple[Standing, ...]:
        """List the endpoints of a model, in the order of their names, at most `MAX_OF_MODEL`."""
        admit(self.context.principal, READ_ENDPOINTS, project)
        with self.context.database.read() as connection:
            query = (
                sa.select(*COLUMNS)
                .where(endpoints.c.project_pk == project_pk(connection, project))
                .where(endpoints.c.model == model, endpoints.c.deleted_at.is_(None))
                .order_by(endpoints.c.name)
                .limit(MAX_OF_MODEL)
            )
            return tuple(_standing(EndpointRow._make(row)) for row in connection.execute(query))

    def standing(self, project: str, name: str) -> Standing | None:
        """Tell which version answers at an endpoint; None where there is no such endpoint."""
        admit(self.context.principal, READ_ENDPOINTS, project)
        with self.context.database.read() as connection:
            found = find_endpoint(connection, project, name)
        return None if found is None else _standing(found)


def _standing(row: EndpointRow) -> Standing:
    return Standing(endpoint=row.name, version=max(row.shares, key=lambda share: share.weight).version)
