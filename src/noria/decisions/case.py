"""What a diagnosis and a trial look at, read once from the workspace. Worker only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.columns import flatten_columns
from noria.core.workspace import Workspace
from noria.decisions.figures import scores_of
from noria.decisions.replay.outputs import texts
from noria.registry.client import fetch_version
from noria.registry.entities import ModelVersion, ServableVersion, Task
from noria.registry.golden import ReferenceSample, load_held_out_sample, load_reference_sample
from noria.registry.rules import servable
from noria.registry.runtimes.port import LoadedModel, load_model
from noria.registry.service import Models
from noria.registry.signatures import check_inputs, stack_rows
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Endpoint
from noria.serving.predictions import KEY, CapturedRow

Arrays = dict[str, NDArray[Any]]

_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Captured rows in the order of their capture.

    Attributes
    ----------
    ids
        Of the predictions; `<run>-<row>` where a batch run made them.
    keys
        Columns that name the row in a batch's input, with their values.
    labels
        One per row; None where there is none (yet).
    """

    ids: list[str]
    keys: list[dict[str, Any]]
    positions: list[int]
    times: list[datetime]
    inputs: list[dict[str, Any]]
    predictions: list[Any]
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def labelled(self) -> Rows:
        """Those with a label."""
        return self.take([index for index, label in enumerate(self.labels) if label is not None])

    def since(self, position: int) -> Rows:
        """Give those captured at a position or later."""
        return self.take([index for index, place in enumerate(self.positions) if place >= position])

    def before(self, position: int) -> Rows:
        """Give those captured before a position."""
        return self.take([index for index, place in enumerate(self.positions) if place < position])

    def take(self, indices: Sequence[int]) -> Rows:
        """Give the rows at these indices."""
        return Rows(
            ids=[self.ids[i] for i in indices],
            keys=[self.keys[i] for i in indices],
            positions=[self.positions[i] for i in indices],
            times=[self.times[i] for i in indices],
            inputs=[self.inputs[i] for i in indices],
            predictions=[self.predictions[i] for i in indices],
            labels=[self.labels[i] for i in indices],
        )


@dataclass(frozen=True, kw_only=True)
class Case:
    """An endpoint in trouble.

    Attributes
    ----------
    version
        The version that answered when the trouble was noticed.
    rows
        What it answered without error, newest rows of the endpoint before and since the onset.
    n_rows, n_errors
        Rows of the version since the onset, and those that failed.
    """

    workspace: Workspace
    endpoint: Endpoint
    version: ServableVersion
    onset_position: int
    rows: Rows
    n_rows: int
    n_errors: int

    @property
    def is_classification(self) -> bool:
        """Tell whether answers are right or wrong."""
        return self.version.task is Task.CLASSIFICATION

    @property
    def since(self) -> Rows:
        """Rows since the onset."""
        return self.rows.since(self.onset_position)

    @cached_property
    def reference(self) -> ReferenceSample | None:
        """Sample of the training rows."""
        return load_reference_sample(fetch_version(self.workspace, self.version))

    @cached_property
    def held_out(self) -> ReferenceSample | None:
        """Sample of the rows that the version did not learn from."""
        return load_held_out_sample(fetch_version(self.workspace, self.version))

    @property
    def error_bound(self) -> float | None:
        """Regression: the absolute error that scores 0."""
        return self.version.holdout.error_bound if self.version.holdout else None

    @property
    def fingerprint(self) -> dict[str, int]:
        """What its data is like, as a decision record keeps it to find similar problems by."""
        columns = self.reference_columns() or {}
        return {
            "n_columns": len(columns),
            "n_numeric": sum(column.dtype.kind in "biuf" for column in columns.values()),
            "n_reference": len(self.reference.target) if self.reference else 0,
            "n_classes": len(self.version.classes or ()),
        }

    def arrays(self, rows: Rows) -> Arrays:
        """Give the inputs of rows as arrays of the signature's shapes."""
        return stack_rows(self.version.signature, rows.inputs)

    def columns(self, rows: Rows) -> Arrays:
        """Give the inputs of rows as columns of shape (n_rows,)."""
        return flatten_columns(self.arrays(rows))

    def reference_columns(self) -> Arrays | None:
        """Give the training sample as columns of shape (n_rows,)."""
        return _sample_columns(self.reference)

    def held_out_columns(self) -> Arrays | None:
        """Give the held-out sample as columns of shape (n_rows,)."""
        return _sample_columns(self.held_out)

    def held_out_scores(self) -> NDArray[np.float64]:
        """Score the held-out sample as the version answers it."""
        sample = self.held_out
        if sample is None:
            return np.empty(0)
        inputs = check_inputs(self.version.signature, sample.inputs)
        predicted = self.load(self.version).predict(inputs)["predictions"].tolist()
        actual = np.asarray(sample.target).tolist()
        return scores_of(self.version.task.value, predicted, actual, self.error_bound)

    def answers(self, inputs: Arrays) -> NDArray[np.float64] | None:
        """Give what the version answers, shape (n_rows, width).

        Returns
        -------
        ndarray or None
            Numbers in one column, or a share for each class in the order of their names as texts; None of a classifier
            that gives no shares.
        """
        found = self.load(self.version).predict(check_inputs(self.version.signature, inputs))
        if not self.is_classification:
            return np.asarray(found["predictions"], dtype=np.float64).reshape(-1, 1)
        shares, classes = found.get("probabilities"), self.version.classes
        if shares is None or classes is None:
            return None
        return np.asarray(shares, dtype=np.float64)[:, np.argsort(texts(classes))]

    def scores(self, rows: Rows) -> NDArray[np.float64]:
        """Score labelled rows as they were answered."""
        return scores_of(self.version.task.value, rows.predictions, rows.labels, self.error_bound)

    def load(self, version: ServableVersion) -> LoadedModel:
        """Load a version of the endpoint's model."""
        return load_model(fetch_version(self.workspace, version), version)

    def scores_with(self, version: ModelVersion, rows: Rows) -> NDArray[np.float64]:
        """Score labelled rows as another version answers them.

        Raises
        ------
        NoriaError
            If the version cannot be loaded, or takes other inputs.
        """
        other = servable(version)
        inputs = check_inputs(other.signature, self.arrays(rows))
        predicted = self.load(other).predict(inputs)["predictions"].tolist()
        return scores_of(self.version.task.value, predicted, rows.labels, self.error_bound)


