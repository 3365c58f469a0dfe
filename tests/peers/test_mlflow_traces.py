"""A day of tracing with the real MLflow client on a real `noria server`, on each database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from peers.conftest import PROGRAMS, Peer
from peers.test_mlflow_day import NoriaServer, server  # noqa: F401 - the fixture

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "traces, assessments, their searches and figures, and evaluation datasets, against Noria"
NOT_YET = "judges and scorers, which the server does not keep"

pytestmark = pytest.mark.timeout(300)

EACH_DATABASE = pytest.mark.parametrize(
    "server", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@EACH_DATABASE
def test_a_day_of_tracing_with_the_mlflow_client(
    peer: Peer,
    server: NoriaServer,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """Everything the client traces, judges, finds and deletes is as on MLflow's own server, and is Noria's."""
    output = peer.run(["python", PROGRAMS / "mlflow_traces.py", server.uri], cwd=tmp_path, timeout_s=240)
    made = json.loads(output.strip().splitlines()[-1])

    listed = json.loads(server.ask("traces", "list", "--experiment", "asked", "--json"))["items"]
    assert [each["id"] for each in listed] == [made["trace"]]
    shown = json.loads(server.ask("traces", "show", made["trace"], "--json"))
    assert [each["name"] for each in shown["spans"]] == ["answer", "retrieve", "model"]
    assert [each["name"] for each in shown["assessments"]] == ["last"]
