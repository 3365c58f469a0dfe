"""Operations on datasets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, Invalid, NotFound, near, unknown_name
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.names import check_name, split_ref
from noria.core.objects.references import drop_owner
from noria.core.objects.tree_references import add_tree_reference
from noria.core.operations import Service, operation
from noria.data.entities import (
    BroughtVersion,
    Dataset,
    DatasetKind,
    DatasetMoved,
    DatasetPage,
    DatasetVersion,
    DatasetVersionPage,
    NewDatasetVersion,
    VersionsDiverged,
    parse_dataset_ref,
)
from noria.data.events import DATASET_VERSION_ADDED, DATASET_VERSION_REMOVED
from noria.data.moments import moment_of
from noria.data.permissions import READ_DATA, WRITE_DATA
from noria.data.tables import dataset_tags, dataset_versions, datasets


class DatasetVersionNotFound(NotFound):
    """The dataset exists, but not in this version."""

    code = "dataset_version_not_found"

    def __init__(self, name: str, version: int, *, latest: int) -> None:
        known = "Its only version is 1" if latest == 1 else f"It has the versions 1 to {latest}"
        if version <= latest:
            known = "It was removed"
        elif not latest:
            known = "All of its versions were removed"
        super().__init__(
            f"The dataset `{name}` has no version {version}",
            hint=f"{known} (see `noria data log {name}`)",
            details={"name": name, "version": version, "latest": latest},
        )


class DatasetNotYet(NotFound):
    """The dataset exists, but had no version at that moment."""

    code = "dataset_not_yet"

    def __init__(self, name: str, moment: datetime) -> None:
        super().__init__(
            f"The dataset `{name}` had no version yet at {moment.isoformat()}",
            hint=f"See the times in `noria data log {name}`; they are in UTC",
            details={"name": name, "at": moment.isoformat()},
        )


class DatasetTagNotFound(NotFound):
    """The dataset exists, but has no such tag."""

    code = "dataset_tag_not_found"

    def __init__(self, name: str, tag: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = near(tag, names)
        listed = ", ".join(f"`{each}`" for each in names[:10]) or "none"
        hint = f"Did you mean `{name}@{close}`?" if close else f"Its tags: {listed}"
        super().__init__(
            f"The dataset `{name}` has no tag `{tag}`", hint=hint, details={"name": name, "tag": tag}
        )


class DatasetVersionTagged(Conflict):
    """A tag stands on the version."""

    code = "dataset_version_tagged"

    def __init__(self, name: str, version: int, tags: list[str]) -> None:
        super().__init__(
            f"`{name}@{version}` cannot be removed: it has the tag `{tags[0]}`",
            hint=f"Take it away first: `noria data tag {name} {tags[0]} --delete`",
            details={"name": name, "version": version, "tags": tags},
        )


class Datasets(Service):
    """Named lines of immutable versions."""

    @operation("GET", "/projects/{project}/datasets", needs=READ_DATA)
    def list(self, project: str, limit: int = 100, after: str = "") -> DatasetPage:
        """List datasets in the order of their names, from the one that follows `after`."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(datasets.c.id, datasets.c.name, datasets.c.latest, datasets.c.created_at)
                .where(datasets.c.project_pk == project_pk(connection, project))
                .where(datasets.c.name > after, datasets.c.latest > 0)
                .order_by(datasets.c.name)
                .limit(bound + 1)
            )
            rows = connection.execute(query).mappings().all()
        items = [Dataset(project=project, **row) for row in rows[:bound]]
        return DatasetPage(items=items, next=items[-1].name if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/datasets/{name}", needs=READ_DATA)
    def get(self, project: str, name: str) -> Dataset:
        """Get one dataset."""
        with self.context.database.read() as connection:
            row = find_dataset(connection, project, name)
            if row is None:
                raise unknown_dataset(connection, project, name)
        return Dataset(
            id=row["id"], project=project, name=name, latest=row["latest"], created_at=row["created_at"]
        )

    @operation("POST", "/projects/{project}/datasets/{name}/versions", needs=WRITE_DATA)
    def add(self, project: str, name: str, new: NewDatasetVersion) -> DatasetVersion:
        """Add a version whose objects were uploaded before.

        Content equal to the newest version's makes no new version: the newest one is returned.
        """
        with self.context.database.write() as connection:
            return self.add_in(connection, project, name, new)

    def add_in(
        self, connection: sa.Connection, project: str, name: str, new: NewDatasetVersion
    ) -> DatasetVersion:
        """Add a version in a transaction of the caller's, which commits it together with something else."""
        check_name("dataset", name)
        dataset = _find_or_create(self, connection, project, name)
        newest = _newest(connection, dataset)
        if newest is not None and newest["digest"] == new.digest:
            return version_of(project, name, newest)
        if new.follows not in {None, dataset["latest"]}:
            raise DatasetMoved(name, follows=new.follows, latest=dataset["latest"])
        values = self._next_version(dataset, new)
        add_tree_reference(
            connection,
            self.context.clock,
            self.context.objects,
            project=project,
            digest=new.digest,
            owner=f"dataset:{values['id']}",
        )
        connection.execute(sa.insert(dataset_versions).values(dataset_pk=dataset["pk"], **values))
        connection.execute(
            sa.update(datasets)
            .where(datasets.c.pk == dataset["pk"])
            .values(latest=values["version"], last_number=values["version"])
        )
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=DATASET_VERSION_ADDED,
            subject=f"dataset:{name}@{values['version']}",
            project=project,
            payload={"digest": new.digest, "version": values["version"], "n_rows": new.n_rows},
        )
        return version_of(project, name, values)

    @operation("GET", "/projects/{project}/datasets/{name}/versions", needs=READ_DATA)
    def log(self, project: str, name: str, limit: int = 50, before: int | None = None) -> DatasetVersionPage:
        """List versions, newest first, without profiles."""
        bound = max(1, min(limit, 1000))
        columns = [column for column in VERSION_COLUMNS if column is not dataset_versions.c.profile]
        with self.context.database.read() as connection:
            dataset = find_dataset(connection, project, name)
            if dataset is None:
                raise unknown_dataset(connection, project, name)
            query = (
                sa.select(*columns)
                .where(dataset_versions.c.dataset_pk == dataset["pk"])
                .order_by(dataset_versions.c.version.desc())
                .limit(bound + 1)
            )
            if before is not None:
                query = query.where(dataset_versions.c.version < before)
            rows = connection.execute(query).mappings().all()
        items = [version_of(project, name, {**row, "profile": None}) for row in rows[:bound]]
        return DatasetVersionPage(items=items, next=items[-1].version if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/datasets/{name}/versions/{version}", needs=READ_DATA)
    def version(self, project: str, name: str, version: int) -> DatasetVersion:
        """Get one version with its profile."""
        with self.context.database.read() as connection:
            dataset = find_dataset(connection, project, name)
            if dataset is None:
                raise unknown_dataset(connection, project, name)
            query = (
                sa.select(*VERSION_COLUMNS)
                .where(dataset_versions.c.dataset_pk == dataset["pk"])
                .where(dataset_versions.c.version == version)
            )
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise DatasetVersionNotFound(name, version, latest=dataset["latest"])
        return version_of(project, name, row)

    @operation("GET", "/projects/{project}/dataset-refs/{ref}", needs=READ_DATA)
    def resolve(self, project: str, ref: str) -> DatasetVersion:
        """Get the version that `name`, `name@latest`, `name@3`, `name@2026-01-31` or `name@tag` means."""
        name, selector = split_ref(ref)
        moment = moment_of(selector) if selector else None
        if moment is not None:
            return self.as_of(project, name, at=moment)
        if selector and selector != "latest" and not selector.isdecimal():
            return self.version(project, name, self._tagged(project, name, selector))
        name, version = parse_dataset_ref(ref)
        return self.version(project, name, version or self.get(project, name).latest)

    @operation("GET", "/projects/{project}/datasets/{name}/as-of", needs=READ_DATA)
    def as_of(self, project: str, name: str, at: datetime | None = None) -> DatasetVersion:
        """Get the version that was the newest at a moment; without one, the newest."""
        dataset = self.get(project, name)
        moment = at or self.context.clock.now()
        with self.context.database.read() as connection:
            query = (
                sa.select(*VERSION_COLUMNS)
                .join(datasets, datasets.c.pk == dataset_versions.c.dataset_pk)
                .where(datasets.c.id == dataset.id)
                .where(dataset_versions.c.created_at <= moment)
                .order_by(dataset_versions.c.version.desc())
                .limit(1)
            )
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise DatasetNotYet(name, moment)
        return version_of(project, name, row)

    @operation("PUT", "/projects/{project}/datasets/{name}/versions/{version}", needs=WRITE_DATA)
    def bring(self, project: str, name: str, version: int, brought: BroughtVersion) -> DatasetVersion:
        """Add a version that was added elsewhere, under the number that it has there."""
        check_name("dataset", name)
        if version < 1:
            raise Invalid(f"`{version}` is no number of a version", hint="They begin at 1")
        with self.context.database.write(durable=True) as connection:
            dataset = _find_or_create(self, connection, project, name)
            found = _numbered(connection, dataset, version)
            if found is not None:
                if found["digest"] != brought.digest:
                    raise VersionsDiverged(f"{name}@{version}", here=found["digest"], there=brought.digest)
                return version_of(project, name, found)
            return self._keep_brought(connection, dataset, project, name, version, brought)

    def _keep_brought(
        self,
        connection: sa.Connection,
        dataset: Any,
        project: str,
        name: str,
        version: int,
        brought: BroughtVersion,
    ) -> DatasetVersion:
        caller = self.context.principal.name
        values = {**msgspec.structs.asdict(brought), "id": new_id(), "version": version}
        values["author"] = brought.author if caller == "local" else caller
        manifest = add_tree_reference(
            connection,
            self.context.clock,
            self.context.objects,
            project=project,
            digest=brought.digest,
            owner=f"dataset:{values['id']}",
        )
        values |= {"n_files": len(manifest.entries), "size_bytes": manifest.size_bytes}
        connection.execute(sa.insert(dataset_versions).values(dataset_pk=dataset["pk"], **values))
        latest, last = max(dataset["latest"], version), max(dataset["last_number"], version)
        mine = sa.update(datasets).where(datasets.c.pk == dataset["pk"])
        connection.execute(mine.values(latest=latest, last_number=last))
        append(
            connection,
            self.context.clock,
            actor=caller,
            type=DATASET_VERSION_ADDED,
            subject=f"dataset:{name}@{version}",
            project=project,
            payload={"digest": brought.digest, "version": version, "n_rows": brought.n_rows},
        )
        return version_of(project, name, values)

    @operation("DELETE", "/projects/{project}/datasets/{name}/versions/{version}", needs=WRITE_DATA)
    def remove_version(self, project: str, name: str, version: int) -> None:
        """Remove a version; its number is not given again, and `noria gc` frees what nothing else refers to."""
        with self.context.database.write(durable=True) as connection:
            remove_versions(self, connection, project, name, version=version)

    @operation("DELETE", "/projects/{project}/datasets/{name}", needs=WRITE_DATA)
    def remove(self, project: str, name: str) -> None:
        """Remove all versions of a dataset, and its tags; one that is added later counts on."""
        with self.context.database.write(durable=True) as connection:
            remove_versions(self, connection, project, name)

    def _tagged(self, project: str, name: str, tag: str) -> int:
        with self.context.database.read() as connection:
            dataset = find_dataset(connection, project, name)
            if dataset is None:
                raise unknown_dataset(connection, project, name)
            tags = dataset_tags
            query = sa.select(tags.c.tag, tags.c.version).where(tags.c.dataset_pk == dataset["pk"])
            known = {row.tag: row.version for row in connection.execute(query)}
        if tag not in known:
            raise DatasetTagNotFound(name, tag, known)
        return int(known[tag])

    def _next_version(self, dataset: Any, new: NewDatasetVersion) -> dict[str, Any]:
        caller = self.context.principal.name
        return {
            "id": new_id(),
            "version": dataset["last_number"] + 1,
            "digest": new.digest,
            "kind": new.kind,
            "author": new.author if caller == "local" and new.author else caller,
            "message": new.message,
            "parent": dataset["latest"] or None,
            "n_files": new.n_files,
            "size_bytes": new.size_bytes,
            "n_rows": new.n_rows,
            "profile": new.profile,
            "created_at": self.context.clock.now(),
        }


VERSION_COLUMNS = [
    dataset_versions.c[name]
    for name in (
        "id",
        "version",
        "digest",
        "kind",
        "author",
        "message",
        "parent",
        "n_files",
        "size_bytes",
        "n_rows",
        "profile",
        "created_at",
    )
]


def find_dataset(connection: sa.Connection, project: str, name: str) -> Any | None:
    """Give the row of a dataset, or None if there is none."""
    query = (
        sa.select(
            datasets.c.pk,
            datasets.c.id,
            datasets.c.latest,
            datasets.c.last_number,
            datasets.c.created_at,
        )
        .where(datasets.c.project_pk == project_pk(connection, project))
        .where(datasets.c.name == name)
    )
    return connection.execute(query).mappings().one_or_none()


def _find_or_create(service: Service, connection: sa.Connection, project: str, name: str) -> Any:
    new = {
        "id": new_id(),
        "project_pk": project_pk(connection, project),
        "name": name,
        "latest": 0,
        "last_number": 0,
        "created_at": service.context.clock.now(),
    }
    # Two first versions at once must meet on one row; on PostgreSQL the update locks it until the commit.
    insert = service.context.database.insert(datasets).values(**new)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["project_pk", "name"], set_={"name": name})
    )
    return find_dataset(connection, project, name)


