"""Tags at a remote: they go with the versions that they lead to, and the one that was given last holds.

::

    datasets/<project>/<name>/tags/<tag>.json     a tag (`RemoteTag`)

A tag is written after its version. One that was taken away in a workspace stays at the remote, as versions do, until
somebody asks for it to be pruned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.errors import Invalid
from noria.core.names import check_name
from noria.data.entities import DatasetTag, check_tag
from noria.data.remotes.entities import RemoteCorrupt

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.data.remotes.places import Place

FORMAT: Final = "noria.tag/1"
_LIMIT_BYTES: Final = 64 * 1024
_SUFFIX: Final = ".json"


class RemoteTag(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=FORMAT):
    """A tag as a remote holds it."""

    tag: str
    version: int
    author: str
    at: datetime


def read_tag(place: Place, project: str, name: str, tag: str) -> RemoteTag | None:
    """Read a tag; None if the remote has none of this name.

    Raises
    ------
    RemoteCorrupt
        If it is damaged, or tells of another tag than its key.
    """
    key = _key(project, name, tag)
    data = place.read(key, limit_bytes=_LIMIT_BYTES)
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=RemoteTag)
    except msgspec.DecodeError as error:
        raise RemoteCorrupt(place.url, key, str(error)) from error
    if found.tag != tag or found.version < 1 or found.at.tzinfo is None:
        raise RemoteCorrupt(place.url, key, f"it tells of `{found.tag[:200]}`")
    return found


def send_tags(place: Place, project: str, tags: Iterable[tuple[str, DatasetTag]]) -> list[str]:
    """Give a remote the tags of datasets that it does not have, or that were given later than its own."""
    sent = []
    for name, each in tags:
        there = read_tag(place, project, name, each.tag)
        if there is None or (there.version != each.version and there.at < each.at):
            said = RemoteTag(tag=each.tag, version=each.version, author=each.author, at=each.at)
            place.put(_key(project, name, each.tag), msgspec.json.encode(said))
            sent.append(f"{name}@{each.tag}")
    return sent


def prune_tags(place: Place, project: str, kept: Mapping[str, Collection[str]]) -> list[str]:
    """Take away a remote's tags of some datasets, but for those that are to be kept, by dataset."""
    gone = []
    for name in sorted(kept):
        for key in sorted(place.keys(_folder(project, name))):
            tag = _tag_of(key)
            if tag is not None and tag not in kept[name]:
                place.remove(key)
                gone.append(f"{name}@{tag}")
    return gone


def bring_tags(
    workspace: Workspace, place: Place, name: str, versions: Collection[int], *, as_name: str
) -> list[str]:
    """Give a dataset here the tags that lead to some versions at a remote, unless its own were given later."""
    from noria.data.entities import TaggedVersion
    from noria.data.tags import DatasetTags

    project, service = workspace.project, workspace.service(DatasetTags)
    listed = [_tag_of(key) for key in place.keys(_folder(project, name))]
    found = [read_tag(place, project, name, tag) for tag in listed if tag is not None]
    wanted = [each for each in found if each is not None and each.version in versions]
    if not wanted:
        return []
    here = {each.tag: each for each in service.list(project, as_name).items}
    brought = []
    for each in wanted:
        own = here.get(each.tag)
        if own is None or (own.version != each.version and own.at < each.at):
            service.set(project, as_name, each.tag, TaggedVersion(version=each.version))
            brought.append(f"{as_name}@{each.tag}")
    return brought


def _folder(project: str, name: str) -> str:
    return f"datasets/{check_name('project', project)}/{check_name('dataset', name)}/tags"


def _key(project: str, name: str, tag: str) -> str:
    return f"{_folder(project, name)}/{check_tag(tag)}{_SUFFIX}"


def _tag_of(key: str) -> str | None:
    """Give the tag of a key; None if it is none that could be pushed."""
    name = key.rpartition("/")[2]
    if not name.endswith(_SUFFIX):
        return None
    tag = name.removesuffix(_SUFFIX)
    try:
        return check_tag(tag)
    except Invalid:
        return None
