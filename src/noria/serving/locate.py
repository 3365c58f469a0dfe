"""Find the row of an endpoint by its project and name."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.database.prepared import Prepared
from noria.core.errors import unknown_name
from noria.serving.entities import Cascade, Endpoint, Share, WarmVersion
from noria.serving.tables import endpoints


class EndpointRow(NamedTuple):
    """An endpoint as it is stored."""

    pk: int
    id: str
    name: str
    model: str
    task: str
    shares: list[Share]
    digests: dict[int, str]
    revision: int
    created_at: datetime
    shadows: list[Share] | None = None
    warm: list[WarmVersion] | None = None
    cascade: Cascade | None = None

    @property
    def loaded(self) -> set[int]:
        """The versions that it cannot do without; a warm one can be deleted."""
        versions = {share.version for share in (*self.shares, *(self.shadows or ()))}
        return versions if self.cascade is None else versions | {self.cascade.first, self.cascade.second}

    def entity(
        self, project: str, *, rollout_id: str | None = None, urls: list[str] | None = None
    ) -> Endpoint:
        """Give what callers see."""
        return Endpoint(
            id=self.id,
            project=project,
            name=self.name,
            model=self.model,
            task=self.task,
            shares=self.shares,
            revision=self.revision,
            shadows=self.shadows or [],
            warm=self.warm or [],
            cascade=self.cascade,
            rollout_id=rollout_id,
            urls=urls or [],
            created_at=self.created_at,
        )


def any_endpoint(connection: sa.Connection) -> bool:
    """Tell whether there is an endpoint in any project."""
    return _ANY.first(connection, {}) is not None


COLUMNS = tuple(endpoints.c[name] for name in EndpointRow._fields)


def find_endpoint(
    connection: sa.Connection, project: str, name: str, *, lock: bool = False, deleted: bool = False
) -> EndpointRow | None:
    """Look an endpoint up by name, or give None.

    Parameters
    ----------
    lock
        Keep others from changing it until the transaction ends.
    deleted
        Take the one that was deleted last when none lives: what was captured before may arrive after.
    """
    query = (
        sa.select(*COLUMNS)
        .where(endpoints.c.project_pk == project_pk(connection, project), endpoints.c.name == name)
        .order_by(endpoints.c.deleted_at.is_not(None), endpoints.c.pk.desc())
        .limit(1)
    )
    if not deleted:
        query = query.where(endpoints.c.deleted_at.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else EndpointRow._make(row)


def endpoint_row(
    connection: sa.Connection, project: str, name: str, *, lock: bool = False, deleted: bool = False
) -> EndpointRow:
    """Look an endpoint up by name.

    Raises
    ------
    NotFound
        If the project or the endpoint does not exist; the hint has the near name.
    """
    found = find_endpoint(connection, project, name, lock=lock, deleted=deleted)
    if found is None:
        query = sa.select(endpoints.c.name).where(
            endpoints.c.project_pk == project_pk(connection, project), endpoints.c.deleted_at.is_(None)
        )
        known = connection.execute(query.limit(1000)).scalars()
        raise unknown_name("endpoint", name, known, see="noria endpoints list")
    return found


_ANY = Prepared(
    sa.select(endpoints.c.pk).where(endpoints.c.deleted_at.is_(None)).limit(sa.literal_column("1"))
)
