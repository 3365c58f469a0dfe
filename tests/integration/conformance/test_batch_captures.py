"""Rows of batch runs at an endpoint: captured once, labelled by the columns that name them, on every transport."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

import noria
from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.workspace import Workspace
from noria.registry.client import register
from noria.serving.batch import capturing
from noria.serving.batch.client import predict
from noria.serving.batch.entities import BatchRun
from noria.serving.batch.service import Batches
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment
from noria.serving.label_keys import KeyedLabel, KeyedLabelBatch
from noria.serving.predictions import CaptureBatch, CapturedRow
from support.conformance import Services

PROJECT, N_ROWS = "default", 60


@pytest.fixture(autouse=True)
def people(workspace: Workspace) -> None:
    """Give a model `worth`, behind an endpoint of its name, and a table of rows for it."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(200, 2))
    for name in ("worth", "other"):
        register(LinearRegression().fit(x, x[:, 0]), name, x=x, y=x[:, 0], workspace=workspace)
        plan = Deployment(model=name, version=1)
        workspace.service(Endpoints).deploy(PROJECT, name, plan)
    rows = pl.DataFrame({"id": np.arange(N_ROWS) + 1000, "a": x[:N_ROWS, 0], "b": x[:N_ROWS, 1]})
    noria.dataset("people", workspace=workspace).add(rows)


def run(workspace: Workspace, tmp_path: Path, **more: Any) -> BatchRun:
    """Predict the table."""
    given: dict[str, Any] = {"key": ["id"], "endpoint": "worth", **more}
    return predict("worth@1", "people", str(tmp_path / "out.parquet"), workspace=workspace, **given)


def captured(services: Services) -> list[CapturedRow]:
    return services(Captures).read(PROJECT, "worth", limit=1000).items


def test_rows_of_a_run_are_captured_as_if_they_had_been_asked_for(
    services: Services, workspace: Workspace, tmp_path: Path
) -> None:
    """Inputs as the model took them, what it answered, the key beside it, and a name that leads back to the run."""
    done = run(workspace, tmp_path)
    rows = captured(services)
    written = pl.read_parquet(tmp_path / "out.parquet")
    stats = services(Captures).stats(PROJECT, "worth").of(1)

    assert [row.prediction.id for row in rows] == [f"{done.id}-{n}" for n in range(N_ROWS)]
    assert [row.prediction.outputs["predictions"] for row in rows] == written["prediction"].to_list()
    assert [row.prediction.outputs["key:id"] for row in rows] == list(range(1000, 1000 + N_ROWS))
    source = noria.dataset("people", workspace=workspace).polars()
    (name,) = rows[0].prediction.inputs
    assert rows[7].prediction.inputs[name] == [source["a"][7], source["b"][7]]
    assert (stats.n_rows, stats.n_requests) == (N_ROWS, 1)


def test_labels_find_rows_by_their_key(services: Services, workspace: Workspace, tmp_path: Path) -> None:
    """The truth about a person goes to the newest prediction about this person."""
    run(workspace, tmp_path, once="monday")
    newest = run(workspace, tmp_path, once="tuesday")
    at = workspace.clock.now() + timedelta(minutes=1)
    labels = [KeyedLabel(key={"id": key}, at=at, value=0.5) for key in (1000, 1059, 5)]
    report = services(Captures).label_by_key(PROJECT, "worth", KeyedLabelBatch(labels=labels))
    labelled = [row.prediction.id for row in captured(services) if row.label is not None]

    assert (report.labels.accepted, report.unmatched) == (2, [2])
    assert labelled == [f"{newest.id}-0", f"{newest.id}-59"]


def test_no_row_is_captured_twice_and_none_of_another_run(
    services: Services, workspace: Workspace, tmp_path: Path
) -> None:
    """What a killed run captured is left as it is by the next attempt; rows of other runs and versions are refused."""
    done, batches = run(workspace, tmp_path), services(Batches)
    rows = [row.prediction for row in captured(services)]
    again = batches.capture(PROJECT, done.id, CaptureBatch(predictions=rows))
    foreign = msgspec.structs.replace(rows[0], id=f"{'f' * 32}-0")
    later = msgspec.structs.replace(rows[0], version=2)
    plain = run(workspace, tmp_path, endpoint=None)

    assert (again.accepted, again.duplicate) == (0, N_ROWS)
    for wrong in (foreign, later):
        with pytest.raises(Invalid, match="is no row of the batch run"):
            batches.capture(PROJECT, done.id, CaptureBatch(predictions=[wrong]))
    with pytest.raises(Invalid, match="names no endpoint"):
        batches.capture(PROJECT, plain.id, CaptureBatch(predictions=[]))
    assert len(captured(services)) == N_ROWS


def test_an_endpoint_that_does_not_fit_is_refused_before_anything_is_predicted(
    services: Services, workspace: Workspace, tmp_path: Path
) -> None:
    """An endpoint of another model, and one that is not there; nothing is written."""
    with pytest.raises(Conflict, match="one of the model `other`, not `worth`"):
        run(workspace, tmp_path, endpoint="other")
    with pytest.raises(NotFound, match="worht"):
        run(workspace, tmp_path, endpoint="worht")
    assert not (tmp_path / "out.parquet").exists()
    assert services(Batches).runs(PROJECT).items == []


@pytest.mark.parametrize(("database_kind", "transport"), [("sqlite", "in_process")])
def test_a_large_run_is_sampled_evenly(
    services: Services, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more rows than a decision looks at, some are captured from the first to the last, in chunks or not."""
    monkeypatch.setattr(capturing.sampled_rows, "__defaults__", (4,))
    done = run(workspace, tmp_path, chunk_rows=7)

    assert [row.prediction.id for row in captured(services)] == [f"{done.id}-{n}" for n in (0, 20, 39, 59)]
