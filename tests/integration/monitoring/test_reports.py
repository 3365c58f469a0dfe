"""Reports of endpoints, and references that are added to versions, on one workspace from registration to command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import noria
from noria.cli.main import main
from noria.core.ids import new_id
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.monitoring.estimated.evaluate import estimate_endpoint
from noria.monitoring.evaluate import look
from noria.monitoring.reports.live import endpoint_report
from noria.monitoring.service import Monitors
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, Prediction
from support.conformance import workspace_settings
from support.serving import register_version

DAY = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace: `flowers` was quiet for a day and then moved, `bare` has a version without a reference."""
    place = tmp_path_factory.mktemp("reports")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 3))
    y = (x[:, 0] > 0).astype(int)
    with open_workspace(workspace_settings(place)) as workspace:
        fitted = LogisticRegression().fit(x, y)
        noria.register(fitted, "flowers", x=x, y=y, holdout=(x[:200], y[:200]), workspace=workspace)
        register_version(workspace, "bare")
        for name, model in (("flowers", "flowers"), ("bare", "bare")):
            workspace.service(Endpoints).deploy("default", name, Deployment(model=model, version=1))
            workspace.service(Monitors).watch("default", name)
        _send(workspace, "flowers", rng.normal(size=(150, 3)), DAY, fitted)
        _send(
            workspace, "flowers", rng.normal([2.0, 0.0, 0.0], size=(150, 3)), DAY + timedelta(days=1), fitted
        )
        # Of a server whose clock is a day late.
        _send(workspace, "flowers", rng.normal(size=(1, 3)), DAY, fitted)
        _send(workspace, "bare", rng.normal(size=(60, 4)), DAY)
        pl.DataFrame(
            {f"c{i}": rng.normal(3.0 * (i == 2), size=300) for i in range(4)} | {"at": ["x"] * 300}
        ).write_parquet(place / "bare.parquet")
        dataset("like-bare", workspace=workspace).add(place / "bare.parquet")
    return place


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    with open_workspace(workspace_settings(folder)) as opened:
        yield opened


def _send(workspace: Workspace, endpoint: str, x: Any, at: datetime, model: Any = None) -> None:
    outputs: list[dict[str, Any]] = [{"predictions": 0}] * len(x)
    if model is not None:
        both = zip(model.predict(x).tolist(), model.predict_proba(x).tolist(), strict=True)
        outputs = [{"predictions": answer, "probabilities": chances} for answer, chances in both]
    made = [
        Prediction(
            id=new_id(),
            version=1,
            at=at + timedelta(minutes=i),
            inputs={"x": row.tolist()},
            outputs=answer,
        )
        for i, (row, answer) in enumerate(zip(x, outputs, strict=True))
    ]
    workspace.service(Captures).append("default", endpoint, CaptureBatch(predictions=made))


def test_a_report_is_of_the_time_that_was_asked_for(workspace: Workspace) -> None:
    """The quiet day is quiet; of the next one input moved, and the predictions with it."""
    look(workspace, "default", "flowers", {"window_rows": 50})
    second = DAY + timedelta(days=1)
    quiet = endpoint_report(workspace, "flowers", end=second)
    moved = endpoint_report(workspace, "flowers", start=second)
    both = endpoint_report(workspace, "flowers")

    assert (quiet.n_rows, moved.n_rows, both.n_rows) == (151, 150, 301)
    assert quiet.drift is not None
    assert quiet.drift.n_drifted == 0
    assert moved.drift is not None
    assert {c.name for c in moved.drift.columns if c.drifted} == {"x[0]", "output predictions"}
    assert (moved.first_at, quiet.n_errors) == (second, 0)


def test_a_report_says_what_it_lacks(workspace: Workspace) -> None:
    """Few rows; no labels; a version that nothing was kept with, and the command that mends it."""
    few = endpoint_report(workspace, "flowers", end=DAY + timedelta(minutes=5))
    bare = endpoint_report(workspace, "bare")

    assert few.drift is None
    assert few.lacks[0].startswith("6 rows were captured")
    assert bare.drift is None
    assert any("`noria models profile bare@1 --data NAME`" in lack for lack in bare.lacks)
    assert any("No labels" in lack for lack in bare.lacks)


