"""Measure the answers of past estimates by the labels that came afterwards."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from noria.core.errors import NotFound
from noria.core.stats.confidence import METRICS, classification_metrics
from noria.core.stats.intervals import mean_interval, wilson
from noria.core.workspace import Workspace
from noria.monitoring.estimated.entities import (
    EstimatePoint,
    LabelledEstimates,
    LabelledMetric,
    LabelledPoint,
    LabelledQuality,
)
from noria.monitoring.estimated.learning import are_chances, as_number, class_codes
from noria.monitoring.estimated.service import KEPT_POINTS, Estimates
from noria.registry.entities import ServableVersion, Task
from noria.registry.rules import NotServable, servable
from noria.registry.service import Models
from noria.serving.captures import Captures
from noria.serving.predictions import CapturedRow, CaptureOrder

FEWEST_LABELS: Final = 20
_READ_AT_ONCE: Final = 1_000
_MOST_PAGES: Final = 20
_MOST_POINTS: Final = 30
"""Bounds of one job: what is left over is taken by the next."""


def labelled_quality(version: ServableVersion, rows: Iterable[CapturedRow]) -> LabelledQuality | None:
    """Measure the answers of a version whose trusted labels have come; None if these are fewer than 20."""
    pairs = [
        (row.prediction.outputs, row.label.value)
        for row in rows
        if row.label is not None
        and row.label.is_trusted
        and row.prediction.version == version.version
        and row.prediction.error is None
    ]
    if version.task is Task.CLASSIFICATION:
        return _of_classes(version.classes or (), pairs)
    return _of_numbers(pairs)


def take_in_labels(workspace: Workspace, project: str, endpoint: str, model: str) -> int:
    """Measure anew the past estimates of which labels have come, and record it.

    Every answer of such an estimate is read again, so that no label counts twice and a corrected one as what it is
    now. A correction alone is no new label: it counts when the next one of the same estimate comes.

    Returns
    -------
    How many past estimates were measured.
    """
    estimates = workspace.service(Estimates)
    start = estimates.get(project, endpoint).label_position
    points = estimates.past(project, endpoint, limit=KEPT_POINTS).items
    end, touched = _touched(workspace, project, endpoint, points, start)
    if end == start:
        return 0
    versions = _Versions(workspace, project, model)
    told = []
    for point in touched:
        version = versions.get(point.version)
        if version is not None:
            rows = _answers(workspace, project, endpoint, point)
            told.append(LabelledPoint(position=point.position, labelled=labelled_quality(version, rows)))
    new = LabelledEstimates(from_label_position=start, label_position=end, points=told)
    estimates.measured(project, endpoint, new)
    return len(told)


def _touched(
    workspace: Workspace, project: str, endpoint: str, points: Sequence[EstimatePoint], start: int
) -> tuple[int, list[EstimatePoint]]:
    """Give up to which label was read, and the past estimates of whose answers labels came."""
    captures = workspace.service(Captures)
    if not points:
        return max(start, captures.head(project, endpoint).label_position), []
    in_order = sorted(points, key=lambda point: point.position)
    ends = [point.position for point in in_order]
    touched: dict[int, EstimatePoint] = {}
    for _ in range(_MOST_PAGES):
        page = captures.read(project, endpoint, after=start, limit=_READ_AT_ONCE, order=CaptureOrder.LABELLED)
        for row in page.items:
            place = bisect_left(ends, row.position)
            if place < len(ends) and in_order[place].first_position <= row.position:
                touched[ends[place]] = in_order[place]
        start = page.next
        if not page.more or len(touched) > _MOST_POINTS:
            break
    return start, list(touched.values())


def _answers(workspace: Workspace, project: str, endpoint: str, point: EstimatePoint) -> list[CapturedRow]:
    """Read the labelled answers that an estimate was made from."""
    page = workspace.service(Captures).read(
        project,
        endpoint,
        after=point.first_position - 1,
        limit=_READ_AT_ONCE,
        version=point.version,
        labelled=True,
    )
    return [row for row in page.items if row.position <= point.position]


class _Versions:
    """Versions of a model, each read once; None for one that is gone."""

    def __init__(self, workspace: Workspace, project: str, model: str) -> None:
        self._models, self._place = workspace.service(Models), (project, model)
        self._known: dict[int, ServableVersion | None] = {}

    def get(self, version: int) -> ServableVersion | None:
        if version not in self._known:
            try:
                self._known[version] = servable(self._models.version(*self._place, version))
            except (NotFound, NotServable):
                self._known[version] = None
        return self._known[version]


def _of_classes(classes: Sequence[Any], pairs: Sequence[tuple[Any, Any]]) -> LabelledQuality | None:
    labels = class_codes([label for _, label in pairs], classes)
    predicted = class_codes([answer.get("predictions") for answer, _ in pairs], classes)
    chances = [answer.get("probabilities") for answer, _ in pairs]
    # A label that the model never learnt is an answer that is wrong: it stays, as a class of its own.
    known = [i for i, held in enumerate(chances) if predicted[i] >= 0 and are_chances(held, len(classes))]
    if len(known) < FEWEST_LABELS:
        return None
    labels, predicted = labels[known], predicted[known]
    scores = np.array([chances[i] for i in known], dtype=np.float64)
    found = classification_metrics(labels, predicted, scores)
    right = wilson(int((labels == predicted).sum()), len(known))
    ends = {"accuracy": (right.lower, right.upper)}
    metrics = [
        LabelledMetric(name=name, value=found[name], low=low, high=high)
        for name in METRICS
        for low, high in [ends.get(name, (None, None))]
        if not np.isnan(found[name])
    ]
    return LabelledQuality(n_labels=len(known), metrics=metrics)


def _of_numbers(pairs: Sequence[tuple[Any, Any]]) -> LabelledQuality | None:
    errors = np.abs([as_number(answer.get("predictions")) - as_number(label) for answer, label in pairs])
    errors = errors[np.isfinite(errors)]
    if len(errors) < FEWEST_LABELS:
        return None
    mean = mean_interval(errors)
    metric = LabelledMetric(name="mae", value=mean.estimate, low=max(0.0, mean.lower), high=mean.upper)
    return LabelledQuality(n_labels=len(errors), metrics=[metric])
