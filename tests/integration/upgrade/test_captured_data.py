"""Predictions and labels that an older version kept, as this one reads, labels and adds to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.database.engine import Database
from noria.core.database.schema import from_micros
from noria.core.workspace import open_context
from noria.serving.predictions import (
    CaptureBatch,
    CaptureOrder,
    LabelBatch,
    LabelReport,
    NewLabel,
    PredictionIds,
)
from noria.serving.service import Captures
from support.conformance import workspace_settings
from support.schema import load_schema
from support.serving import predictions

RELEASE = Path(__file__).parent / "schemas" / "0.2.0"
START = 1_700_000_000_000_000
N_ROWS = 700
"""More than the migration moves at once."""

PROJECT = "insert into projects (id, name, created_at) values ('p', 'default', :at)"
ENDPOINT = """
insert into endpoints (id, project_pk, name, model, task, shares, digests, revision, created_at)
select :name, pk, :name, 'digits', 'classification', '[]', '{}', 1, :at from projects
"""
CAPTURE = """
insert into captures
(endpoint_pk, prediction_id, version, revision, row, at, inputs, outputs, latency_us, error)
select pk, :id, 1, 1, 0, :at, :inputs, :outputs, 900, :error from endpoints where name = :name
"""
LABEL = """
insert into labels (capture_pk, endpoint_pk, value, at, n_contradictions)
select pk, endpoint_pk, '7', :at, :n from captures where prediction_id = :id
"""


@pytest.fixture
def upgraded(database_url: str, tmp_path: Path) -> Iterator[Context]:
    """Give a workspace whose database was written by the last release: rows of two endpoints, one after the other."""
    old = Database(database_url)
    load_schema(old, (RELEASE / ("sqlite.sql" if old.is_sqlite else "postgres.sql")).read_text())
    with old.write() as connection:
        connection.execute(sa.text(PROJECT), {"at": START})
        for name in ("live", "other"):
            connection.execute(sa.text(ENDPOINT), {"name": name, "at": START})
        for number in range(N_ROWS):
            values = {
                "name": "live" if number % 2 else "other",
                "id": f"request-{number}",
                "at": START + number,
                "inputs": f'{{"x":[{number},null]}}',
                "outputs": '{"predictions":7}',
                "error": "ValueError: no" if number == 5 else None,
            }
            connection.execute(sa.text(CAPTURE), values)
        for number in (3, 1):
            connection.execute(sa.text(LABEL), {"id": f"request-{number}", "at": START, "n": number})
    old.dispose()
    context = open_context(workspace_settings(tmp_path / "workspace", database_url), SystemClock())
    yield context
    context.database.dispose()


def test_predictions_and_labels_of_an_older_version_are_there(upgraded: Context) -> None:
    """Every row at its position, with its label; what is sent again is known, and what is new goes behind them."""
    captures = upgraded.service(Captures)
    rows = captures.read("default", "live", limit=1000).items

    assert [row.position for row in rows] == list(range(2, N_ROWS + 1, 2))
    assert [row.prediction.id for row in rows] == [f"request-{number}" for number in range(1, N_ROWS, 2)]
    assert rows[7].prediction.inputs == {"x": [15, None]}
    assert rows[7].prediction.at == from_micros(START + 15)
    assert [row.position for row in rows if row.prediction.error] == [6]
    labelled = captures.read("default", "live", order=CaptureOrder.LABELLED).items
    assert [(row.position, row.label.n_contradictions) for row in labelled if row.label] == [(4, 3), (2, 1)]
    head = captures.head("default", "live", after=N_ROWS - 11)
    assert (head.position, head.label_position, head.n_rows) == (N_ROWS, 2, 6)
    (found,) = captures.locate(PredictionIds(ids=["request-8"])).items
    assert found.endpoint == "other"

    label = LabelBatch(labels=[NewLabel(prediction_id=f"request-{number}", value=7) for number in (1, 699)])
    assert captures.label("default", "live", label) == LabelReport(accepted=1, duplicate=["request-1"])
    again = CaptureBatch(predictions=predictions(["request-699", "new"]))
    assert captures.append("default", "live", again).accepted == 1
    assert captures.get("default", "live", "new").position == N_ROWS + 1
