"""Artifacts and logged models through the real MLflow client; the server's address is the argument."""

import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable

os.environ |= {
    "MPLBACKEND": "Agg",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "0",
}

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import requests
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

URI = sys.argv[1]
FOLDER = pathlib.Path(tempfile.mkdtemp())
mlflow.set_tracking_uri(URI)
client = MlflowClient()


def refused(call: Callable[[], object]) -> str:
    """Give the error of a call that is refused."""
    try:
        call()
    except MlflowException as error:
        return f"{getattr(error, 'error_code', '')}: {error}"
    raise AssertionError("nothing was refused")


def files() -> None:
    """Files and folders go to a run and come back."""
    (FOLDER / "dir").mkdir()
    for path, text in {
        "a.txt": "0",
        "dir/b.txt": "1",
        "empty.bin": "",
        "ñ é.txt": "ü",
        "100%.txt": "%",
    }.items():
        (FOLDER / path).write_text(text)
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        assert client.list_artifacts(run_id) == []
        mlflow.log_artifacts(FOLDER)
        mlflow.log_artifacts(FOLDER, artifact_path="below/deeper")
        mlflow.log_artifact(FOLDER / "a.txt", "below")
    assert run.info.artifact_uri == f"mlflow-artifacts:/{run.info.experiment_id}/{run_id}/artifacts"
    top = {each.path: (each.is_dir, each.file_size) for each in client.list_artifacts(run_id)}
    assert top["a.txt"] == (False, 1)
    assert top["dir"] == top["below"] == (True, None)
    assert sorted(each.path for each in client.list_artifacts(run_id, "below")) == [
        "below/a.txt",
        "below/deeper",
    ]
    assert [each.path for each in client.list_artifacts(run_id, "below/deeper/dir")] == [
        "below/deeper/dir/b.txt"
    ]
    assert client.list_artifacts(run_id, "nothing") == client.list_artifacts(run_id, "a.txt") == []
    whole = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=""))
    for path in FOLDER.rglob("*"):
        if path.is_file():
            assert (whole / path.relative_to(FOLDER)).read_bytes() == path.read_bytes(), path
    part = pathlib.Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/below/deeper/dir"))
    assert [each.name for each in part.iterdir()] == ["b.txt"]
    client.log_text(run_id, "second", "a.txt")
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/a.txt") == "second"
    repository = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(
        run.info.artifact_uri
    )
    repository.delete_artifacts("below")
    assert client.list_artifacts(run_id, "below") == []
    assert "RESOURCE_DOES_NOT_EXIST" in refused(
        lambda: mlflow.artifacts.load_text(f"{run.info.artifact_uri}/no.txt")
    )


def what_scripts_log() -> None:
    """Figures, images, tables, dictionaries and texts."""
    with mlflow.start_run() as run:
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        mlflow.log_figure(figure, "plots/figure.png")
        mlflow.log_image(
            np.zeros((8, 8, 3), dtype=np.uint8), key="dog", step=20, timestamp=100, synchronous=True
        )
        mlflow.log_dict({"a": [1, 2]}, "folder/dict.json")
        mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
        mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/folder/dict.json") == {"a": [1, 2]}
    table = mlflow.load_table("table.json", run_ids=[run.info.run_id])
    assert list(table["y"]) == ["a", "b", "c"]
    assert mlflow.artifacts.load_image(f"{run.info.artifact_uri}/plots/figure.png").format == "PNG"
    listed = requests.get(
        f"{URI}/ajax-api/2.0/mlflow/artifacts/list",
        params={"path": "images", "run_id": run.info.run_id},
        timeout=60,
    )
    for file in listed.json()["files"]:
        got = requests.get(
            f"{URI}/get-artifact", params={"run_id": run.info.run_id, "path": file["path"]}, timeout=60
        )
        assert "attachment; filename=dog+step+20+timestamp+100" in got.headers["Content-Disposition"]