def test_quality_is_estimated_without_labels(workspace: Workspace) -> None:
    """By what was kept with the version; what that supposes is said, and what a version lacks for it."""
    found = endpoint_report(workspace, "flowers", end=DAY + timedelta(days=1)).estimated
    bare = endpoint_report(workspace, "bare")

    assert found is not None
    assert (found.method, found.calibration, found.reference_n, found.n_rows) == ("cbpe", "platt", 200, 151)
    accuracy = next(metric for metric in found.metrics if metric.name == "accuracy")
    assert accuracy.low <= 0.97 <= accuracy.high
    assert "Concept drift" in found.assumption
    assert bare.estimated is None
    assert any("was registered without held-out rows" in lack for lack in bare.lacks)


def test_the_newest_answers_are_estimated_and_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker's estimate stands with the monitor, with its assumption or why there is none; nothing is raised."""
    place = ["-w", str(folder)]
    with open_workspace(workspace_settings(folder)) as workspace:
        before = workspace.service(Monitors).alerts("default").items
        told = [estimate_endpoint(workspace, "default", name) for name in ("flowers", "flowers", "bare")]
        after = workspace.service(Monitors).alerts("default").items
    assert main(["monitors", "show", "flowers", "--json", *place]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["monitors", "show", "flowers", *place]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert main(["monitors", "show", "bare", *place]) == 0
    bare = " ".join(capsys.readouterr().out.split())

    assert [each["rows"] for each in told] == [301, 0, 60]
    assert after == before
    assert found["endpoint"] == "flowers"
    assert found["estimate"]["estimated"]["n_rows"] == 301
    assert "estimated accuracy" in shown
    assert "Concept drift" in shown
    assert "registered without held-out rows" in bare


def test_past_estimates_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a line over time and what they suppose, as JSON too; of an endpoint without any, how one comes."""
    place = ["-w", str(folder)]
    with open_workspace(workspace_settings(folder)) as workspace:
        estimate_endpoint(workspace, "default", "flowers")
    assert main(["monitors", "estimates", "flowers", *place]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert main(["monitors", "estimates", "flowers", "--json", *place]) == 0
    (point,) = json.loads(capsys.readouterr().out)["items"]
    assert main(["monitors", "estimates", "bare", *place]) == 0
    bare = " ".join(capsys.readouterr().out.split())

    assert "estimated accuracy ▄" in shown
    assert "Concept drift" in shown
    assert (point["n_rows"], point["version"], point["labelled"]) == (301, 1, None)
    assert "There are no estimates yet" in bare


def test_the_command_prints_and_writes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Facts and columns for people, JSON for programs, a file for others."""
    target = tmp_path / "report.html"
    place = ["-w", str(folder)]
    assert main(["monitors", "report", "flowers", "--from", "2030-01-02", "--html", str(target), *place]) == 0
    shown = capsys.readouterr().out
    assert main(["monitors", "report", "flowers", "--to", "2030-01-02T00:00", "--json", *place]) == 0
    found = json.loads(capsys.readouterr().out)

    assert "output predictions" in shown
    assert "estimated accuracy" in shown
    assert "Concept drift" in " ".join(shown.split())
    assert found["estimated"]["assumption"].startswith("An estimate without labels")
    assert "Concept drift, a change of just that, cannot be seen." in target.read_text(encoding="utf-8")
    assert "<svg" in target.read_text(encoding="utf-8")
    assert found["n_rows"] == 151
    assert main(["monitors", "report", "flower", *place]) == 1
    assert "flowers" in capsys.readouterr().err


def test_a_reference_can_be_added(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From then on windows and reports compare with it: columns in their order, as the model's array has no names."""
    place = ["-w", str(folder)]
    assert main(["models", "profile", "bare@1", "--data", "like-bare", "--json", *place]) == 0
    told = json.loads(capsys.readouterr().out)
    with open_workspace(workspace_settings(folder)) as workspace:
        report = endpoint_report(workspace, "bare")
        look(workspace, "default", "bare", {"window_rows": 60})
        (window,) = workspace.service(Monitors).windows("default", "bare").items

    assert told["columns"] == ["x[0]", "x[1]", "x[2]", "x[3]"]
    assert told["version"]["tags"] == {"noria.reference": "like-bare@1"}
    assert report.drift is not None
    assert {c.name for c in report.drift.columns if c.drifted} == {"x[2]"}
    assert window.drift is not None
    assert [c.name for c in window.drift.columns if c.drifted] == ["x[2]"]


def test_data_that_does_not_fit_is_refused(
    folder: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """No column of it is one that the model takes."""
    pl.DataFrame({"other": [1.0]}).write_parquet(folder / "other.parquet")
    dataset("other", workspace=workspace).add(folder / "other.parquet")

    assert main(["models", "profile", "bare@1", "--data", "other", "-w", str(folder)]) == 2
    assert "It takes `x[0]`" in capsys.readouterr().err
