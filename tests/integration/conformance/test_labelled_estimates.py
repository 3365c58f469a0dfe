"""Past estimates of a real model's answers beside what labels say later, on each database and transport."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import noria
from noria.core.ids import new_id
from noria.core.workspace import Workspace
from noria.monitoring.estimated.entities import EstimatePoint
from noria.monitoring.estimated.evaluate import estimate_endpoint
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.service import Monitors
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from noria.serving.service import Captures, Endpoints
from support.conformance import Services

Rows = list[tuple[str, int, int]]
"""The id of an answer, the answer, and the truth."""


class Coins:
    """An endpoint whose rows are answered by a real model, and whose truth a test knows."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._rng = workspace, np.random.default_rng(3)
        (x, y), held_out = self._drawn(400), self._drawn(400)
        self._model = LogisticRegression().fit(x, y)
        noria.register(self._model, "coin", x=x, y=y, holdout=held_out, workspace=workspace)
        workspace.service(Endpoints).deploy("default", "coin", Deployment(model="coin", version=1))
        workspace.service(Monitors).watch("default", "coin")

    def _drawn(self, n: int) -> tuple[Any, Any]:
        x = self._rng.normal(size=(n, 2))
        return x, (x[:, 0] + self._rng.normal(size=n) > 0).astype(int)

    def answer(self, n: int) -> Rows:
        """Have rows answered and captured."""
        x, y = self._drawn(n)
        sure = self._model.predict_proba(x)
        made = [
            Prediction(
                id=new_id(),
                version=1,
                at=self._workspace.clock.now(),
                inputs={"x": row.tolist()},
                outputs={"predictions": int(chances.argmax()), "probabilities": chances.tolist()},
            )
            for row, chances in zip(x, sure, strict=True)
        ]
        self._workspace.service(Captures).append("default", "coin", CaptureBatch(predictions=made))
        answers = sure.argmax(axis=1).tolist()
        return list(zip([each.id for each in made], answers, y.tolist(), strict=True))

    def label(self, rows: Rows, *, corrects: bool = False) -> None:
        """Tell the truth about rows."""
        labels = [NewLabel(prediction_id=row, value=truth, corrects=corrects) for row, _, truth in rows]
        self._workspace.service(Captures).label("default", "coin", LabelBatch(labels=labels))

    def estimate(self) -> list[EstimatePoint]:
        """Run the worker's job, and give all past estimates, oldest first."""
        estimate_endpoint(self._workspace, "default", "coin")
        return self._workspace.service(Estimates).past("default", "coin").items[::-1]


def accuracy_of(rows: Rows) -> Any:
    return pytest.approx(np.mean([answer == truth for _, answer, truth in rows]))


def measured(points: list[EstimatePoint]) -> list[tuple[int, float] | None]:
    return [
        None if (told := point.labelled) is None else (told.n_labels, told.metrics[0].value)
        for point in points
    ]


def test_labels_tell_of_the_estimates_that_were_made_of_the_same_answers(
    workspace: Workspace, services: Services
) -> None:
    """Labels that came before the estimate, after it, in two parts, and corrected ones."""
    coins = Coins(workspace)
    first = coins.answer(60)
    coins.label(first[:30])
    assert measured(coins.estimate()) == [(30, accuracy_of(first[:30]))]
    second = coins.answer(50)
    assert measured(coins.estimate()) == [(30, accuracy_of(first[:30])), None]
    coins.label(second[:40])
    coins.label(first[30:50])
    assert measured(coins.estimate()) == [(50, accuracy_of(first[:50])), (40, accuracy_of(second[:40]))]

    changed = [(row, answer, 1 - answer) for row, answer, _ in second[:10]]
    coins.label(changed, corrects=True)
    coins.label(second[40:])
    found = coins.estimate()
    assert measured(found) == [(50, accuracy_of(first[:50])), (50, accuracy_of(changed + second[10:]))]
    assert [(point.first_position, point.n_rows) for point in found] == [(1, 60), (61, 50)]
    assert services(Monitors).alerts("default").items == []


def test_few_labels_tell_nothing(workspace: Workspace) -> None:
    """Fewer than twenty; nor do labels of answers before the first estimate change any."""
    coins = Coins(workspace)
    rows = coins.answer(40)
    coins.estimate()
    coins.label(rows[:19])

    assert measured(coins.estimate()) == [None]
    coins.label(rows[19:20])
    assert measured(coins.estimate()) == [(20, accuracy_of(rows[:20]))]
