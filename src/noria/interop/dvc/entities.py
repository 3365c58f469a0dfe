"""What DVC's files say, and what an import did."""

from __future__ import annotations

from typing import Final

import msgspec

from noria.core.errors import Corrupt, Invalid

FOLDER_SUFFIX: Final = ".dir"
"""Ends the MD5 of a folder, which is that of the list of its files."""


class DvcRepositoryInvalid(Invalid):
    """The folder is no repository of DVC, or one of its files cannot be read."""

    code = "dvc_repository_invalid"


class DvcContentMissing(Invalid):
    """The bytes of an MD5 are in no cache and no remote that can be reached."""

    code = "dvc_content_missing"


class DvcContentCorrupt(Corrupt):
    """The bytes in a cache or remote are not those of their MD5."""

    code = "dvc_content_corrupt"


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that DVC keeps.

    Attributes
    ----------
    path
        Within the repository, with `/`.
    md5
        32 hexadecimal digits; `.dir` at the end for a folder.
    executable
        Whether the file may be run.
    """

    path: str
    md5: str
    executable: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(FOLDER_SUFFIX)


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was not imported.

    Attributes
    ----------
    commit
        Empty where it is the working tree's.
    """

    path: str
    commit: str
    why: str


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A state of the repository.

    Attributes
    ----------
    id
        40 hexadecimal digits; empty for what is in the working tree and not committed.
    author
        None for the working tree.
    """

    id: str
    author: str | None
    subject: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What DVC keeps in one state of the repository, in the order of paths."""

    commit: Commit
    outputs: tuple[Output, ...]
    passed: tuple[Passed, ...] = ()


class ImportedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that stands for one path of the repository.

    Attributes
    ----------
    versions
        Made by this import, oldest first.
    n_present
        States that an earlier import brought, or that are equal to the version before.
    """

    name: str
    path: str
    versions: list[int]
    n_present: int


class DvcImport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did."""

    source: str
    project: str
    n_commits: int
    n_files: int
    size_bytes: int
    datasets: list[ImportedDataset]
    passed: list[Passed]
