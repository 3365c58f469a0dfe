"""Operations on tags: names that lead to a version, and may be given to another one."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.events.log import EventType, append
from noria.core.operations import Service, operation
from noria.data.entities import DatasetTag, DatasetTagList, TaggedVersion, check_tag
from noria.data.events import DATASET_TAG_DELETED, DATASET_TAG_SET
from noria.data.permissions import READ_DATA, WRITE_DATA
from noria.data.service import DatasetTagNotFound, DatasetVersionNotFound, find_dataset, unknown_dataset
from noria.data.tables import dataset_tags, dataset_versions


class DatasetTags(Service):
    """Tags of the versions of a dataset."""

    @operation("GET", "/projects/{project}/datasets/{name}/tags", needs=READ_DATA)
    def list(self, project: str, name: str) -> DatasetTagList:
        """List the tags of a dataset."""
        with self.context.database.read() as connection:
            key, _ = _dataset(connection, project, name)
            tags = dataset_tags
            query = sa.select(tags.c.tag, tags.c.version, tags.c.author, tags.c.at)
            rows = connection.execute(query.where(tags.c.dataset_pk == key).order_by(tags.c.tag)).mappings()
            return DatasetTagList(items=[DatasetTag(**row) for row in rows])

    @operation("PUT", "/projects/{project}/datasets/{name}/tags/{tag}", needs=WRITE_DATA)
    def set(self, project: str, name: str, tag: str, target: TaggedVersion) -> DatasetTag:
        """Let a tag lead to a version; one that led to another version leads there no longer."""
        check_tag(tag)
        with self.context.database.write(durable=True) as connection:
            key, latest = _dataset(connection, project, name)
            _check_version(connection, key, name, target.version, latest)
            before = _version_of(connection, key, tag)
            made = DatasetTag(
                tag=tag,
                version=target.version,
                author=self.context.principal.name,
                at=self.context.clock.now(),
            )
            if before == target.version:
                return made
            values = {"version": made.version, "author": made.author, "at": made.at}
            insert = self.context.database.insert(dataset_tags).values(dataset_pk=key, tag=tag, **values)
            connection.execute(
                insert.on_conflict_do_update(index_elements=["dataset_pk", "tag"], set_=values)
            )
            payload: dict[str, str | int] = {"tag": tag, "version": made.version, "before": before or 0}
            self._tell(connection, DATASET_TAG_SET, project, name, payload)
        return made

    @operation("DELETE", "/projects/{project}/datasets/{name}/tags/{tag}", needs=WRITE_DATA)
    def delete(self, project: str, name: str, tag: str) -> None:
        """Take a tag away; the version stays."""
        with self.context.database.write(durable=True) as connection:
            key, _ = _dataset(connection, project, name)
            before = _version_of(connection, key, tag)
            if before is None:
                known = sa.select(dataset_tags.c.tag).where(dataset_tags.c.dataset_pk == key)
                raise DatasetTagNotFound(name, tag, connection.execute(known).scalars())
            mine = (dataset_tags.c.dataset_pk == key, dataset_tags.c.tag == tag)
            connection.execute(sa.delete(dataset_tags).where(*mine))
            self._tell(connection, DATASET_TAG_DELETED, project, name, {"tag": tag, "version": before})

    def _tell(
        self,
        connection: sa.Connection,
        kind: EventType,
        project: str,
        name: str,
        payload: dict[str, str | int],
    ) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=f"dataset:{name}@{payload['version']}",
            project=project,
            payload=payload,
        )


def _dataset(connection: sa.Connection, project: str, name: str) -> tuple[int, int]:
    found = find_dataset(connection, project, name)
    if found is None:
        raise unknown_dataset(connection, project, name)
    return found["pk"], found["latest"]


def _check_version(connection: sa.Connection, key: int, name: str, version: int, latest: int) -> None:
    # Locked on PostgreSQL, so that it is not removed before the tag stands on it.
    query = sa.select(dataset_versions.c.pk).where(dataset_versions.c.dataset_pk == key)
    query = query.where(dataset_versions.c.version == version).with_for_update(read=True, key_share=True)
    if connection.execute(query).first() is None:
        raise DatasetVersionNotFound(name, version, latest=latest)


def _version_of(connection: sa.Connection, key: int, tag: str) -> int | None:
    query = sa.select(dataset_tags.c.version)
    return connection.execute(
        query.where(dataset_tags.c.dataset_pk == key, dataset_tags.c.tag == tag)
    ).scalar()
