"""Registered models, and model servers as real processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import register
from noria.serving.client import deploy
from support.model_server import N_COLUMNS, LiveModelServer, is_ready, open_folder
from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with versions 1 and 2 of `flowers`, and version 3 that raises on values it has not seen."""
    folder = tmp_path_factory.mktemp("registered")
    generator = np.random.default_rng(11)
    x = generator.integers(0, 5, (200, N_COLUMNS)).astype(float)
    y = (x.sum(axis=1) > 8).astype(int)
    with open_workspace(load_settings(workspace=str(folder), environ={})) as workspace:
        for strength in (0.1, 1.0):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(x, y)
            register(model, "flowers", x=x, y=y, workspace=workspace)
        picky = make_pipeline(OneHotEncoder(handle_unknown="error"), LogisticRegression()).fit(x, y)
        register(picky, "flowers", x=x, y=y, workspace=workspace)
    return folder


@pytest.fixture
def folder(registered: Path, tmp_path: Path) -> Path:
    """Give a copy of the workspace for one test."""
    return Path(shutil.copytree(registered, tmp_path / "workspace"))


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    """Give the workspace of the test, opened in this process."""
    with open_folder(folder) as opened:
        yield opened


@pytest.fixture
def start_server(
    processes: Processes, noria_command: tuple[str, ...], folder: Path
) -> Callable[..., RunningProcess]:
    """Give what starts `noria serve` on the workspace and waits until it serves."""

    def start(port: int, *arguments: str) -> RunningProcess:
        child = processes.start(
            [*noria_command, "serve", "--workspace", str(folder), "--port", str(port), *arguments],
            name="serve",
        )
        wait_until(lambda: not child.running or is_ready(port), 60, child.output)
        assert child.running, child.output()
        return child

    return start


@pytest.fixture(scope="module")
def live(
    registered: Path, tmp_path_factory: pytest.TempPathFactory, noria_command: tuple[str, ...]
) -> Iterator[LiveModelServer]:
    """Give a running model server of the endpoints `flowers` (version 1) and `picky` (version 3)."""
    folder = Path(shutil.copytree(registered, tmp_path_factory.mktemp("live") / "workspace"))
    processes = Processes(tmp_path_factory.mktemp("processes"))
    port = free_port()
    with open_folder(folder) as workspace:
        deploy("flowers@1", workspace=workspace)
        deploy("flowers@3", endpoint="picky", workspace=workspace)
        child = processes.start(
            [*noria_command, "serve", "--workspace", str(folder), "--port", str(port)], name="serve"
        )
        try:
            wait_until(lambda: not child.running or is_ready(port), 60, child.output)
            running = LiveModelServer(port, folder, workspace, child)
            yield running
            running.http.close()
        finally:
            processes.end_all()
