"""The registry: MLflow's own server and Noria's asked the same, and a script of the real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import noria
from integration.interop.differential import Answer, Caller, Difference, differences
from integration.interop.mlflow_registry_requests import steps
from integration.interop.mlflow_requests import Step
from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.registry.rules import ConsentMissing
from peers.conftest import PROGRAMS, Peer
from peers.test_mlflow_answers import mlflow_url, noria_url  # noqa: F401 - fixtures
from peers.test_mlflow_day import NoriaServer, seaweed, server  # noqa: F401 - fixtures

PEER = "mlflow"
DISTRIBUTION = "mlflow"
COVERS = "registered models, versions, stages, aliases, tags, searches, sources and prompts, against Noria"
NOT_YET = "webhooks of the registry (see tests/integration/interop)"

pytestmark = pytest.mark.timeout(600)

WORDING = "says the same without naming MLflow's SQL or its settings"

MAY_DIFFER: dict[str, str] = {
    "registered-models/rename {'name': 't 2', 'new_name': 'm'": WORDING,
}
"""Beginning of a request's name → why the answers differ."""

MORE = {"user_id", "model_id"}
"""What Noria tells and MLflow's server does not."""
TIMES = {"creation_timestamp", "last_updated_timestamp", "creation_timestamp_ms", "last_updated_timestamp_ms"}
"""What each server's clock says."""


class RegistryCaller(Caller):
    """Leaves out of the answers what only Noria tells."""

    def ask(self, step: Step) -> Answer:
        """Send one request."""
        answer = super().ask(step)
        content = _without(answer.content)
        if step.path.endswith("/get-latest-versions") and answer.status == 200:
            content.get("model_versions", []).sort(key=_number)
        return Answer(answer.status, content)


@pytest.fixture
def callers(mlflow_url: str, noria_url: str) -> Iterator[tuple[Caller, Caller]]:  # noqa: F811 - the fixtures
    """Give what asks each server."""
    with (
        httpx.Client(base_url=mlflow_url, timeout=60) as mlflow,
        httpx.Client(base_url=noria_url, timeout=60) as noria,
    ):
        yield RegistryCaller(mlflow), RegistryCaller(noria)


def test_both_servers_answer_alike(callers: tuple[Caller, Caller]) -> None:
    """Except where there is a reason, and every reason is needed."""
    found = list(differences(*callers, steps()))
    unexpected = [each for each in found if reason_of(each) is None]
    assert not unexpected, "\n".join(map(str, unexpected))
    unneeded = [name for name in MAY_DIFFER if not any(each.step.name.startswith(name) for each in found)]
    assert unneeded == []


def test_the_registry_of_the_mlflow_client(
    peer: Peer,
    server: NoriaServer,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """What the client registers is Noria's own, and what Noria registered the client loads."""
    x, y = load_iris(return_X_y=True)
    with open_workspace(load_settings(workspace=server.env["NORIA_WORKSPACE"], environ={})) as workspace:
        own = LogisticRegression(max_iter=500).fit(x, y)
        noria.register(own, "own", x=x, y=y, message="made by Noria", alias="champion", workspace=workspace)
        output = peer.run(
            ["python", PROGRAMS / "mlflow_registry.py", server.uri], cwd=tmp_path, timeout_s=400
        )
        made = json.loads(output.strip().splitlines()[-1])

        iris = json.loads(server.ask("models", "show", "iris@champion", "--json"))
        assert (iris["format"], iris["flavor"], iris["task"]) == ("mlflow", "sklearn", "classification")
        columns = {name: x[:, at] for at, name in enumerate(load_iris().feature_names)}
        predicted = noria.model("iris", workspace=workspace).predict(columns)
        assert (predicted == y).mean() > 0.9
        with pytest.raises(ConsentMissing):
            noria.model("forest", workspace=workspace)
        assert "may be loaded" in server.ask("models", "consent", "forest@1")
        assert noria.model("forest", workspace=workspace).predict(columns).tolist() == made["forest"]


def reason_of(difference: Difference) -> str | None:
    """Give why an answer may differ, or None if it may not."""
    names = (name for name in MAY_DIFFER if difference.step.name.startswith(name))
    return next((MAY_DIFFER[name] for name in names), None)


def _without(value: Any, *, inner: bool = False) -> Any:
    if isinstance(value, dict):
        # MLflow's server forgets the aliases of versions that stand inside a model.
        dropped = {*MORE, *TIMES, *(["aliases"] if inner else [])}
        found = {
            key: _without(each, inner=key == "latest_versions")
            for key, each in value.items()
            if key not in dropped
        }
        found.get("latest_versions", []).sort(key=_number)
        found.get("tags", []).sort(key=lambda tag: tag["key"])
        return found
    return [_without(each, inner=inner) for each in value] if isinstance(value, list) else value


def _number(version: dict[str, Any]) -> int:
    return int(version["version"])
