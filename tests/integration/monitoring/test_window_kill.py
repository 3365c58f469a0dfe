"""Workers that are killed while they count: every captured row is counted once, as a recount shows."""

from __future__ import annotations

import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import noria
from noria.core.config import load_settings
from noria.core.stats.counters import TableCounter
from noria.core.workspace import Workspace, open_workspace
from noria.monitoring.reference import load_reference
from noria.monitoring.service import Monitors
from noria.monitoring.windows.layout import lay_out
from noria.monitoring.windows.packing import unpack_counts
from noria.serving.captured_blocks import blocks_of_rows
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, CapturedRow, Prediction
from noria.serving.service import Captures, Endpoints
from support.processes import Processes
from support.waiting import wait_until

SETTINGS = {"window_s": 60, "segments": {"flowers": ["x[0]"]}}
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
SPREAD_S = 1200

PROGRAM = f"""
import sys
from pathlib import Path
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.monitoring.evaluate import look

with open_workspace(load_settings(environ={{}}, folder=Path(sys.argv[1]))) as workspace:
    while True:
        look(workspace, "default", "flowers", {SETTINGS!r})
        print("looked", flush=True)
"""


def send(workspace: Workspace, rng: np.random.Generator, first: int, n: int) -> None:
    made = [
        Prediction(
            id=f"p{first + i}",
            version=1 + int(rng.random() < 0.3),
            at=BEGIN + timedelta(seconds=int(rng.integers(0, SPREAD_S))),
            inputs={"x": rng.normal(size=2).tolist()},
            outputs={"predictions": int(rng.integers(0, 2))},
        )
        for i in range(n)
    ]
    workspace.service(Captures).append("default", "flowers", CaptureBatch(predictions=made))


def all_rows(workspace: Workspace) -> list[CapturedRow]:
    found: list[CapturedRow] = []
    after, more = 0, True
    while more:
        page = workspace.service(Captures).read("default", "flowers", after=after, limit=1000)
        found += page.items
        after, more = page.next, page.more
    return found


@pytest.mark.parametrize("n_kills", [3, pytest.param(60, marks=pytest.mark.soak)])
def test_killed_workers_count_every_row_once(processes: Processes, tmp_path: Path, n_kills: int) -> None:
    """By window, version and segment, while rows go on coming: late ones too, to windows that were judged."""
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = ".noria"\n')
    chance, rng = random.Random(20261122), np.random.default_rng(20261122)
    x, n_sent = rng.normal(size=(300, 2)), 0
    with open_workspace(load_settings(environ={}, folder=tmp_path)) as workspace:
        for seed in (1, 2):
            fitted = LogisticRegression(random_state=seed).fit(x, x[:, 0] > 0)
            noria.register(fitted, "flowers", x=x, y=x[:, 0] > 0, workspace=workspace)
        workspace.service(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=1))
        workspace.service(Monitors).watch("default", "flowers")
        send(workspace, rng, n_sent, 500)
        n_sent += 500
        for _ in range(n_kills):
            worker = processes.start([sys.executable, "-c", PROGRAM, str(tmp_path)], name="worker")
            worker.wait_for_output("looked")
            until = time.monotonic() + chance.random()
            while time.monotonic() < until:  # the moment of the kill, by chance
                send(workspace, rng, n_sent, 40)
                n_sent += 40
            worker.kill()
        last = processes.start([sys.executable, "-c", PROGRAM, str(tmp_path)], name="worker")
        head = workspace.service(Captures).head("default", "flowers").position
        wait_until(
            lambda: workspace.service(Monitors).get("default", "flowers").position >= head,
            timeout_s=60,
            message=last.output,
        )
        last.kill()

        rows = all_rows(workspace)
        monitors = workspace.service(Monitors)
        cutting = monitors.get("default", "flowers").cutting
        assert cutting is not None
        windows = monitors.windows("default", "flowers", limit=1000).items
        stored = {
            (each.index, each.version, each.segment): unpack_counts(each.body).counts
            for window in windows
            for each in monitors.counts("default", "flowers", window.index).items
        }
        layouts = {
            version: lay_out(
                load_reference(workspace, "default", "flowers", version), "flowers", segment_columns=["x[0]"]
            )
            for version in (1, 2)
        }

    places: dict[tuple[int, int], list[CapturedRow]] = {}
    for row in rows:
        minute = (int(row.prediction.at.timestamp()) - cutting.origin_s) // 60
        places.setdefault((cutting.base + max(0, minute), row.prediction.version), []).append(row)
    assert len(rows) == n_sent
    assert sum(window.n_rows for window in windows) == n_sent
    assert {place[:2] for place in stored} == set(places)
    for (index, version), some in places.items():
        counter = TableCounter(layouts[version].profile)
        counter.update(layouts[version].columns(*blocks_of_rows(some)))
        segments = [counts for place, counts in stored.items() if place[:2] == (index, version) and place[2]]

        assert stored[index, version, ""] == counter.counts
        assert sum(counts.n_rows for counts in segments) == len(some)