def logged_models() -> None:
    """A model with its example is logged, measured, found, loaded and deleted."""
    experiment = mlflow.set_experiment("models")
    features = np.array([[0.0], [1.0], [2.0], [3.0]])
    with mlflow.start_run() as run:
        fitted = LogisticRegression().fit(features, [0, 0, 1, 1])
        info = mlflow.sklearn.log_model(
            fitted, name="line", input_example=features[:2], params={"C": 1}, tags={"kind": "line"},
            pip_requirements=["scikit-learn"],
        )  # fmt: skip
        mlflow.log_metric("accuracy", 0.9, model_id=info.model_id, step=2)
    model = mlflow.get_logged_model(info.model_id)
    assert (model.name, model.status, model.source_run_id) == (
        "line",
        LoggedModelStatus.READY,
        run.info.run_id,
    )
    assert model.params == {"C": "1"}
    assert model.tags["kind"] == "line"
    assert [(m.key, m.value, m.step, m.run_id) for m in model.metrics] == [
        ("accuracy", 0.9, 2, run.info.run_id)
    ]
    for uri in (info.model_uri, f"models:/{info.model_id}", f"runs:/{run.info.run_id}/line"):
        assert list(mlflow.pyfunc.load_model(uri).predict(features)) == [0, 0, 1, 1], uri
    assert [out.model_id for out in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    found = mlflow.search_logged_models(
        [experiment.experiment_id],
        filter_string="metrics.accuracy > 0.5 AND name LIKE 'li%'",
        order_by=[{"field_name": "metrics.accuracy", "ascending": False}],
        output_format="list",
    )
    assert [each.model_id for each in found] == [info.model_id]
    client.set_logged_model_tags(info.model_id, {"a": "b"})
    client.delete_logged_model_tag(info.model_id, "kind")
    assert "kind" not in client.get_logged_model(info.model_id).tags
    assert "No tag with key" in refused(lambda: client.delete_logged_model_tag(info.model_id, "kind"))
    client.log_model_artifact(info.model_id, str(FOLDER / "a.txt"))
    assert "a.txt" in {each.path for each in client.list_logged_model_artifacts(info.model_id)}
    client.delete_logged_model(info.model_id)
    assert "not found" in refused(lambda: client.get_logged_model(info.model_id))
    print(json.dumps({"run": run.info.run_id, "model": info.model_id, "experiment": experiment.name}))


def models_of_others() -> None:
    """Models that live elsewhere, metrics on data sets, and models that runs read."""
    number = client.create_experiment("links")
    outside = mlflow.create_external_model(name="agent", model_type="agent", experiment_id=number)
    assert outside.status == LoggedModelStatus.READY
    run = client.create_run(number)
    metric = Metric(
        "loss", 0.5, 123456789, 1,
        model_id=outside.model_id, dataset_name="d", dataset_digest="x", run_id=run.info.run_id,
    )  # fmt: skip
    for _ in range(2):
        client.log_batch(run.info.run_id, metrics=[metric])
    assert client.get_logged_model(outside.model_id).metrics == [metric]
    client.log_inputs(run.info.run_id, models=[LoggedModelInput(outside.model_id)])
    client.log_outputs(run.info.run_id, models=[LoggedModelOutput(outside.model_id, step=3)])
    shown = client.get_run(run.info.run_id)
    assert [each.model_id for each in shown.inputs.model_inputs] == [outside.model_id]
    assert [(each.model_id, each.step) for each in shown.outputs.model_outputs] == [(outside.model_id, 3)]
    on_data = client.search_logged_models([number], datasets=[{"dataset_name": "d", "dataset_digest": "x"}])
    assert [each.model_id for each in on_data] == [outside.model_id]
    second = client.create_logged_model(number, name="second")
    page = client.search_logged_models([number], max_results=1)
    rest = client.search_logged_models([number], max_results=1, page_token=page.token)
    assert [page[0].model_id, rest[0].model_id] == [second.model_id, outside.model_id]
    assert rest.token is None


for part in (files, what_scripts_log, models_of_others, logged_models):
    part()
