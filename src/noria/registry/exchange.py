"""Move a version from one workspace to another, as from development to production: the same files, one digest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from noria.core.config import Settings, load_settings
from noria.core.errors import Corrupt, Invalid
from noria.core.names import check_name
from noria.core.objects.store import ObjectReader, ObjectWriter
from noria.core.objects.trees import put_manifest, read_manifest
from noria.core.workspace import Workspace
from noria.registry.entities import AliasTarget, ModelVersion, NewModelVersion, ServableVersion, TagChanges
from noria.registry.rows import ModelNotFound
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.versions import ModelVersions

ORIGIN_TAG = "noria.moved_from"
"""Tag of a moved version: the workspace, when it is a server, the project, and what it was called there."""

_OF_ONE_WORKSPACE = ("NORIA_WORKSPACE", "NORIA_PROJECT", "NORIA_DATABASE", "NORIA_OBJECTS", "NORIA_TOKEN")
_PAGE = 1000


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was moved.

    Attributes
    ----------
    version
        As it stands in the other workspace.
    n_sent, sent_bytes
        Objects that were not there yet.
    was_there
        Whether the model had a version of these very files already; that one stays.
    """

    version: ModelVersion
    n_sent: int
    sent_bytes: int
    was_there: bool


def other_workspace(
    location: str,
    *,
    project: str,
    environ: Mapping[str, str] | None = None,
    token_variable: str = "NORIA_TOKEN",  # noqa: S107 - the name of a variable
) -> Settings:
    """Give the settings of a workspace beside the one that is worked in, whose settings say nothing about it.

    Parameters
    ----------
    location
        Its folder, which exists, or the address of its server.
    token_variable
        Environment variable with the token for its server.

    Raises
    ------
    Invalid
        If there is no such folder.
    """
    env = os.environ if environ is None else environ
    rest = {name: value for name, value in env.items() if name not in _OF_ONE_WORKSPACE}
    if env.get(token_variable):
        rest["NORIA_TOKEN"] = env[token_variable]
    if location.startswith(("http://", "https://")):
        return load_settings(workspace=location, project=project, environ=rest)
    folder = Path(location).expanduser().resolve()
    if not folder.is_dir():
        raise Invalid(
            f"There is no workspace `{location}`",
            hint=f"Name a folder that is there (`mkdir -p {location}` for a new one) or a server's address",
        )
    return load_settings(workspace=str(folder), project=project, environ=rest, folder=folder)


def move_version(
    source: Workspace, ref: str, target: Workspace, *, name: str | None = None, alias: str | None = None
) -> Moved:
    """Copy a version's files to another workspace and register them there.

    What it is made of is the same there to the last byte, and so is its digest; its number is the next one there.
    Aliases, stages, descriptions and consents stay behind: each workspace has its own. What was moved before is not
    moved again.

    Parameters
    ----------
    ref
        `model`, `model@version` or `model@alias` in the source.
    name
        Model in the target; the same one when left out.
    alias
        To point at the version in the target, if its gates let it.

    Raises
    ------
    NotServable
        If its files, format, signature or task are not known.
    Invalid
        If it is to be moved to where it is.
    Corrupt
        If the source holds other bytes than the digest says.
    """
    version = servable(source.service(Models).resolve(source.project, ref))
    model = name or version.model
    check_name("model", model)
    if _place(source, version.project, version.model) == _place(target, target.project, model):
        raise Invalid(
            f"`{version.ref}` is in that workspace and project already",
            hint="Name another workspace, project (`--to-project`) or model (`--name`)",
        )
    n_sent, sent_bytes = _send(source, version, target)
    there = same_files(target, model, version.digest)
    moved = there or _register(source, version, target, model)
    if alias is not None:
        chosen = AliasTarget(version=moved.version)
        moved = target.service(Models).set_alias(target.project, model, alias, chosen)
    return Moved(version=moved, n_sent=n_sent, sent_bytes=sent_bytes, was_there=there is not None)


def _place(workspace: Workspace, project: str, model: str) -> tuple[str, str, str]:
    settings = workspace.settings
    return settings.workspace if settings.is_remote else settings.database_url, project, model


def _send(source: Workspace, version: ServableVersion, target: Workspace) -> tuple[int, int]:
    mine, theirs = source.objects(version.project), target.objects()
    manifest = read_manifest(mine, version.digest)
    sizes = {entry.digest: entry.size_bytes for entry in manifest.entries}
    missing = sorted(theirs.missing(sizes))
    for digest in missing:
        theirs.put(mine.open(digest), expected=digest)
    _send_environment(mine, version, theirs)
    made = put_manifest(theirs, manifest)
    if made.digest != version.digest:
        raise Corrupt(f"The files of `{version.ref}` are `{made.digest}` there, and `{version.digest}` here")
    return len(missing), sum(sizes[digest] for digest in missing)


def _send_environment(mine: ObjectReader, version: ServableVersion, theirs: ObjectWriter) -> None:
    digest = version.origin.environment
    if digest is not None:
        theirs.put(mine.open(digest), expected=digest)


def same_files(target: Workspace, model: str, digest: str) -> ModelVersion | None:
    """Find the newest version of a model that has these files; None when there is none, or no such model."""
    service, before = target.service(Models), None
    try:
        while True:
            page = service.versions(target.project, model, limit=_PAGE, before=before)
            for version in page.items:
                if version.digest == digest:
                    return version
            if page.next is None:
                return None
            before = page.next
    except ModelNotFound:
        return None


def as_new(version: ServableVersion) -> NewModelVersion:
    """Give what registers the same version elsewhere, once its files are there."""
    return NewModelVersion(
        digest=version.digest,
        format=version.format,
        task=version.task,
        signature=version.signature,
        classes=version.classes,
        holdout=version.holdout,
        metrics=version.metrics,
        origin=version.origin,
        message=version.message,
        author=version.author,
    )


def _register(source: Workspace, version: ServableVersion, target: Workspace, model: str) -> ModelVersion:
    made = target.service(Models).register(target.project, model, as_new(version))
    place = f"{source.settings.workspace}/" if source.settings.is_remote else ""
    tags: dict[str, str | None] = {**version.tags, ORIGIN_TAG: f"{place}{version.project}/{version.ref}"}
    return target.service(ModelVersions).tag(target.project, model, made.version, TagChanges(tags=tags))
