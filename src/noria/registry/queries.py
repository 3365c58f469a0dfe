"""What is asked of the registry as a whole, and what it answers: models and versions of every project."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from noria.registry.entities import Model, ModelVersion

HOME: Final = "default"
"""The project whose models have plain names for whoever knows no projects."""

MAX_MODELS: Final = 1_000
MAX_VERSIONS: Final = 200_000


class RegistryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for.

    Attributes
    ----------
    filter
        MLflow's grammar: `name LIKE 'dig%' AND tags.team = 'vision'`; of versions also `run_id`, `version_number` and
        `source_path`. Names are those of `shown_name`.
    order_by
        `name`, `last_updated_timestamp`, of versions also `creation_timestamp` and `version_number`, each with ASC or
        DESC behind it.
    after
        `next` of the page before.
    """

    filter: str = ""
    order_by: list[str] = []
    limit: int = 100
    after: str | None = None


class RegistryPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model of a shown name is, or would be made.

    Attributes
    ----------
    home
        Project whose models are shown by their plain names.
    """

    project: str
    name: str
    exists: bool
    home: str


class FoundModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model with the newest version of each stage."""

    model: Model
    newest: list[ModelVersion]


class FoundModels(msgspec.Struct, frozen=True, kw_only=True):
    """A page of models; `next` continues, or is None at the end."""

    items: list[FoundModel]
    next: str | None
    home: str


class FoundVersions(msgspec.Struct, frozen=True, kw_only=True):
    """A page of versions; `next` continues, or is None at the end."""

    items: list[ModelVersion]
    next: str | None
    home: str


class VersionFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of a version are kept: a manifest among the objects of a project."""

    project: str
    ref: str
    digest: str


def shown_name(project: str, name: str, home: str) -> str:
    """Give the name of a model for whoever knows no projects.

    Examples
    --------
    >>> shown_name("default", "digits", "default"), shown_name("bank", "churn", "default")
    ('digits', 'bank.churn')
    """
    return name if project == home else f"{project}.{name}"


def home_of(projects: Collection[str]) -> str:
    """Give the project that needs no naming: `default`, unless the caller may read one other project only.

    Examples
    --------
    >>> home_of(["bank", "default"]), home_of(["bank"])
    ('default', 'bank')
    """
    return next(iter(projects)) if len(projects) == 1 else HOME


def readings(shown: str, projects: Collection[str], home: str) -> list[tuple[str, str]]:
    """Give project and name in every way that a shown name can be meant, the plainest first.

    Examples
    --------
    >>> readings("bank.churn.v2", ["default", "bank", "energy"], "default")
    [('default', 'bank.churn.v2'), ('bank', 'churn.v2')]
    """
    found = [(home, shown)]
    for at, sign in enumerate(shown):
        if sign == "." and shown[:at] in projects and shown[:at] != home and shown[at + 1 :]:
            found.append((shown[:at], shown[at + 1 :]))
    return found
