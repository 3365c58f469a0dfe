"""What a version's live traffic is compared with, read from the registry once per process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.columns import flatten_columns
from noria.core.workspace import Workspace
from noria.monitoring.profiles import added_reference
from noria.monitoring.quality import Baseline
from noria.registry.client import fetch_version
from noria.registry.entities import ServableVersion, Task
from noria.registry.golden import load_golden, load_reference_sample
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.signatures import stack_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A version's reference.

    Attributes
    ----------
    columns
        The sample of training rows, flattened to columns; None when there is none.
    predictions
        What it answered for the golden batch, shape (n_rows,); None without, or where an answer is no single value.
    golden
        The inputs of the golden batch, flattened to columns.
    baseline
        Its score on held-out rows; None when it was registered without.
    """

    version: ServableVersion
    columns: dict[str, Any] | None
    predictions: NDArray[Any] | None = None
    golden: dict[str, Any] = field(default_factory=dict)
    baseline: Baseline | None

    @property
    def task(self) -> Task:
        """What the model answers with."""
        return self.version.task

    def arrays_of(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Stack captured rows into arrays of the signature's types, shape (n_rows, ...) each."""
        return stack_rows(self.version.signature, rows)


def load_reference(workspace: Workspace, project: str, model: str, version: int) -> Reference:
    """Read the reference of a version.

    Raises
    ------
    NotFound
        If the version or its files are gone.
    NotServable
        If it lacks its task or signature.
    """
    found = servable(workspace.service(Models).version(project, model, version))
    columns = _columns(VersionSource(workspace, found))
    golden, predictions = _golden(VersionSource(workspace, found))
    return Reference(
        version=found,
        columns=added_reference(workspace, found) if columns is None else columns,
        predictions=predictions,
        golden=golden,
        baseline=Baseline(score=found.holdout.score, n=found.holdout.n, error_bound=found.holdout.error_bound)
        if found.holdout
        else None,
    )


def no_reference(model: str, version: int) -> str:
    """Say that a version has no reference, and what adds one."""
    return (
        f"Version {version} was registered without a reference sample: "
        f"`noria models profile {model}@{version} --data NAME` adds one"
    )


class VersionSource:
    """A version to read files of; equal for equal digests, so that a cached reader reads them once."""

    def __init__(self, workspace: Workspace, version: ServableVersion) -> None:
        self.workspace, self.version = workspace, version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionSource) and other.version.digest == self.version.digest

    def __hash__(self) -> int:
        return hash(self.version.digest)


@functools.lru_cache(maxsize=16)
def _columns(source: VersionSource) -> dict[str, Any] | None:
    sample = load_reference_sample(fetch_version(source.workspace, source.version))
    if sample is None:
        return None
    return flatten_columns({name: np.asarray(array) for name, array in sample.inputs.items()})


@functools.lru_cache(maxsize=16)
def _golden(source: VersionSource) -> tuple[dict[str, Any], NDArray[Any] | None]:
    batch = load_golden(fetch_version(source.workspace, source.version))
    if batch is None:
        return {}, None
    answers = np.asarray(batch.outputs.get("predictions", []))
    inputs = flatten_columns({name: np.asarray(array) for name, array in batch.inputs.items()})
    return inputs, answers if answers.ndim == 1 and answers.size else None
