"""The page of an endpoint at which two versions answer in turn, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.registry.entities import Signature, Task, TensorSpec
from noria.serving.entities import Cascade, Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel
from noria.serving.service import Captures, Cascades, Endpoints
from support.pages import Reader
from support.serving import predictions, register_version

LIVE = "/projects/default/endpoints/live"
TELLS = Signature(
    inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, 4])],
    outputs=[
        TensorSpec(name="predictions", datatype="FP64", shape=[-1]),
        TensorSpec(name="confidence", datatype="FP64", shape=[-1]),
    ],
)


@pytest.fixture
def workspace(context: Context) -> Workspace:
    """Give the workspace that the pages show."""
    return Workspace(context.settings, InProcess(context), context.clock)


def _answer_in_turn(workspace: Workspace, answer: Any, truths: dict[int, list[Any]], **version: Any) -> None:
    """Have version 1 asked first, before version 2, and both of them answer and be judged."""
    for _ in range(2):
        register_version(workspace, **version)
    endpoints, captures = workspace.service(Endpoints), workspace.service(Captures)
    endpoints.deploy("default", "live", Deployment(model="digits", version=2))
    # What was answered before they answered in turn is none of either's share.
    before = predictions([f"before-{n}" for n in range(50)], version=2, answer=answer)
    captures.append("default", "live", CaptureBatch(predictions=before))
    cascade = Cascade(first=1, second=2, min_confidence=0.85)
    revision = workspace.service(Cascades).set("default", "live", cascade).revision
    for number, known in truths.items():
        ids = [f"v{number}-{n}" for n in range(len(known))]
        given = predictions(ids, version=number, revision=revision, answer=answer, latency_us=1000 * number)
        captures.append("default", "live", CaptureBatch(predictions=given))
        labels = [NewLabel(prediction_id=i, value=v) for i, v in zip(ids, known, strict=True)]
        captures.label("default", "live", LabelBatch(labels=labels))


def test_share_and_quality_of_two_versions_in_turn_are_shown(workspace: Workspace, reader: Reader) -> None:
    """Each of those that it answered since; gone when one version answers again."""
    _answer_in_turn(workspace, 7, {1: [7] * 29 + [3], 2: [7] * 8 + [3] * 2})
    shown = reader.text(LIVE)

    assert "v1 answers what it is sure of, from a confidence of 0.85 on, and v2 the rest." in shown
    assert "Labels Accuracy v1 75.0 % 30 1 ms 30 96.7 % v2 25.0 % 10 2 ms 10 80.0 %" in shown
    workspace.service(Cascades).end("default", "live")
    assert "sure of" not in reader.text(LIVE)


def test_of_numbers_the_error_is_shown(workspace: Workspace, reader: Reader) -> None:
    """In the units of the target."""
    _answer_in_turn(workspace, 2.0, {1: [2.5] * 3, 2: [0.0]}, taking=TELLS, task=Task.REGRESSION)

    assert "Mean absolute error v1 75.0 % 3 1 ms 3 0.5 v2 25.0 % 1 2 ms 1 2" in reader.text(LIVE)


def test_nobody_answered_yet(workspace: Workspace, reader: Reader) -> None:
    """There is no share of nothing."""
    _answer_in_turn(workspace, 7, {})

    assert "Accuracy v1 – 0 – 0 – v2 – 0 – 0 –" in reader.text(LIVE)
