"""What a version is made of: artifacts of a run or logged model as they are now, or another version's files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.admission import admit
from noria.registry.entities import ArtifactPlace, SourceVersion
from noria.registry.permissions import READ_MODELS
from noria.registry.rows import ModelNotFound
from noria.registry.rules import MLFLOW_FORMAT
from noria.registry.snapshots import facts_of, put_snapshot, read_tree
from noria.registry.tables import model_versions, models
from noria.tracking.permissions import READ_RUNS

if TYPE_CHECKING:
    from noria.core.context import Context

_COPIED: Final = (
    "digest",
    "format",
    "task",
    "signature",
    "classes",
    "holdout",
    "metrics",
    "location",
    "artifacts",
    "flavor",
    "pickled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a version to be registered has.

    Attributes
    ----------
    project
        Whose objects the files are.
    values
        Columns of the table of versions.
    """

    project: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """Of the manifest of the files; None when they are not in this workspace."""
        digest: str | None = self.values.get("digest")
        return digest


def hold(context: Context, project: str, new: SourceVersion) -> Held:
    """Find out what a version is made of, and store the list of its files.

    Raises
    ------
    Forbidden
        If the caller may not read where the files are.
    ModelNotFound
        If it is a copy of a version that does not exist.
    """
    if new.copy_of is not None:
        return _copied(context, new.copy_of)
    known: dict[str, Any] = {"metrics": {}, "location": new.location or new.source}
    if new.artifacts is None:
        return Held(project=project, values=known)
    return Held(
        project=new.artifacts.project,
        values={**known, "artifacts": new.artifacts, **_snapshot(context, new.artifacts)},
    )


def _copied(context: Context, version_id: str) -> Held:
    query = (
        sa.select(projects.c.name.label("project"), *(model_versions.c[name] for name in _COPIED))
        .join_from(model_versions, models, models.c.pk == model_versions.c.model_pk)
        .join(projects, projects.c.pk == models.c.project_pk)
        .where(model_versions.c.id == version_id, model_versions.c.deleted_at.is_(None))
    )
    with context.database.read() as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise ModelNotFound(f"There is no version of a model with the id `{version_id[:60]}`")
    admit(context.principal, READ_MODELS, row["project"])
    return Held(project=row["project"], values={name: row[name] for name in _COPIED})


def _snapshot(context: Context, place: ArtifactPlace) -> dict[str, Any]:
    admit(context.principal, READ_RUNS, place.project)
    with context.database.read() as connection:
        tree = read_tree(connection, place)
    if tree is None:
        return {}
    digest = put_snapshot(context, tree)
    facts = facts_of(context, digest)
    if facts is None:
        return {"digest": digest}
    return {
        "digest": digest,
        "format": MLFLOW_FORMAT,
        "task": facts.task and facts.task.value,
        "signature": facts.signature,
        "flavor": facts.flavor,
        "pickled": facts.pickled,
    }
