"""MLflow's client asked to do the same on MLflow's own server and on Noria's: what comes of each call is the same."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from peers.conftest import PROGRAMS, Peer
from peers.test_mlflow_answers import mlflow_url, noria_url  # noqa: F401 - fixtures

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = (
    "experiments, runs, logged models, the registry, prompts and webhooks through the client, on both servers"
)
NOT_YET = "scorers, label schemas and review queues (see test_mlflow_store.py)"

pytestmark = pytest.mark.timeout(900)

PROGRAMS_OF_THE_CLIENT = ("mlflow_client_registry.py", "mlflow_client_runs.py", "mlflow_client_prompts.py")
QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "0",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}

SQL = "MLflow's server shows the statement of its database that failed"
WORDING = "says the same in other words"
OFF = "Noria says that it keeps no MCP servers"
MAY_DIFFER: dict[str, str] = {
    "rename to a taken name": SQL,
    "a name twice": SQL,
    "deleted experiment: create": SQL,
    "rename to Default": SQL,
    "versions with name = 5": WORDING,
    "models by ['tag.t']": WORDING,
    "versions by ['tag.t']": WORDING,
    "webhook address ftp:": "Noria also calls addresses without TLS, where its settings allow it",
    "webhook address invalid_url": "as before",
    "webhook address 93.184.216.34/w": "as before",
    "change webhook {'url': 'ftp:": "as before",
    "MCP servers": OFF,
    "an MCP server": OFF,
}
"""Beginning of a call's name → why its outcomes differ."""

KEYS = re.compile(r"(Valid keys are).*", re.DOTALL)
"""MLflow's server lists them in the order of a set, which is another each time."""


def test_the_client_does_not_notice_which_server_it_is(
    peer: Peer,
    mlflow_url: str,  # noqa: F811 - the fixture
    noria_url: str,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """Answers, errors and their words are the same, but for what has a reason, and every reason is needed."""
    found = {}
    for program in PROGRAMS_OF_THE_CLIENT:
        of_mlflow, of_noria = outcomes(peer, program, (mlflow_url, noria_url), tmp_path)
        assert [name for name, _ in of_mlflow] == [name for name, _ in of_noria]
        for (name, theirs), (_, ours) in zip(of_mlflow, of_noria, strict=True):
            if not alike(theirs, ours):
                found[name] = f"{name}\n  MLflow {theirs}\n  Noria  {ours}"
    unexpected = [text for name, text in found.items() if not name.startswith(tuple(MAY_DIFFER))]
    assert not unexpected, "\n".join(unexpected)
    assert [name for name in MAY_DIFFER if not any(each.startswith(name) for each in found)] == []


def outcomes(
    peer: Peer, program: str, urls: tuple[str, str], folder: Path
) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Run a program of MLflow's client against both servers at once, and give the outcome of each of its calls."""
    env = {"PATH": f"{peer.bin}{os.pathsep}{os.defpath}", **QUIETLY}
    command = [peer.bin / "python", PROGRAMS / program]
    children = [
        peer.processes.start([*command, url], name=f"client-{at}", cwd=folder, env=env)
        for at, url in enumerate(urls)
    ]
    for child in children:
        assert child.wait(600) == 0, child.output()
    told = [
        [
            tuple(json.loads(line.removeprefix("OUTCOME ")))
            for line in child.output().splitlines()
            if is_told(line)
        ]
        for child in children
    ]
    assert told[0]
    return told[0], told[1]


def is_told(line: str) -> bool:
    """Tell whether a line of a program's output is an outcome."""
    return line.startswith("OUTCOME ")


def alike(theirs: Any, ours: Any) -> bool:
    """Tell whether two outcomes are the same; Noria's messages may say more at their end."""
    if isinstance(theirs, list) and isinstance(ours, list) and theirs[:1] == ours[:1] == ["raised"]:
        return bool(theirs[1] == ours[1]) and ours[2].startswith(KEYS.sub(r"\1", theirs[2]).rstrip("."))
    return bool(_without_more(theirs) == _without_more(ours))


def _without_more(value: Any) -> Any:
    """Leave out who registered a version, which only Noria tells."""
    if isinstance(value, dict):
        more = {"user_id"} if value.get("is") == "ModelVersion" else set()
        return {key: _without_more(each) for key, each in value.items() if key not in more}
    return [_without_more(each) for each in value] if isinstance(value, list) else value