def _newest(connection: sa.Connection, dataset: Any) -> Any | None:
    return _numbered(connection, dataset, dataset["latest"])


def _numbered(connection: sa.Connection, dataset: Any, version: int) -> Any | None:
    query = (
        sa.select(*VERSION_COLUMNS)
        .where(dataset_versions.c.dataset_pk == dataset["pk"])
        .where(dataset_versions.c.version == version)
    )
    return connection.execute(query).mappings().one_or_none()


def version_of(project: str, name: str, row: Any) -> DatasetVersion:
    """Give a version of a row that has the columns of `VERSION_COLUMNS`."""
    return DatasetVersion(project=project, name=name, **{**row, "kind": DatasetKind(row["kind"])})


def unknown_dataset(connection: sa.Connection, project: str, name: str) -> NotFound:
    """Make the error for a dataset that is not there, with the names that are."""
    query = (
        sa.select(datasets.c.name).where(datasets.c.project_pk == project_pk(connection, project)).limit(1000)
    )
    return unknown_name("dataset", name, connection.execute(query).scalars(), see="noria data list")


def remove_versions(
    service: Service, connection: sa.Connection, project: str, name: str, *, version: int | None = None
) -> None:
    """Remove one version, which must have no tag, or all of them with their tags.

    Raises
    ------
    NotFound
        If there is no such dataset or version.
    DatasetVersionTagged
        If the version has a tag.
    """
    dataset = find_dataset(connection, project, name)
    if dataset is None or (version is None and not dataset["latest"]):
        raise unknown_dataset(connection, project, name)
    of_dataset = dataset_versions.c.dataset_pk == dataset["pk"]
    query = sa.select(dataset_versions.c.id, dataset_versions.c.version, dataset_versions.c.digest)
    chosen = query.where(of_dataset).order_by(dataset_versions.c.version)
    if version is not None:
        chosen = chosen.where(dataset_versions.c.version == version)
    rows = connection.execute(chosen).all()
    if not rows:
        raise DatasetVersionNotFound(name, version or 0, latest=dataset["latest"])
    _remove_tags(connection, dataset["pk"], name, version)
    for row in rows:
        drop_owner(connection, f"dataset:{row.id}")
        connection.execute(sa.delete(dataset_versions).where(dataset_versions.c.id == row.id))
        append(
            connection,
            service.context.clock,
            actor=service.context.principal.name,
            type=DATASET_VERSION_REMOVED,
            subject=f"dataset:{name}@{row.version}",
            project=project,
            payload={"digest": row.digest, "version": row.version},
        )
    newest = sa.select(sa.func.coalesce(sa.func.max(dataset_versions.c.version), 0)).where(of_dataset)
    connection.execute(
        sa.update(datasets).where(datasets.c.pk == dataset["pk"]).values(latest=newest.scalar_subquery())
    )


def _remove_tags(connection: sa.Connection, dataset_pk: int, name: str, version: int | None) -> None:
    """Remove the tags of a dataset that goes as a whole; refuse to remove a version that has one."""
    mine = dataset_tags.c.dataset_pk == dataset_pk
    if version is None:
        connection.execute(sa.delete(dataset_tags).where(mine))
        return
    query = sa.select(dataset_tags.c.tag).where(mine, dataset_tags.c.version == version)
    tags = list(connection.execute(query.order_by(dataset_tags.c.tag)).scalars())
    if tags:
        raise DatasetVersionTagged(name, version, tags)
