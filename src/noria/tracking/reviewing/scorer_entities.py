"""Scorers: what judges the answers of an application, as text that the server keeps and never runs."""

from __future__ import annotations

from datetime import datetime

import msgspec


class NewScorer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a scorer to keep.

    Attributes
    ----------
    experiment
        Number of the experiment that it belongs to.
    content
        The scorer as a JSON object, as its library wrote it.
    version
        Above the latest one; None for the next number.
    created_at
        None for now.
    """

    experiment: int
    name: str
    content: str
    version: int | None = None
    created_at: datetime | None = None


class Scorer(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a scorer.

    Attributes
    ----------
    id
        Of the scorer; its versions have it in common.
    experiment
        Number.
    """

    id: str
    project: str
    experiment: int
    name: str
    version: int
    content: str
    created_at: datetime


class ScorerList(msgspec.Struct, frozen=True, kw_only=True):
    """Scorers, or the versions of one."""

    items: list[Scorer]


class ScorerSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which scorers are wanted, of all projects that the caller may read.

    Attributes
    ----------
    experiments
        Numbers; None for all.
    """

    experiments: list[int] | None = None


class NewSampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the traces of its experiment a scorer shall judge as they come.

    Attributes
    ----------
    sample_rate
        From 0 to 1.
    filter
        Which traces; None for all.
    """

    experiment: int
    name: str
    sample_rate: float
    filter: str | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the traces of its experiment a scorer shall judge."""

    id: str
    scorer_id: str
    experiment: int
    sample_rate: float
    filter: str | None


class SamplingSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which scorers the samplings are wanted."""

    scorer_ids: list[str]


class SamplingList(msgspec.Struct, frozen=True, kw_only=True):
    """Samplings of scorers that have one."""

    items: list[Sampling]
