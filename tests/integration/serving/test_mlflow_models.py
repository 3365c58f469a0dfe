"""Models in MLflow's format behind a model server, and endpoints of models that got another name."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from noria.core.errors import Conflict
from noria.core.workspace import InProcess, Workspace
from noria.registry.consents import Consents
from noria.registry.entities import ArtifactPlace, ModelVersion, NewModel, NewName, SourceVersion
from noria.registry.rules import ConsentMissing
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.serving.client import deploy
from noria.serving.rollouts.deployment import rename_model
from noria.serving.service import Endpoints
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.mlflow_models import rows, saved_model
from support.ports import free_port
from support.processes import RunningProcess

PROJECT = "default"


def registered(workspace: Workspace, serialization: str, name: str = "iris") -> ModelVersion:
    """Register what a client of MLflow would have logged."""
    run = workspace.service(Runs).create(PROJECT, NewRun(name="train"))
    for path, data in saved_model(serialization).items():
        workspace.service(Artifacts).put(PROJECT, [data], of=f"run:{run.id}", path=f"model/{path}")
    place = ArtifactPlace(project=PROJECT, of=f"run:{run.id}", folder="model")
    new = SourceVersion(source=f"runs:/{run.id}/model", run_id=run.id, artifacts=place)
    return workspace.service(ModelVersions).register(PROJECT, name, new)


def ask(port: int, endpoint: str) -> list[int]:
    """Give the answers to the rows that the model was fitted on."""
    x, _ = rows()
    tensor = {"name": "x", "datatype": "FP64", "shape": list(x.shape), "data": x.tolist()}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v2/models/{endpoint}/infer", json={"inputs": [tensor]}, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    data: list[int] = answer.json()["outputs"][0]["data"]
    return data


@pytest.mark.parametrize("serialization", ["skops", "pickle"])
def test_a_model_that_mlflow_saved_is_served(
    workspace: Workspace, start_server: Callable[..., RunningProcess], serialization: str
) -> None:
    """A pickle after a consent only, everything else at once; the answers are the estimator's own."""
    workspace.service(Models).create(PROJECT, NewModel(name="iris"))
    made = registered(workspace, serialization)
    if serialization == "pickle":
        with pytest.raises(ConsentMissing):
            deploy("iris@1", workspace=workspace)
        workspace.service(Consents).give(PROJECT, "iris", made.version)
    deploy("iris@1", workspace=workspace)
    port = free_port()
    start_server(port)
    _, y = rows()
    answers = ask(port, "iris")

    assert sum(a == b for a, b in zip(answers, y, strict=True)) > 0.9 * len(y)


def test_an_endpoint_outlives_the_name_of_its_model(
    workspace: Workspace, start_server: Callable[..., RunningProcess]
) -> None:
    """It serves what it was deployed with, takes further versions of the same model, and none of a namesake."""
    models = workspace.service(Models)
    models.create(PROJECT, NewModel(name="iris"))
    registered(workspace, "skops")
    deploy("iris@1", workspace=workspace)
    models.rename(PROJECT, "iris", NewName(name="petals"))
    registered(workspace, "skops", "petals")
    deploy("petals@2", endpoint="iris", workspace=workspace)
    assert isinstance(workspace.backend, InProcess)
    rename_model(workspace.backend.context, PROJECT, "iris", "petals")
    models.create(PROJECT, NewModel(name="iris"))
    registered(workspace, "skops", "iris")

    with pytest.raises(Conflict, match="serves the model `petals`"):
        deploy("iris@1", endpoint="iris", workspace=workspace)
    port = free_port()
    start_server(port)
    assert len(ask(port, "iris")) == len(rows()[1])
    assert workspace.service(Endpoints).get(PROJECT, "iris").model == "petals"
