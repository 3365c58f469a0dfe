"""Operations on single versions: where they come from, what is said of them, where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.registry.changes import Change, owner_of
from noria.registry.entities import (
    Description,
    DownloadPlace,
    ModelVersion,
    ModelVersionPage,
    Origin,
    SourceVersion,
    StageMove,
    TagChanges,
)
from noria.registry.events import MODEL_VERSION_TAG_DELETED, MODEL_VERSION_TAG_SET, MODEL_VERSION_UPDATED
from noria.registry.held import hold
from noria.registry.permissions import PROMOTE_MODELS, READ_MODELS, REGISTER_MODELS
from noria.registry.rows import find_model, get_version, newest_of
from noria.registry.rules import check_archiving, check_description, check_source, check_tags, parse_stage
from noria.registry.snapshots import digest_of, keep_tree, read_tree
from noria.registry.tables import model_version_tags, model_versions


class ModelVersions(Service):
    """Versions one by one. What a version is made of never changes; what is said of it does."""

    @operation("POST", "/projects/{project}/models/{name}/source-versions", needs=REGISTER_MODELS)
    def register(self, project: str, name: str, new: SourceVersion) -> ModelVersion:
        """Register a version of an existing model from where its files lie.

        Files that lie in this workspace are held on to as they are now. Format, signature and task are what their
        `MLmodel` file says; without one, or with files elsewhere, they are not known.
        """
        check_source(new)
        held = hold(self.context, project, new)
        with self._change(project) as change:
            connection = change.connection
            model = find_model(connection, project, name, lock=True)
            identity = new_id()
            if held.digest is not None:
                keep_tree(
                    connection,
                    self.context,
                    project=project,
                    digest=held.digest,
                    held_by=held.project,
                    owner=owner_of(identity),
                )
            values = {
                **held.values,
                "id": identity,
                "message": "",
                "author": self.context.principal.name,
                "created_at": new.created_at or change.now,
                "description": new.description,
                "source": new.source,
                "run_link": new.run_link,
                "model_id": new.model_id,
            }
            key, number = change.insert_version(
                model, values, number=new.number, origin=Origin(run_id=new.run_id)
            )
            change.set_tags(model_version_tags.c.version_pk, key, new.tags)
            return get_version(connection, model, number)

    @operation("GET", "/projects/{project}/models/{name}/newest", needs=READ_MODELS)
    def newest(self, project: str, name: str, stages: list[str] | None = None) -> ModelVersionPage:
        """List the newest version of each stage, or of the given stages."""
        wanted = [parse_stage(stage) for stage in stages] if stages else None
        with self.context.database.read() as connection:
            model = find_model(connection, project, name)
            found = newest_of(connection, [model.pk], wanted).get(model.pk, [])
        return ModelVersionPage(items=found, next=None)

    @operation(
        "PUT", "/projects/{project}/models/{name}/versions/{version}/description", needs=REGISTER_MODELS
    )
    def describe(self, project: str, name: str, version: int, description: Description) -> ModelVersion:
        """Say what a version is about."""
        check_description(description.text)
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            get_version(change.connection, model, version)
            change.touch_version(model, version, description=description.text)
            change.tell(MODEL_VERSION_UPDATED, f"{model.name}@{version}", {"version": version})
            return get_version(change.connection, model, version)

    @operation("PATCH", "/projects/{project}/models/{name}/versions/{version}/tags", needs=REGISTER_MODELS)
    def tag(self, project: str, name: str, version: int, changes: TagChanges) -> ModelVersion:
        """Set tags of a version, and delete those that are given as null."""
        check_tags(changes.tags)
        with self._change(project) as change:
            connection = change.connection
            model = find_model(connection, project, name, lock=True)
            found = get_version(connection, model, version)
            key = connection.execute(
                sa.select(model_versions.c.pk).where(model_versions.c.id == found.id)
            ).scalar_one()
            change.set_tags(
                model_version_tags.c.version_pk,
                key,
                changes.tags,
                told=(MODEL_VERSION_TAG_SET, MODEL_VERSION_TAG_DELETED, found.ref, {"version": version}),
            )
            return get_version(connection, model, version)

    @operation("PUT", "/projects/{project}/models/{name}/versions/{version}/stage", needs=PROMOTE_MODELS)
    def move(self, project: str, name: str, version: int, to: StageMove) -> ModelVersion:
        """Let a version stand in another stage."""
        stage = parse_stage(to.stage)
        if to.archive_existing:
            check_archiving(stage, to.stage)
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            change.move_stage(model, version, stage, archive_existing=to.archive_existing)
            return get_version(change.connection, model, version)

    @operation("DELETE", "/projects/{project}/models/{name}/versions/{version}", needs=PROMOTE_MODELS)
    def delete(self, project: str, name: str, version: int) -> None:
        """Delete a version, which can be restored until `noria gc` removes it; its number is never given again."""
        with self._change(project) as change:
            change.delete_version(find_model(change.connection, project, name, lock=True), version)

    @operation("GET", "/projects/{project}/models/{name}/versions/{version}/place", needs=READ_MODELS)
    def place(self, project: str, name: str, version: int) -> DownloadPlace:
        """Tell where the files of a version can be had from, and whether they are still the same there."""
        with self.context.database.read() as connection:
            found = get_version(connection, find_model(connection, project, name), version)
            query = sa.select(model_versions.c.location, model_versions.c.artifacts)
            location, artifacts = connection.execute(query.where(model_versions.c.id == found.id)).one()
            lying = read_tree(connection, artifacts) if artifacts is not None else None
        return DownloadPlace(
            version_id=found.id,
            location=location,
            digest=found.digest,
            unchanged=lying is not None and digest_of(lying) == found.digest,
        )

    @contextmanager
    def _change(self, project: str) -> Iterator[Change]:
        with self.context.database.write(durable=True) as connection:
            yield Change(self.context, connection, project)
