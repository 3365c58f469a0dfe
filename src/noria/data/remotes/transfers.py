"""What push and pull do to a workspace as a whole."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria.core.clock import SystemClock
from noria.core.errors import Invalid, NotFound
from noria.core.names import check_name, split_ref
from noria.core.objects.drafts import scratch_folder
from noria.core.objects.opening import open_objects
from noria.data.entities import BroughtVersion, DatasetTag, DatasetVersion
from noria.data.remotes import tagging
from noria.data.remotes.entities import RemoteLine, RemoteVersion
from noria.data.remotes.places import Place, open_place
from noria.data.remotes.pushing import Pushed, Pusher, read_version
from noria.data.remotes.tagging import bring_tags, read_tag, send_tags
from noria.data.version_reads import read_tags, read_versions

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.objects.store import ObjectInfo, Progress
    from noria.core.workspace import Workspace


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What a pull did: the versions that are here now, what had to be brought for it, and tags that are new here."""

    refs: list[str]
    n_packs: int
    brought_bytes: int
    tags: list[str]


def push(
    settings: Settings,
    line: RemoteLine,
    refs: Sequence[str],
    *,
    prune_tags: bool = False,
    progress: Progress | None = None,
) -> Pushed:
    """Send versions (all of the project when `refs` is empty) with their tags to a remote; raises as `Pusher.push`.

    Parameters
    ----------
    prune_tags
        Whether tags of the datasets that are sent are taken away at the remote where this workspace has none of
        their name, whoever sent them.
    """
    root = _root(settings)
    versions = read_versions(settings, refs)
    if versions is None:
        versions = _asked(settings, refs)
    clock = SystemClock()
    objects = open_objects(settings.objects_url, clock, spool=settings.folder / "tmp")
    # In the store's own folder for what is on its way, where links lead to.
    scratch = functools.partial(scratch_folder, root if root is not None else settings.folder)
    target = open_place(line.url)
    pusher = Pusher(target, objects, root, clock, scratch=scratch)
    done = pusher.push(versions, progress=progress)
    chosen = {(version.name, version.version) for version in versions}
    here = _tags_of(settings, {name for name, _ in chosen})
    tags = send_tags(
        target, settings.project, [(name, each) for name, each in here if (name, each.version) in chosen]
    )
    kept = {name: {each.tag for owner, each in here if owner == name} for name, _ in chosen}
    pruned = tagging.prune_tags(target, settings.project, kept) if prune_tags else []
    return msgspec.structs.replace(done, tags=tags, pruned=pruned)


def _tags_of(settings: Settings, names: Collection[str]) -> list[tuple[str, DatasetTag]]:
    """Give the tags of some datasets, each with the name of its dataset."""
    tags = read_tags(settings)
    if tags is None:
        from noria.core.workspace import open_workspace
        from noria.data.tags import DatasetTags

        with open_workspace(settings) as workspace:
            service = workspace.service(DatasetTags)
            tags = [
                (name, each) for name in sorted(names) for each in service.list(settings.project, name).items
            ]
    return [(name, each) for name, each in tags if name in names]


def pull(
    workspace: Workspace,
    line: RemoteLine,
    refs: Sequence[str],
    *,
    as_name: str | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Bring versions (all of the project when `refs` is empty) from a remote, with the tags that lead to them.

    Parameters
    ----------
    as_name
        The dataset that they go to here; under their own names when left out.

    Raises
    ------
    NotFound
        If the remote has no such version.
    RemoteCorrupt, VersionsDiverged
        As `Puller.bring` and `Datasets.bring`; versions brought until then stay.
    """
    from noria.data.remotes.pulling import Puller

    settings = workspace.settings
    root = _root(settings)
    if root is None:
        raise _needs_folder("pull")
    place = open_place(line.url)
    puller = Puller(place, root, workspace.clock)
    done: list[str] = []
    n_packs, brought_bytes = 0, 0
    numbers: dict[str, set[int]] = {}
    for name, number in _chosen(place, settings.project, refs):
        version = read_version(place, settings.project, name, number)
        if version is None:
            raise NotFound(f"`{line.url}` has no version {number} of `{name}`", hint="noria data pull --list")
        brought = puller.bring(version, progress=progress)
        kept = _keep(workspace, version, as_name or name, brought.objects)
        done.append(kept.ref)
        numbers.setdefault(name, set()).add(number)
        n_packs += brought.n_packs
        brought_bytes += brought.brought_bytes
    tags = [
        tag
        for name, found in numbers.items()
        for tag in bring_tags(workspace, place, name, found, as_name=as_name or name)
    ]
    return Pulled(refs=done, n_packs=n_packs, brought_bytes=brought_bytes, tags=tags)


def _chosen(place: Place, project: str, refs: Sequence[str]) -> list[tuple[str, int]]:
    """Give names and numbers of what is to be brought."""
    from noria.data.remotes.pulling import newest, remote_versions

    if not refs:
        return remote_versions(place, project)
    chosen = []
    for ref in refs:
        name, selector = split_ref(ref)
        if selector is None or selector == "latest":
            chosen.append(
                (name, newest(remote_versions(place, project, check_name("dataset", name)), name, place.url))
            )
        elif selector.isdecimal():
            chosen.append((name, int(selector)))
        else:
            chosen.append((name, _tagged(place, project, name, selector)))
    return chosen


def _tagged(place: Place, project: str, name: str, tag: str) -> int:
    """Give the version that a tag leads to at a remote."""
    found = read_tag(place, project, name, tag)
    if found is None:
        raise NotFound(f"`{place.url}` has no tag `{tag}` of `{name}`", hint=f"Write `{name}@1`")
    return found.version


def _keep(
    workspace: Workspace, version: RemoteVersion, name: str, objects: list[ObjectInfo]
) -> DatasetVersion:
    from noria.core.objects.service import Objects
    from noria.data.service import Datasets

    workspace.service(Objects).take_in(workspace.project, objects)
    names = BroughtVersion.__struct_fields__
    brought = BroughtVersion(**{each: getattr(version, each) for each in names})
    return workspace.service(Datasets).bring(workspace.project, name, version.version, brought)


def _asked(settings: Settings, refs: Sequence[str]) -> list[DatasetVersion]:
    """Ask the service for versions."""
    from noria.core.workspace import open_workspace
    from noria.data.service import Datasets

    with open_workspace(settings) as workspace:
        service = workspace.service(Datasets)
        names = refs or [each.name for each in service.list(settings.project, limit=1000).items]
        if refs:
            return [service.resolve(settings.project, ref) for ref in names]
        listed = [
            (name, each.version) for name in names for each in service.log(settings.project, name).items
        ]
        return [service.version(settings.project, name, number) for name, number in sorted(listed)]


def _root(settings: Settings) -> Path | None:
    """Give the folder of the store; None for a bucket."""
    if settings.is_remote:
        raise _needs_folder("push and pull")
    url = settings.objects_url
    return None if "://" in url and not url.startswith("file://") else Path(url.removeprefix("file://"))


def _needs_folder(what: str) -> Invalid:
    return Invalid(
        f"To {what}, the objects of the workspace must lie in a folder of this machine",
        hint="Run it where the workspace's folder is (`-w FOLDER`); a server's data is had by `noria data checkout`",
    )
