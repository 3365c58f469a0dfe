"""How long labels take is learned from those that come, and told: by a look, a command, a report and Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from noria.cli.main import main
from noria.core.clock import ManualClock, SystemClock
from noria.core.context import Context
from noria.core.ids import new_id
from noria.core.workspace import InProcess, Workspace
from noria.monitoring.delays.entities import AnswerBucket, LabelDelays
from noria.monitoring.delays.estimating import bin_of
from noria.monitoring.delays.reporting import delay_report
from noria.monitoring.entities import Look
from noria.monitoring.evaluate import look
from noria.monitoring.prometheus.metrics import exposition
from noria.monitoring.reports.live import endpoint_report
from noria.monitoring.service import Monitors
from noria.registry.client import register
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from noria.serving.service import Captures, Endpoints
from support.conformance import open_test_context, workspace_settings

HOURS, PER_HOUR, DELAY_H = 30, 10, 3
LOOK_EVERY_H = 3


@pytest.fixture
def context(tmp_path: Path, database_url: str) -> Iterator[Context]:
    """Give a workspace with an endpoint whose monitor has not looked yet."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    generator = np.random.default_rng(5)
    x = generator.normal(size=(200, 2))
    y = (x[:, 0] > 0).astype(int)
    with open_test_context(workspace_settings(tmp_path / "workspace", database_url), clock) as opened:
        fitted = LogisticRegression().fit(x[:100], y[:100])
        workspace = workspace_of(opened)
        register(fitted, "waits", x=x[:100], y=y[:100], holdout=(x[100:], y[100:]), workspace=workspace)
        opened.service(Endpoints).deploy("default", "waits", Deployment(model="waits", version=1))
        opened.service(Monitors).watch("default", "waits")
        yield opened


def workspace_of(context: Context) -> Workspace:
    """Give the workspace of backends."""
    return Workspace(context.settings, InProcess(context), context.clock)


def go_by(context: Context, n_hours: int) -> None:
    """Let hours go by, in which labels come three hours after their answers, and a monitor look now and then."""
    waiting: list[list[NewLabel]] = []
    for hour in range(n_hours):
        waiting.append(answer(context))
        context.clock.sleep(3600)
        if len(waiting) > DELAY_H:
            labels = waiting[len(waiting) - DELAY_H - 1]
            context.service(Captures).label("default", "waits", LabelBatch(labels=labels))
        if hour % LOOK_EVERY_H == LOOK_EVERY_H - 1:
            look(workspace_of(context), "default", "waits", {"window_rows": 20})


def answer(context: Context) -> list[NewLabel]:
    """Have some rows answered, and give their labels, nine of ten of which say that the answer was right."""
    made = [
        Prediction(
            id=new_id(),
            version=1,
            at=context.clock.now() + timedelta(minutes=6 * i),
            inputs={"x": [1.0, 0.0]},
            outputs={"predictions": 1},
            revision=1,
        )
        for i in range(PER_HOUR)
    ]
    context.service(Captures).append("default", "waits", CaptureBatch(predictions=made))
    return [NewLabel(prediction_id=row.id, value=int(i > 0)) for i, row in enumerate(made)]


def test_labels_that_are_still_to_come_are_known_to_be(context: Context) -> None:
    """A look counts each row and label once; the report says which answers are early, and what they scored so far."""
    go_by(context, HOURS)
    workspace = workspace_of(context)
    known = context.service(Monitors).label_delays("default", "waits")
    found = delay_report(known, context.clock.now())
    early = [each for each in found.answers if each.is_early]
    n_labels = (HOURS - DELAY_H) * PER_HOUR
    whole = endpoint_report(workspace, "waits")
    newest = endpoint_report(workspace, "waits", start=context.clock.now() - timedelta(hours=2)).labels
    shown = exposition(context).decode()

    assert sum(each.n_rows for each in found.answers) == HOURS * PER_HOUR
    assert found.n_labels == n_labels
    assert found.lacks is None
    assert found.median_s == pytest.approx(3.5 * 3600, rel=0.15)
    assert found.label_share == pytest.approx(1.0, abs=0.1)
    assert {each.n_labels for each in early if each.expected == 0} == {0}
    assert found.n_early >= 2 * PER_HOUR
    assert found.answers[0].expected == 1.0
    scores = [each.mean for each in found.answers if each.mean is not None]
    assert np.mean(scores) == pytest.approx(0.9, abs=0.05)
    assert whole.labels == found
    assert newest is not None
    assert {each.n_labels for each in newest.answers} == {0}
    assert 'noria_monitor_label_delay_seconds{project="default",endpoint="waits",quantile="0.5"}' in shown
    assert 'noria_monitor_label_share{project="default",endpoint="waits"}' in shown


def test_the_command_tells_which_answers_are_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the delays above the table; as JSON it is the report."""
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    buckets = [
        AnswerBucket(
            starts_at=now - (n + 1) * hour,
            ends_at=now - n * hour,
            n_rows=50,
            delays={bin_of(5000): 40} if n > 1 else {},
            n_scored=40 if n > 1 else 0,
            total=30.0 if n > 1 else 0.0,
            squares=30.0 if n > 1 else 0.0,
        )
        for n in range(48, -1, -1)
    ]
    folder = tmp_path / "workspace"
    with open_test_context(workspace_settings(folder), SystemClock()) as opened:
        monitors = opened.service(Monitors)
        monitors.watch("default", "waits")
        moved = Look(
            from_position=0,
            from_label_position=0,
            position=1,
            label_position=0,
            version=1,
            windows=[],
            detector=None,
            quality=None,
            alerts=[],
            delays=LabelDelays(version=1, buckets=buckets),
        )
        monitors.record("default", "waits", moved)
    assert main(["monitors", "labels", "waits", "-w", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert main(["monitors", "labels", "waits", "--json", "-w", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)

    assert "half within 1.4 h" in shown
    assert "0.750 (0.616 to 0.884)" in shown
    assert shown.count(" early") >= 2
    assert told["n_labels"] == 47 * 40
    assert told["answers"][-1]["is_early"] is True


def test_a_namesake_begins_anew(context: Context) -> None:
    """What the labels of a deleted endpoint took says nothing of one that has its name."""
    go_by(context, 2 * LOOK_EVERY_H)
    before = context.service(Monitors).label_delays("default", "waits")
    context.service(Endpoints).delete("default", "waits")
    context.clock.sleep(60)
    context.service(Endpoints).deploy("default", "waits", Deployment(model="waits", version=1))
    answer(context)
    look(workspace_of(context), "default", "waits", {"window_rows": 20})
    known = context.service(Monitors).label_delays("default", "waits")

    assert sum(each.n_labels for each in before.buckets) == (2 * LOOK_EVERY_H - DELAY_H) * PER_HOUR
    assert sum(each.n_rows for each in known.buckets) == PER_HOUR
    assert sum(each.n_labels for each in known.buckets) == 0
