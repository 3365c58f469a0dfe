"""Processes of a batch run that die, by their model or by somebody's hand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.core.clock import SystemClock
from noria.core.errors import Failed
from noria.core.workspace import InProcess, Workspace
from noria.registry.client import register
from noria.registry.consents import Consents
from noria.serving.batch.client import predict
from noria.serving.batch.service import Batches
from support.conformance import open_test_context, workspace_settings

N_ROWS, CHUNK = 400, 10
CODE = """
import os
from pathlib import Path

import noria

class Deadly(noria.PythonModel):
    task = "regression"

    def __init__(self, folder):
        self.folder = folder

    def predict(self, inputs):
        x = inputs["x"][:, 0]
        if (x == 666).any():
            os._exit(7)
        once = Path(self.folder, "died")
        if (x == 777).any() and not once.exists():
            once.touch()
            os._exit(7)
        return x * 2

    def save(self, folder):
        (folder / "folder").write_text(self.folder)

    @classmethod
    def load(cls, folder):
        return cls((folder / "folder").read_text())
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Give a workspace with a model at which processes die: at 666 always, at 777 once."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "deadly.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "project")
    with open_test_context(workspace_settings(tmp_path / "workspace"), SystemClock()) as context:
        opened = Workspace(context.settings, InProcess(context), context.clock)
        x = np.ones((20, 1))
        deadly = importlib.import_module("deadly").Deadly
        register(deadly(str(tmp_path)), "deadly", x=x, y=x[:, 0], workspace=opened)
        context.service(Consents).give("default", "deadly", 1)
        sys.modules.pop("deadly")
        yield opened


def _rows(folder: Path, *, at: int, value: float) -> Path:
    values = np.arange(N_ROWS, dtype=float) / 1000
    values[at] = value
    pl.DataFrame({"x0": values}).write_parquet(folder / "in.parquet")
    return folder / "in.parquet"


def test_a_process_that_dies_is_replaced_and_its_chunks_made_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Each row is there once, with the number that it has without a death."""
    source, out = _rows(tmp_path, at=123, value=777.0), tmp_path / "out.parquet"

    run = predict("deadly", str(source), str(out), workers=2, chunk_rows=CHUNK, workspace=workspace)

    assert (tmp_path / "died").exists()
    assert (run.n_rows, run.attempt) == (N_ROWS, 1)
    found = pl.read_parquet(out)
    assert found["row"].to_list() == list(range(N_ROWS))
    assert found["prediction"].to_list() == (pl.read_parquet(source)["x0"] * 2).to_list()


def test_rows_at_which_processes_die_again_and_again_are_named(workspace: Workspace, tmp_path: Path) -> None:
    """Not those that were written when one died; what others made is kept."""
    source, out = _rows(tmp_path, at=123, value=666.0), tmp_path / "out.parquet"

    with pytest.raises(Failed, match=r"3 processes died while they predicted the rows 120 to 129; .* code 7"):
        predict("deadly", str(source), str(out), workers=2, chunk_rows=CHUNK, workspace=workspace)

    assert not out.exists()
    (run,) = workspace.service(Batches).runs("default").items
    assert run.error is not None
    assert "rows 120 to 129" in run.error.message
