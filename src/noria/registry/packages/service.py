"""Operations on the packages that a workspace holds."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.database.engine import upsertable
from noria.core.ids import new_id
from noria.core.objects.tree_references import add_tree_reference
from noria.core.operations import Service, operation
from noria.registry.changes import Change, author_of, owner_of
from noria.registry.events import PACKAGE_KEPT
from noria.registry.packages.entities import NewPackage, Package, PackagePage
from noria.registry.packages.errors import PackageNotFound
from noria.registry.packages.inspection import read_stored
from noria.registry.packages.rows import load_packages, select_packages
from noria.registry.permissions import READ_MODELS, REGISTER_MODELS
from noria.registry.rows import find_model, get_version
from noria.registry.tables import model_versions, packages


class Packages(Service):
    """Packages of the versions of a project's models."""

    @operation("POST", "/projects/{project}/models/{name}/versions/{version}/packages", needs=REGISTER_MODELS)
    def keep(self, project: str, name: str, version: int, new: NewPackage) -> Package:
        """Keep a package of a version; one that is kept already takes what was attached since."""
        with self.context.database.write(durable=True) as connection:
            change = Change(self.context, connection, project)
            model = find_model(connection, project, name, lock=True)
            found = get_version(connection, model, version)
            layout = add_tree_reference(
                connection,
                self.context.clock,
                self.context.objects,
                project=project,
                digest=new.layout,
                owner=owner_of(found.id),
            )
            kept = _find(connection, project, model.name, version, new.digest)
            stored = read_stored(self.context.objects, layout, new.digest, found)
            if kept is not None and kept.key_id is not None and stored.key_id is None:
                return kept  # who builds the same package again without a key takes no signature away
            key = sa.select(model_versions.c.pk).where(model_versions.c.id == found.id)
            values = {
                "layout": new.layout,
                "size_bytes": stored.size_bytes,
                "lock_incomplete": stored.lock_incomplete,
                "key_id": stored.key_id,
            }
            insert = upsertable(connection.dialect.name, packages).values(
                id=new_id(),
                version_pk=connection.execute(key).scalar_one(),
                digest=new.digest,
                author=author_of(self.context, new.author),
                created_at=change.now,
                **values,
            )
            connection.execute(
                insert.on_conflict_do_update(index_elements=["version_pk", "digest"], set_=values)
            )
            payload = {"version": version, "digest": new.digest, "key": stored.key_id}
            change.tell(PACKAGE_KEPT, found.ref, payload)
            return _newest(connection, project, model.name, version, new.digest)

    @operation("GET", "/projects/{project}/packages", needs=READ_MODELS)
    def list(
        self,
        project: str,
        model: str | None = None,
        version: int | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> PackagePage:
        """List packages, newest first; of one model, and of one version of it, if they are named."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = select_packages(project_pk(connection, project)).limit(bound + 1)
            if model is not None:
                query = query.where(model_versions.c.model_pk == find_model(connection, project, model).pk)
            if version is not None:
                query = query.where(model_versions.c.version == version)
            if before is not None:
                last = sa.select(packages.c.pk).where(packages.c.id == before).scalar_subquery()
                query = query.where(packages.c.pk < last)
            found = [each.package for each in load_packages(connection, project, query)]
        return PackagePage(items=found[:bound], next=found[bound - 1].id if len(found) > bound else None)

    @operation("GET", "/projects/{project}/packages/{digest}", needs=READ_MODELS)
    def get(self, project: str, digest: str) -> Package:
        """Get the package of a digest; of several versions with it, that of the newest."""
        with self.context.database.read() as connection:
            query = select_packages(project_pk(connection, project)).where(packages.c.digest == digest)
            found = load_packages(connection, project, query.limit(1))
        if not found:
            raise PackageNotFound(
                f"The project `{project}` holds no package `{digest[:80]}`",
                hint="See those that it holds: `noria packages list`",
                details={"project": project, "digest": digest[:80]},
            )
        return found[0].package

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}/package", needs=READ_MODELS)
    def newest(self, project: str, name: str, version: int) -> Package:
        """Get the package of a version that was built last."""
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            get_version(connection, model, version)
            return _newest(connection, project, model.name, version, None)


def _newest(connection: sa.Connection, project: str, name: str, version: int, digest: str | None) -> Package:
    found = _find(connection, project, name, version, digest)
    if found is None:
        raise PackageNotFound(
            f"No package of `{name}@{version}` was built",
            hint=f"Build it: `noria packages build {name}@{version}`",
            details={"model": name, "version": version},
        )
    return found


def _find(
    connection: sa.Connection, project: str, name: str, version: int, digest: str | None
) -> Package | None:
    model = find_model(connection, project, name)
    query = select_packages(project_pk(connection, project)).where(
        model_versions.c.model_pk == model.pk, model_versions.c.version == version
    )
    if digest is not None:
        query = query.where(packages.c.digest == digest)
    found = load_packages(connection, project, query.limit(1))
    return found[0].package if found else None
