"""Models that forecast and models without a target, from registration to the report of their endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression

import noria
from noria.cli.main import main
from noria.core.ids import new_id
from noria.core.workspace import Workspace, open_workspace
from noria.monitoring.entities import Alert, AlertKind
from noria.monitoring.evaluate import look
from noria.monitoring.service import Monitors
from noria.monitoring.tasks.entities import Forecasting
from noria.monitoring.tasks.live import set_task
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from support.conformance import workspace_settings

DAY = datetime(2030, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace: `load` forecasts the hours of days, `groups` finds clusters."""
    place = tmp_path_factory.mktemp("tasks")
    with open_workspace(workspace_settings(place)) as workspace:
        _forecaster(workspace)
        _clusters(workspace)
    return place


def _forecaster(workspace: Workspace) -> None:
    hours = np.arange(24 * 20)
    actual = 10 * np.sin(2 * np.pi * hours / 24) + RNG.normal(size=len(hours))
    inputs = {
        "hour": hours.astype(float),
        "ahead": np.tile([1.0, 24.0], len(hours) // 2),
        "sine": np.sin(2 * np.pi * hours / 24),
    }
    x = np.column_stack(list(inputs.values()))
    fitted = LinearRegression().fit(x[:240], actual[:240])
    train = {name: column[:240] for name, column in inputs.items()}
    held = {name: column[240:360] for name, column in inputs.items()}
    noria.register(
        fitted, "load", x=train, y=actual[:240], holdout=(held, actual[240:360]), workspace=workspace
    )
    workspace.service(Endpoints).deploy("default", "load", Deployment(model="load", version=1))
    rows = range(240, 480)
    ids = _send(
        workspace,
        "load",
        [{name: float(column[row]) for name, column in inputs.items()} for row in rows],
        fitted.predict(x[240:]).tolist(),
    )
    labels = [
        NewLabel(prediction_id=each, value=float(actual[row])) for each, row in zip(ids, rows, strict=True)
    ]
    workspace.service(Captures).label("default", "load", LabelBatch(labels=labels))


def _clusters(workspace: Workspace) -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = centres[RNG.integers(3, size=600)] + RNG.normal(size=(600, 2))
    model = KMeans(3, n_init=1, random_state=0).fit(x)
    noria.register(model, "groups", x=x, y=model.labels_, workspace=workspace)
    workspace.service(Endpoints).deploy("default", "groups", Deployment(model="groups", version=1))
    quiet = centres[RNG.integers(3, size=200)] + RNG.normal(size=(200, 2))
    moved = centres[RNG.integers(2, size=200)] + RNG.normal(size=(200, 2)) + [0.0, -5.0]
    rows = np.concatenate([quiet, moved])
    _send(workspace, "groups", [{"x": row} for row in rows.tolist()], model.predict(rows).tolist())


def _send(workspace: Workspace, endpoint: str, inputs: list[dict[str, Any]], answers: list[Any]) -> list[str]:
    made = [
        Prediction(
            id=new_id(), version=1, at=DAY + timedelta(minutes=i), inputs=row, outputs={"predictions": answer}
        )
        for i, (row, answer) in enumerate(zip(inputs, answers, strict=True))
    ]
    workspace.service(Captures).append("default", endpoint, CaptureBatch(predictions=made))
    return [prediction.id for prediction in made]


def _report(folder: Path, endpoint: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["monitors", "report", endpoint, "--json", "-w", str(folder)]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_version_is_said_to_forecast(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report has errors by horizon beside the naive forecast, in JSON, on the terminal and as a file."""
    place = ["-w", str(folder)]
    assert _report(folder, "load", capsys)["forecast"] is None
    said = ["--time", "hour", "--horizon", "ahead", "--season", "24", "--json"]
    assert main(["models", "task", "load@1", *said, *place]) == 0
    assert json.loads(capsys.readouterr().out)["task"]["season"] == 24

    found = _report(folder, "load", capsys)
    assert [each["horizon"] for each in found["forecast"]["horizons"]] == [1, 24]
    assert found["forecast"]["scale_from"] == "training"
    assert found["forecast"]["overall"]["relative_mae"] < 1
    assert found["forecast"]["overall"]["mae"] == pytest.approx(np.sqrt(2 / np.pi), rel=0.2)
    assert found["estimated"]["metrics"][0]["name"] == "mae"
    target = tmp_path / "load.html"
    assert main(["monitors", "report", "load", "--html", str(target), "--lang", "es", *place]) == 0
    assert "steps ahead" in capsys.readouterr().out
    assert "Pronósticos" in target.read_text(encoding="utf-8")


def test_a_version_is_said_to_have_no_target(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its report has shares of clusters over time, and how far rows lie from the reference."""
    place = ["-w", str(folder)]
    assert main(["models", "task", "groups@1", "--unsupervised", *place]) == 0
    found = _report(folder, "groups", capsys)

    assert found["unsupervised"]["answers"] == "clusters"
    assert [window["differs"] for window in found["unsupervised"]["windows"]] == [False, True]
    assert found["unsupervised"]["distances"]["p_value"] < 0.01
    assert found["estimated"] is None
    target = tmp_path / "groups.html"
    assert main(["monitors", "report", "groups", "--html", str(target), *place]) == 0
    assert "2 windows" in capsys.readouterr().out
    assert "Answers without a target" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--time", "hours"], "Did you mean `hour`?"),
        (["--time", "hour", "--unsupervised"], "either forecasts or has no target"),
        ([], "either forecasts or has no target"),
        (["--time", "hour", "--quantiles", "0.9,0.1"], "not rising levels"),
        (["--time", "hour", "--quantiles", "all"], "`all` are no quantiles"),
        (["--time", "hour", "--quantiles", "0,1"], "not rising levels"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inputs that are not there, both tasks or none, and quantiles that are none."""
    assert main(["models", "task", "load@1", *options, "-w", str(folder)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def _labelled_forecasts(workspace: Workspace, first: int, n: int, error: float) -> None:
    """Send forecasts of a daily wave and their values; those 24 steps ahead have an error of this deviation."""
    hours = np.arange(first, first + n)
    actual = 10 * np.sin(2 * np.pi * hours / 24) + RNG.normal(size=n)
    ahead = np.where(hours // 24 % 2 == 0, 1.0, 24.0)
    answers = actual + RNG.normal(size=n) * np.where(ahead == 24, error, 0.5)
    rows = [
        {"hour": float(hour), "ahead": far} for hour, far in zip(hours.tolist(), ahead.tolist(), strict=True)
    ]
    ids = _send(workspace, "waves", rows, answers.tolist())
    labels = [
        NewLabel(prediction_id=each, value=float(value)) for each, value in zip(ids, actual, strict=True)
    ]
    workspace.service(Captures).label("default", "waves", LabelBatch(labels=labels))


def test_forecasts_worse_than_the_last_season_raise_an_alert(tmp_path: Path) -> None:
    """By horizon, without any held-out rows; it is over when forecasts are good again."""
    with open_workspace(workspace_settings(tmp_path)) as workspace:
        inputs = {"hour": np.arange(100.0), "ahead": np.ones(100)}
        fitted = LinearRegression().fit(np.column_stack(list(inputs.values())), np.arange(100.0))
        noria.register(fitted, "waves", x=inputs, y=np.arange(100.0), workspace=workspace)
        workspace.service(Endpoints).deploy("default", "waves", Deployment(model="waves", version=1))
        monitors = workspace.service(Monitors)
        monitors.watch("default", "waves")

        def looked() -> list[Alert]:
            # Windows of all rows: only labels are looked at here.
            look(workspace, "default", "waves", {"window_rows": 1_000_000})
            return monitors.alerts("default", endpoint="waves").items

        _labelled_forecasts(workspace, 0, 960, 6.0)
        before = looked()  # nobody said yet that it forecasts
        set_task(workspace, "waves", 1, Forecasting(time="hour", horizon="ahead", season=24))
        _labelled_forecasts(workspace, 960, 960, 6.0)
        (alert,) = looked()
        _labelled_forecasts(workspace, 1920, 1000, 0.5)
        (closed,) = looked()

    assert before == []
    assert (alert.kind, alert.closed_at) == (AlertKind.QUALITY, None)
    assert alert.sentence.startswith(
        "Forecasts 24 steps ahead are worse than repeating the last season of 24"
    )
    assert alert.figures["relative_mae"] > 2
    assert closed.id == alert.id
    assert closed.closed_why is not None
    assert "at least as good" in closed.closed_why


def test_shares_of_clusters_that_move_raise_an_alert(tmp_path: Path) -> None:
    """What is answered is watched as a column of classes, by chi-squared."""
    with open_workspace(workspace_settings(tmp_path)) as workspace:
        _clusters(workspace)
        monitors = workspace.service(Monitors)
        monitors.watch("default", "groups")
        look(workspace, "default", "groups", {"window_rows": 100})
        windows = monitors.windows("default", "groups").items[::-1]
        (alert,) = monitors.alerts("default", endpoint="groups").items

    assert [window.predictions.drifted for window in windows if window.predictions] == [
        False,
        False,
        True,
        True,
    ]
    assert {window.predictions.test for window in windows if window.predictions} == {"chi_squared"}
    assert alert.kind is AlertKind.DRIFT
    assert "so have the predictions" in alert.sentence
