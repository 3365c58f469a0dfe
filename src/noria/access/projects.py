"""Projects: the unit that everything belongs to and that roles are given in."""

from __future__ import annotations

from datetime import datetime

import msgspec

from noria.access.events import PROJECT_CREATED
from noria.access.permissions import CREATE_PROJECTS, LIST_PROJECTS, READ_PROJECTS
from noria.access.tables import projects
from noria.core.database.alchemy import sa
from noria.core.database.prepared import Prepared
from noria.core.errors import Conflict, unknown_name
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service, operation


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What everything belongs to."""

    id: str
    name: str
    created_at: datetime


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to make."""

    name: str


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects in the order of their names; `next` continues."""

    items: list[Project]
    next: str | None


def project_pk(connection: sa.Connection, project: str) -> int:
    """Give the key of a project.

    Raises
    ------
    NotFound
        If there is none of that name; the hint has the near one.
    """
    found = _BY_NAME.first(connection, {"name": project})
    if found is None:
        known = connection.execute(sa.select(projects.c.name).limit(1000)).scalars()
        raise unknown_name("project", project, known, see="noria projects list")
    return int(found[0])


# Made once: nearly every operation begins with it.
_BY_NAME = Prepared(lambda _: sa.select(projects.c.pk).where(projects.c.name == sa.bindparam("name")))


class Projects(Service):
    """The workspace's projects."""

    @operation("GET", "/projects", needs=LIST_PROJECTS)
    def list(self, limit: int = 100, after: str = "") -> ProjectPage:
        """List the projects that the caller has a role in, in the order of their names."""
        bound = max(1, min(limit, 1000))
        query = (
            sa.select(projects.c.id, projects.c.name, projects.c.created_at)
            .where(projects.c.name > after)
            .order_by(projects.c.name)
            .limit(bound + 1)
        )
        caller = self.context.principal
        if caller.role is None:
            query = query.where(projects.c.name.in_(caller.project_roles))
        with self.context.database.read() as connection:
            rows = connection.execute(query).mappings().all()
        items = [Project(**row) for row in rows[:bound]]
        return ProjectPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("POST", "/projects", needs=CREATE_PROJECTS)
    def create(self, new: NewProject) -> Project:
        """Make a project."""
        made = Project(id=new_id(), name=check_name("project", new.name), created_at=self.context.clock.now())
        row = msgspec.structs.asdict(made)
        with self.context.database.write(durable=True) as connection:
            insert = self.context.database.insert(projects).values(**row)
            done = connection.execute(
                insert.on_conflict_do_nothing(index_elements=["name"]).returning(projects.c.pk)
            ).first()
            if done is None:
                raise Conflict(f"There is a project `{new.name}` already", hint="See `noria projects list`")
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=PROJECT_CREATED,
                subject=f"project:{new.name}",
                project=new.name,
            )
        return made

    @operation("GET", "/projects/{project}", needs=READ_PROJECTS)
    def get(self, project: str) -> Project:
        """Get one project."""
        with self.context.database.read() as connection:
            key = project_pk(connection, project)
            query = sa.select(projects.c.id, projects.c.name, projects.c.created_at).where(
                projects.c.pk == key
            )
            return Project(**connection.execute(query).mappings().one())
