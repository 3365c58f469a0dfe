"""When the control loop asks for an estimate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.monitoring.estimated.control import NEW_ROWS, ask_for_estimates
from noria.monitoring.estimated.evaluate import estimate_endpoint
from noria.monitoring.estimated.service import Estimates
from noria.pipelines.jobs import Jobs
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel
from noria.serving.service import Captures, Endpoints
from support.conformance import open_test_context, workspace_settings
from support.serving import predictions, register_version


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Give a workspace with the endpoint `busy`."""
    settings = workspace_settings(tmp_path / "workspace")
    with open_test_context(settings, ManualClock(datetime(2030, 1, 1, tzinfo=UTC))) as context:
        opened = Workspace(settings, InProcess(context), context.clock)
        register_version(opened)
        context.service(Endpoints).deploy("default", "busy", Deployment(model="digits", version=1))
        yield opened


def _asked(context: Context) -> int:
    ask_for_estimates(context)
    return len(context.service(Jobs).list("default").items)


def test_an_estimate_is_asked_for_once_when_enough_came(workspace: Workspace) -> None:
    """Not for few rows, not twice for the same ones, again after a failure, and not after the estimate."""
    backend = workspace.backend
    assert isinstance(backend, InProcess)
    context = backend.context
    clock = context.clock
    assert isinstance(clock, ManualClock)

    def capture(first: int, n: int) -> None:
        sent = predictions([f"row-{number}" for number in range(first, first + n)])
        context.service(Captures).append("default", "busy", CaptureBatch(predictions=sent))

    capture(0, NEW_ROWS - 1)
    assert _asked(context) == 0
    capture(NEW_ROWS, 1)
    assert (_asked(context), _asked(context)) == (1, 1)
    clock.advance(120)
    assert _asked(context) == 2
    assert estimate_endpoint(workspace, "default", "busy") == {
        "rows": NEW_ROWS,
        "estimated": False,
        "measured": 0,
    }
    clock.advance(120)
    assert _asked(context) == 2
    standing = context.service(Estimates).get("default", "busy").standing
    assert standing is not None
    assert standing.why is not None
    assert "registered without held-out rows" in standing.why


def test_labels_are_asked_about_together(workspace: Workspace) -> None:
    """Labels of rows that were looked at: at most once a minute, and not once they were taken in."""
    backend = workspace.backend
    assert isinstance(backend, InProcess)
    context = backend.context
    clock = context.clock
    assert isinstance(clock, ManualClock)

    def label(first: int, n: int) -> None:
        new = [
            NewLabel(prediction_id=f"row-{number}", value=1, at=clock.now())
            for number in range(first, first + n)
        ]
        context.service(Captures).label("default", "busy", LabelBatch(labels=new))

    sent = predictions([f"row-{number}" for number in range(NEW_ROWS)])
    context.service(Captures).append("default", "busy", CaptureBatch(predictions=sent))
    assert _asked(context) == 1
    estimate_endpoint(workspace, "default", "busy")
    clock.advance(60)
    label(0, 5)
    assert (_asked(context), _asked(context)) == (2, 2)
    estimate_endpoint(workspace, "default", "busy")
    clock.advance(60)
    assert _asked(context) == 2
    label(5, 1)
    assert _asked(context) == 3
