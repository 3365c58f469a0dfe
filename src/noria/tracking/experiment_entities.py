"""Experiments: named groups of runs."""

from __future__ import annotations

from datetime import datetime

import msgspec

from noria.core.serialisation import Instant

DEFAULT_EXPERIMENT = "Default"


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A named group of runs.

    Attributes
    ----------
    number
        Counts up from 0 (`Default`) in a workspace, and is never given again.
    updated_at
        When its name, tags or deletion last changed.
    deleted_at
        None for an active experiment. A deleted one can be read and restored until the grace period is over.
    artifact_location
        Where other clients were told to put artifacts; None for the store of this workspace.
    """

    id: str
    project: str
    name: str
    number: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    artifact_location: str | None = None
    tags: dict[str, str] = {}


class NewExperiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment to make.

    Attributes
    ----------
    created_at
        Now, when left out; an import tells the time of the original.
    """

    name: str
    tags: dict[str, str] = {}
    artifact_location: str | None = None
    created_at: Instant | None = None


class ExperimentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an experiment shall be called."""

    name: str


class ExperimentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments, newest first; `next` continues after them, or is None at the end."""

    items: list[Experiment]
    next: int | None
