"""Consents to load pickles: who let the files of a digest be loaded, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict
from noria.core.operations import Service, operation
from noria.registry.changes import Change
from noria.registry.entities import ConsentList, ModelVersion
from noria.registry.events import PICKLE_CONSENT_GIVEN, PICKLE_CONSENT_WITHDRAWN
from noria.registry.permissions import CONSENT_TO_PICKLES, READ_MODELS
from noria.registry.rows import CONSENT_COLUMNS, find_model, get_version, read_consent
from noria.registry.rules import files_of
from noria.registry.tables import pickle_consents


class Consents(Service):
    """Who let which pickles be loaded.

    Loading a pickle runs the code in it. A consent is bound to the digest of the files, so it holds for every version
    with these very files in the project, and for no other files.
    """

    @operation(
        "PUT", "/projects/{project}/models/{name}/versions/{version}/consent", needs=CONSENT_TO_PICKLES
    )
    def give(self, project: str, name: str, version: int) -> ModelVersion:
        """Let the pickles of a version be loaded; a consent that was given stays as it was."""
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            found = get_version(change.connection, model, version)
            if not found.pickled:
                raise Conflict(f"`{found.ref}` holds no pickles that are known", hint="It needs no consent")
            if found.consent is not None:
                return found
            change.connection.execute(
                sa.insert(pickle_consents).values(
                    project_pk=model.project_pk,
                    digest=files_of(found),
                    ref=found.ref,
                    given_by=self.context.principal.name,
                    given_at=change.now,
                )
            )
            payload = {"version": version, "digest": found.digest}
            change.tell(PICKLE_CONSENT_GIVEN, found.ref, payload)
            return get_version(change.connection, model, version)

    @operation(
        "DELETE", "/projects/{project}/models/{name}/versions/{version}/consent", needs=CONSENT_TO_PICKLES
    )
    def withdraw(self, project: str, name: str, version: int) -> ModelVersion:
        """Let the pickles of a version be loaded no longer; what is in memory stays until its server restarts."""
        with self._change(project) as change:
            model = find_model(change.connection, project, name, lock=True)
            found = get_version(change.connection, model, version)
            if found.consent is None:
                return found
            change.connection.execute(
                sa.delete(pickle_consents)
                .where(pickle_consents.c.project_pk == model.project_pk)
                .where(pickle_consents.c.digest == found.digest)
            )
            payload = {"version": version, "digest": found.digest}
            change.tell(PICKLE_CONSENT_WITHDRAWN, found.ref, payload)
            return get_version(change.connection, model, version)

    @operation("GET", "/projects/{project}/pickle-consents", needs=READ_MODELS)
    def list(self, project: str) -> ConsentList:
        """List the consents that hold in a project, newest first."""
        with self.context.database.read() as connection:
            query = (
                sa.select(*CONSENT_COLUMNS)
                .where(pickle_consents.c.project_pk == project_pk(connection, project))
                .order_by(pickle_consents.c.given_at.desc(), pickle_consents.c.digest)
            )
            items = [read_consent(row) for row in connection.execute(query)]
        return ConsentList(items=items)

    @contextmanager
    def _change(self, project: str) -> Iterator[Change]:
        with self.context.database.write(durable=True) as connection:
            yield Change(self.context, connection, project)
