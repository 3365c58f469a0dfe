"""What is said about artifacts by folder."""

from __future__ import annotations

from datetime import datetime

import msgspec


class FolderItem(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a folder right inside a folder.

    Attributes
    ----------
    path
        From the root of the shelf, with `/` between its parts.
    size_bytes
        None for a folder.
    """

    path: str
    is_folder: bool
    size_bytes: int | None = None


class FolderPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder holds, in the order of paths; `next` continues after it, or is None at the end."""

    items: list[FolderItem]
    next: str | None


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file among the artifacts.

    Attributes
    ----------
    digest
        Of its bytes.
    at
        When it was put there.
    """

    path: str
    digest: str
    size_bytes: int
    at: datetime


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Files below a folder at any depth, in the order of paths; `next` continues, or is None at the end."""

    items: list[KeptFile]
    next: str | None


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """How many files a removal took away; their bytes are freed by `noria gc`."""

    n_files: int


class ArtifactExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment of which a run or a logged model has artifacts."""

    number: int
    project: str
    artifact_location: str | None = None


class ArtifactExperiments(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments with artifacts, in the order of their numbers."""

    items: list[ArtifactExperiment]


class ArtifactOwners(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the runs and logged models of an experiment that have artifacts."""

    runs: list[str]
    models: list[str]


class SentPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of an upload past the server, with the entity tag that it was answered with."""

    number: int
    tag: str


class SentParts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All parts of an upload, in any order."""

    parts: list[SentPart]
