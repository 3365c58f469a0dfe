"""Datasets and their versions."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from noria.core.errors import Conflict, Invalid
from noria.core.names import check_name, split_ref
from noria.core.serialisation import Instant
from noria.data.moments import moment_of


class DatasetKind(enum.StrEnum):
    """How the content of a version is laid out in its files."""

    FILES = "files"
    ARRAYS = "arrays"
    TABLE = "table"


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A named line of versions.

    Attributes
    ----------
    latest
        Number of the newest version; 0 while there is none.
    """

    id: str
    project: str
    name: str
    latest: int
    created_at: datetime


class NewDatasetVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Content to add as the next version. Its objects were uploaded to the project before.

    Attributes
    ----------
    digest
        Digest of the manifest.
    n_rows
        Rows of a table, or length of the arrays' first axis; None for plain files.
    profile
        Statistics per column, as `noria.core.stats.profiles` makes them.
    author
        Used when the caller is the local owner; a signed-in caller is the author whatever is said here.
    follows
        The version that must be the newest one still (0: there must be none), for content that was made of it. None
        means that the content stands for itself.
    """

    digest: str
    kind: DatasetKind
    n_files: int
    size_bytes: int
    message: str = ""
    n_rows: int | None = None
    profile: dict[str, Any] | None = None
    author: str | None = None
    follows: int | None = None


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a dataset. It never changes.

    Attributes
    ----------
    version
        Counts from 1 within the dataset.
    parent
        The version that was newest when this one was added; None for the first.
    """

    id: str
    project: str
    name: str
    version: int
    digest: str
    kind: DatasetKind
    author: str
    message: str
    parent: int | None
    n_files: int
    size_bytes: int
    n_rows: int | None
    profile: dict[str, Any] | None
    created_at: datetime

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


class DatasetMoved(Conflict):
    """The dataset got a version since the one that new content was made of."""

    code = "dataset_moved"

    def __init__(self, name: str, *, follows: int, latest: int) -> None:
        super().__init__(
            f"The newest version of `{name}` is {latest}, not {follows}, which the new content was made of",
            hint=f"Make it again of `{name}@{latest}`",
            details={"name": name, "follows": follows, "latest": latest},
        )


class VersionsDiverged(Conflict):
    """Two places have other content under the same number."""

    code = "versions_diverged"

    def __init__(self, ref: str, *, here: str, there: str) -> None:
        super().__init__(
            f"`{ref}` is `{here}` here, and `{there}` there",
            hint="Both were added on their own: bring the other one under another name with `--as NAME`,"
            " or push to another remote",
            details={"ref": ref, "here": here, "there": there},
        )


class BroughtVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that was added elsewhere and keeps its number. Its objects were uploaded to the project before."""

    digest: str
    kind: DatasetKind
    author: str
    message: str
    parent: int | None
    n_rows: int | None
    profile: dict[str, Any] | None
    created_at: Instant


class DatasetPage(msgspec.Struct, frozen=True, kw_only=True):
    """Datasets in the order of their names; `next` continues."""

    items: list[Dataset]
    next: str | None


class DatasetVersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first, without their profiles; `next` continues."""

    items: list[DatasetVersion]
    next: int | None


class DatasetTag(msgspec.Struct, frozen=True, kw_only=True):
    """A name for one version of a dataset, which may be given to another one: `digits@gold`.

    Attributes
    ----------
    at
        When it was given to this version.
    """

    tag: str
    version: int
    author: str
    at: datetime


class DatasetTagList(msgspec.Struct, frozen=True, kw_only=True):
    """The tags of a dataset, in the order of their names."""

    items: list[DatasetTag]


class TaggedVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version that a tag is to lead to."""

    version: int


def check_tag(tag: str) -> str:
    """Give `tag` back if it can stand behind the `@` of a reference.

    Raises
    ------
    Invalid
        If it is no name, or if it would be taken for a version or a time.
    """
    check_name("tag", tag)
    if tag == "latest" or tag.isdecimal() or moment_of(tag) is not None:
        raise Invalid(
            f"`{tag}` cannot be a tag: behind `@` it means a version", hint=f"Choose a word, such as `v{tag}`"
        )
    return tag


def check_dataset_ref(ref: str) -> tuple[str, str | None]:
    """Split a reference into name and selector (None: the newest version), checked.

    Raises
    ------
    Invalid
        If what follows `@` can be neither a version nor a moment nor a tag.
    """
    name, selector = split_ref(ref)
    if selector is None or selector == "latest":
        return name, None
    if moment_of(selector) is None and not _could_be_tag(selector):
        parse_dataset_ref(ref)
    return name, selector


def _could_be_tag(selector: str) -> bool:
    try:
        check_tag(selector)
    except Invalid:
        return False
    return True


def parse_dataset_ref(ref: str) -> tuple[str, int | None]:
    """Split `name`, `name@latest` or `name@3` into name and version (None: the newest).

    Raises
    ------
    Invalid
        If what follows `@` is no version.
    """
    name, selector = split_ref(ref)
    if selector is None or selector == "latest":
        return name, None
    if not selector.isdecimal() or int(selector) < 1:
        raise Invalid(
            f"`{selector}` in `{ref}` is not a version",
            hint=f"Write `{name}@1`, `{name}@latest`, or a time as in `{name}@2026-01-31`",
        )
    return name, int(selector)
