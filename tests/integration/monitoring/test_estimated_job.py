"""Quality without labels, from captured answers to the estimate: a real server asks, a real worker estimates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import noria
from noria.core.config import load_settings
from noria.core.control.lock import read_server_info
from noria.core.errors import NotFound
from noria.core.ids import new_id
from noria.core.workspace import Workspace, open_workspace
from noria.monitoring.estimated.entities import StandingEstimate
from noria.monitoring.estimated.service import Estimates
from noria.serving.client import deploy
from noria.serving.predictions import CaptureBatch, Prediction
from noria.serving.service import Captures
from support.processes import Processes
from support.waiting import wait_until

N_ROWS = 600


def rows_of(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 3))
    return x, (x[:, 0] + rng.normal(size=n) > 0).astype(int)


def answered(workspace: Workspace, model: LogisticRegression, x: np.ndarray) -> None:
    """Have rows answered by the model, and captured as a model server would."""
    made = [
        Prediction(
            id=new_id(),
            version=1,
            at=workspace.clock.now(),
            inputs={"x": row.tolist()},
            outputs={"predictions": int(answer), "probabilities": sure.tolist()},
        )
        for row, answer, sure in zip(x, model.predict(x), model.predict_proba(x), strict=True)
    ]
    workspace.service(Captures).append("default", "coin", CaptureBatch(predictions=made))


def test_a_server_and_a_worker_estimate_quality(
    tmp_path: Path, processes: Processes, noria_command: tuple[str, ...]
) -> None:
    """Of the newest answers, near the truth that only the test knows; and of newer ones when enough have come."""
    rng = np.random.default_rng(3)
    (x, y), held_out, (live, truth) = rows_of(rng, 1_500), rows_of(rng, 1_500), rows_of(rng, N_ROWS)
    model = LogisticRegression().fit(x, y)
    settings = load_settings(workspace=str(tmp_path / "workspace"), environ={})
    with open_workspace(settings) as workspace:
        noria.register(model, "coin", x=x, y=y, holdout=held_out, workspace=workspace)
        deploy("coin@1", workspace=workspace)
        answered(workspace, model, live)
    place = ["--workspace", str(settings.folder)]
    processes.start([*noria_command, "server", *place, "--port", "0"], name="server")
    wait_until(lambda: read_server_info(settings.folder) is not None, 60)
    processes.start([*noria_command, "worker", *place], name="worker")

    with open_workspace(settings) as workspace:
        estimates = workspace.service(Estimates)

        def standing_behind(position: int) -> StandingEstimate | None:
            try:
                found = estimates.get("default", "coin").standing
            except NotFound:  # the server has not looked at its endpoints yet
                return None
            return found if found is not None and found.position > position else None

        wait_until(lambda: standing_behind(0) is not None, 120)
        first = standing_behind(0)
        assert first is not None
        answered(workspace, model, rows_of(rng, N_ROWS)[0])
        wait_until(lambda: standing_behind(first.position) is not None, 120)

    accuracy = float((model.predict(live) == truth).mean())
    assert first.estimated is not None, first.why
    (metric,) = [each for each in first.estimated.metrics if each.name == "accuracy"]
    assert (first.model, first.version, first.position) == ("coin", 1, N_ROWS)
    assert first.estimated.n_rows == N_ROWS
    assert metric.low < accuracy < metric.high
