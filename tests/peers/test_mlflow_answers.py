"""MLflow's own server and Noria's, asked the same: status, error code, message, keys and values of each answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from integration.interop.differential import Caller, Difference, differences
from integration.interop.mlflow_requests import steps
from noria.core.trust import trust_for
from peers.conftest import Peer
from support.ports import free_port
from support.processes import Processes
from support.waiting import wait_until

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "the endpoints of tracking, asked well and badly, against the answers of MLflow's own server"
NOT_YET = "the endpoints of artifacts, registry, traces and webhooks (see tests/integration/interop)"

pytestmark = pytest.mark.timeout(600)

WORDING = "says the same without naming MLflow's SQL, settings or Python, or says more"
REFUSED = "MLflow's server keeps another value than the one sent, or fails with status 500"
LENIENT = "a request that says clearly what it wants"
GRAMMAR = "what the grammar of filters does not have, and MLflow's parser lets through"
TOKENS = "tokens are Noria's own, and name a place in an order rather than a number of rows"
RANDOM = "in the order of ids, which are made at random"
END = "a run that goes on has no end"
ADDRESSES = "MLflow's server answers with a page of HTML"
PARTS = "Noria has no gateway"

MAY_DIFFER: dict[str, str] = {
    "a name twice": WORDING,
    "the name of a deleted experiment": WORDING,
    "rename to a taken name": WORDING,
    "experiments/create {'name': 'x', 'artifact_location': 'ftp:": WORDING,
    "experiments/create {'name': 'x', 'artifact_location': 'mlflow-artifacts:": WORDING,
    "experiments/create {'name': 'x', 'artifact_location': 's3://bbbb": WORDING,
    "experiments/search {}": LENIENT,
    "experiments/search {'max_results': 10, 'filter': 'bad'}": WORDING,
    "experiments/search {'max_results': 10, 'filter': 'metrics.m > 1'}": WORDING,
    "experiments/search {'max_results': 10, 'filter': \"name = 'a' OR": WORDING,
    "experiments/search {'max_results': 10, 'order_by': ['tags.k']}": WORDING,
    "experiments/search {'max_results': 10, 'view_type': 9": REFUSED,
    "experiments/search {'max_results': 10, 'page_token': ": TOKENS,
    "run without experiment": LENIENT,
    "runs/create {'experiment_id': '{u}', 'user_id': 'ana', 'start_time': 1.5}": REFUSED,
    "runs/create {'experiment_id': '{u}', 'user_id': 'ana', 'start_time': True}": REFUSED,
    "runs/update {'run_uuid': '{r2}', 'status': 1}": END,
    "runs/update {'run_id': '{r2}', 'status': 'SCHEDULED'}": END,
    "log-metric of the other run with": REFUSED,
    "log-inputs with {'name': None}": REFUSED,
    "log-inputs with {'name': 5}": REFUSED,
    "runs/search {'page_token': ": TOKENS,
    "runs/search {'filter': 'metrics.m >'}": WORDING,
    "runs/search {'filter': \"attributes.nope = '1'\"}": WORDING,
    "runs/search {'filter': \"nope = '1'\"}": WORDING,
    "runs/search {'filter': \"lifecycle_stage = 'active'\"}": WORDING,
    "runs/search {'filter': \"experiment_id = '1'\"}": WORDING,
    "runs/search {'filter': 'metrics.m > 1 OR metrics.m < 2'}": WORDING,
    "runs/search {'filter': \"param.p = '1' -- x\"}": WORDING,
    "runs/search {'filter': 'metrics.m > 1 metrics.n > 2'}": GRAMMAR,
    "runs/search {'filter': '   '}": LENIENT,
    "runs/search {'filter': \"metrics.'m' > 0\"}": GRAMMAR,
    "runs/search {'order_by': ['metrics.m', 'metrics.m DESC']}": REFUSED,
    "runs/search {'order_by': ['start_time', 'attribute.start_time']}": REFUSED,
    "runs/search {'order_by': ['nope']}": WORDING,
    "runs/search {'order_by': ['experiment_id']}": WORDING,
    "runs/search {'order_by': ['datasets.name']}": WORDING,
    "runs/search {'order_by': ['metrics.']}": GRAMMAR,
    "runs/search {'order_by': ['run_id']}": RANDOM,
    "runs/search {'order_by': ['artifact_uri']}": RANDOM,
    "metrics/get-history {'run_id': '{r}', 'metric_key': 'h', 'max_results': 'x'}": REFUSED,
    "a list as body": REFUSED,
    "camelCase": LENIENT,
    "unknown address": ADDRESSES,
    "unknown method": ADDRESSES,
    "server-info": PARTS,
    "graphql { broken": REFUSED,
    'graphql {mlflowSearchRuns(input: {experimentIds: ["{a}"], runViewType: ALL': LENIENT,
    "graphql {a0: ": WORDING,
}
"""Beginning of a request's name → why the answers differ."""


@pytest.fixture
def mlflow_url(peer: Peer, processes: Processes, tmp_path: Path) -> str:
    """Start MLflow's own server on a fresh SQLite file and give its URL."""
    port = free_port()
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        "--artifacts-destination",
        str(tmp_path / "artifacts"),
    ]
    env = {
        "PATH": f"{peer.bin}:/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    processes.start([peer.bin / command[0], *command[1:], *stores], name="mlflow", cwd=tmp_path, env=env)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(url), 240, "MLflow's server did not answer")
    return url


@pytest.fixture
def noria_url(processes: Processes, noria_command: tuple[str, ...], tmp_path: Path) -> str:
    """Start `noria server` on a fresh workspace and give its URL."""
    port = free_port()
    command: list[str | Path] = [
        *noria_command,
        "server",
        "--port",
        str(port),
        "--workspace",
        tmp_path / "workspace",
    ]
    processes.start(command, name="noria").wait_for_output("answers at")
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def callers(mlflow_url: str, noria_url: str) -> Iterator[tuple[Caller, Caller]]:
    """Give what asks each server."""
    with (
        httpx.Client(base_url=mlflow_url, timeout=60) as mlflow,
        httpx.Client(base_url=noria_url, timeout=60) as noria,
    ):
        yield Caller(mlflow), Caller(noria)


def test_both_servers_answer_alike(callers: tuple[Caller, Caller]) -> None:
    """Except where there is a reason, and every reason is needed."""
    found = list(differences(*callers, steps()))
    unexpected = [each for each in found if reason_of(each) is None]
    assert not unexpected, "\n".join(map(str, unexpected))
    always = [name for name, reason in MAY_DIFFER.items() if reason != RANDOM]
    assert [name for name in always if not any(each.step.name.startswith(name) for each in found)] == []


def reason_of(difference: Difference) -> str | None:
    """Give why an answer may differ, or None if it may not."""
    names = (name for name in MAY_DIFFER if difference.step.name.startswith(name))
    return next((MAY_DIFFER[name] for name in names), None)


def answers(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        return httpx.get(f"{url}/health", verify=trust_for(url), trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