def _sample_columns(sample: ReferenceSample | None) -> Arrays | None:
    if sample is None:
        return None
    return flatten_columns({name: np.asarray(array) for name, array in sample.inputs.items()})


def load_case(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    *,
    onset_position: int,
    max_rows: int,
    until_label: int | None = None,
) -> Case:
    """Read an endpoint in trouble.

    Parameters
    ----------
    max_rows
        At most so many rows before the onset, and the newest so many in all.
    until_label
        Labels that came later than this position are left out, so that two readings see the same.
    """
    place = workspace.service(Endpoints).get(project, endpoint)
    found = servable(workspace.service(Models).version(project, place.model, version))
    captured = _read(workspace, project, endpoint, version, max(0, onset_position - max_rows), max_rows)
    since = [row for row in captured if row.position >= onset_position]
    answered = [row for row in captured if row.prediction.error is None]
    return Case(
        workspace=workspace,
        endpoint=place,
        version=found,
        onset_position=onset_position,
        rows=_rows(answered, until_label),
        n_rows=len(since),
        n_errors=sum(row.prediction.error is not None for row in since),
    )


def _read(
    workspace: Workspace, project: str, endpoint: str, version: int, after: int, max_rows: int
) -> list[CapturedRow]:
    rows: list[CapturedRow] = []
    captures = workspace.service(Captures)
    while True:
        page = captures.read(project, endpoint, after=after, limit=_PAGE, version=version)
        rows = [*rows, *page.items][-max_rows:]
        after = page.next
        if not page.more:
            return rows


def _rows(captured: list[CapturedRow], until_label: int | None) -> Rows:
    def label(row: CapturedRow) -> Any:
        # What anybody may say by a public button must not move a decision.
        if row.label is None or not row.label.is_trusted:
            return None
        if until_label is not None and row.label.position > until_label:
            return None
        return row.label.value

    return Rows(
        ids=[row.prediction.id for row in captured],
        keys=[_key(row) for row in captured],
        positions=[row.position for row in captured],
        times=[row.prediction.at for row in captured],
        inputs=[row.prediction.inputs for row in captured],
        predictions=[row.prediction.outputs.get("predictions") for row in captured],
        labels=[label(row) for row in captured],
    )


def _key(row: CapturedRow) -> dict[str, Any]:
    outputs = row.prediction.outputs.items()
    return {name.removeprefix(KEY): value for name, value in outputs if name.startswith(KEY)}
