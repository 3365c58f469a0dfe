"""A data scientist's day with the unmodified MLflow client, against the server whose URI is the argument.

Every step asserts what MLflow's own server would show; the last line is what was made, as JSON.
"""

import json
import math
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.tree import DecisionTreeClassifier


def refused(code, call, *args, **kwargs):
    """Check that the server refuses a call with an error code, and give the message."""
    found = None
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        found = error
    assert found is not None, f"{call} was not refused"
    assert found.error_code == code, (found.error_code, str(found))
    return str(found)


def split():
    x, y = load_wine(return_X_y=True, as_frame=True)
    return train_test_split(x, y, test_size=0.3, random_state=0)


def experiments(client):
    made = client.create_experiment("vineyard", tags={"team": "enología"})
    found = client.get_experiment(made)
    assert (found.name, found.tags["team"], found.lifecycle_stage) == ("vineyard", "enología", "active")
    client.set_experiment_tag(made, "stage", "first")
    client.rename_experiment(made, "bodega")
    assert client.get_experiment_by_name("vineyard") is None
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, "bodega")
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    assert made not in [each.experiment_id for each in client.search_experiments()]
    client.restore_experiment(made)
    assert [each.name for each in client.search_experiments(filter_string="name LIKE 'bod%'")] == ["bodega"]
    assert client.get_experiment("0").name == "Default"
    return made


def autologged_forest():
    mlflow.set_experiment("wine")
    mlflow.sklearn.autolog()
    x_train, x_test, y_train, y_test = split()
    with mlflow.start_run(run_name="forest") as run:
        model = RandomForestClassifier(n_estimators=20, random_state=0).fit(x_train, y_train)
        model.score(x_test, y_test)
    kept = mlflow.get_run(run.info.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "forest"
    assert kept.data.params["n_estimators"] == "20"
    assert kept.data.metrics["training_accuracy_score"] > 0.99
    assert kept.data.tags["estimator_name"] == "RandomForestClassifier"
    assert kept.inputs.dataset_inputs, "autologging notes the data"
    assert len(kept.outputs.model_outputs) == 1
    return run.info.run_id, kept.outputs.model_outputs[0].model_id


def searched_grid():
    x_train, _, y_train, _ = split()
    with mlflow.start_run(run_name="grid") as parent:
        GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3]}, cv=3).fit(
            x_train, y_train
        )
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", order_by=["params.max_depth ASC"]
    )
    assert list(children["params.max_depth"]) == ["1", "2", "3"], children
    mlflow.sklearn.autolog(disable=True)
    return parent.info.run_id


def model_in_the_registry(client):
    x_train, x_test, y_train, _ = split()
    model = DecisionTreeClassifier(random_state=0).fit(x_train, y_train)
    signature = infer_signature(x_train, model.predict(x_train))
    with mlflow.start_run(run_name="by hand"):
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            input_example=x_train.head(3),
            registered_model_name="wine-class",
            serialization_format="cloudpickle",
        )
    client.set_registered_model_alias("wine-class", "champion", "1")
    client.set_model_version_tag("wine-class", "1", "checked", "yes")
    client.update_model_version("wine-class", "1", description="primera")
    version = client.get_model_version_by_alias("wine-class", "champion")
    assert (version.version, version.description, version.tags["checked"]) == ("1", "primera", "yes")
    loaded = mlflow.pyfunc.load_model("models:/wine-class@champion")
    assert (loaded.predict(x_test) == model.predict(x_test)).all()
    assert loaded.metadata.signature == signature
    again = mlflow.sklearn.load_model(logged.model_uri)
    assert (again.predict(x_test) == model.predict(x_test)).all()
    second = mlflow.register_model(logged.model_uri, "wine-class", tags={"again": "1"})
    assert second.version == "2"
    client.transition_model_version_stage("wine-class", "2", "Staging")
    assert client.get_latest_versions("wine-class", ["Staging"])[0].version == "2"
    assert [each.version for each in client.search_model_versions("name = 'wine-class'")] == ["2", "1"]
    assert [each.name for each in client.search_registered_models("name LIKE 'wine%'")] == ["wine-class"]
    client.delete_model_version("wine-class", "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, "wine-class", "2")
    third = mlflow.register_model(logged.model_uri, "wine-class")
    assert third.version == "3", "a number is never given again"
    assert client.search_logged_models([client.get_experiment_by_name("wine").experiment_id])
    return logged.model_id


def metrics_and_limits(client, experiment):
    run = client.create_run(experiment, tags={"purpose": "limits"}).info.run_id
    client.log_batch(run, metrics=[Metric("loss", 1 / (s + 1), 1000 + s, s) for s in range(1000)])
    assert len(client.get_metric_history(run, "loss")) == 1000
    for step, value in enumerate([math.nan, math.inf, -math.inf]):
        client.log_metric(run, "odd", value, step=step)
    odd = [point.value for point in client.get_metric_history(run, "odd")]
    assert math.isnan(odd[0])
    assert odd[1:] == [sys.float_info.max, -sys.float_info.max]
    client.log_param(run, "lr", "0.1")
    client.log_param(run, "lr", "0.1")
    assert "lr" in refused("INVALID_PARAMETER_VALUE", client.log_param, run, "lr", "0.2")
    client.log_batch(run, params=[Param("año", "2026")], tags=[RunTag("ánimo", "bien")])
    refused("INVALID_PARAMETER_VALUE", client.search_runs, [experiment], "metrics.loss > 'high'")
    client.set_terminated(run, "FAILED")
    client.set_terminated(run, "FINISHED")
    client.update_run(run, name="renamed")
    kept = client.get_run(run)
    assert (kept.info.status, kept.info.run_name, kept.data.tags["mlflow.runName"]) == (
        "FINISHED",
        "renamed",
        "renamed",
    )
    assert kept.data.params == {"lr": "0.1", "año": "2026"}
    found = client.search_runs([experiment], "params.`año` = '2026' and metrics.loss < 0.01")
    assert [each.info.run_id for each in found] == [run]
    client.delete_run(run)
    refused("INVALID_PARAMETER_VALUE", client.log_metric, run, "late", 1.0)
    assert client.search_runs([experiment], "") == []
    deleted = client.search_runs([experiment], "", run_view_type=ViewType.DELETED_ONLY)
    assert [each.info.run_id for each in deleted] == [run]
    client.restore_run(run)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)
    return run


def pages(client, experiment):
    runs = [client.create_run(experiment, run_name=f"p{i}").info.run_id for i in range(7)]
    for i, run in enumerate(runs):
        client.log_metric(run, "rank", i)
    seen, token = [], None
    while True:
        page = client.search_runs(
            [experiment], "metrics.rank >= 0", order_by=["metrics.rank DESC"], max_results=3, page_token=token
        )
        seen += [each.info.run_id for each in page]
        token = page.token
        if not token:
            break
    assert seen == runs[::-1]


def artifacts(client):
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run(run_name="files") as run:
        base = Path(folder)
        (base / "sub").mkdir()
        (base / "sub" / "a b.txt").write_text("uno")
        (base / "empty").touch()
        (base / "big.bin").write_bytes(b"\0\1" * 3_000_000)
        mlflow.log_artifacts(folder, "data")
        mlflow.log_text("¡hola!", "notes/hi.txt")
        mlflow.log_dict({"a": [1, 2]}, "notes/d.json")
        mlflow.log_table({"q": [1, 2], "r": ["x", "y"]}, "tables/t.json")
        figure, axes = plt.subplots()
        axes.plot([1, 2, 3])
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "plots/black.png")
        client.log_artifact(run.info.run_id, str(base / "big.bin"))
    identity = run.info.run_id
    listed = {each.path: each.is_dir for each in client.list_artifacts(identity)}
    assert listed == {"big.bin": False, "data": True, "notes": True, "plots": True, "tables": True}, listed
    assert [each.path for each in client.list_artifacts(identity, "data/sub")] == ["data/sub/a b.txt"]
    sizes = {each.path: each.file_size for each in client.list_artifacts(identity, "data")}
    assert sizes["data/empty"] in (0, None), "MLflow's own server leaves a size of 0 out"
    assert (sizes["data/big.bin"], sizes["data/sub"]) == (6_000_000, None), sizes
    assert mlflow.artifacts.load_text(f"runs:/{identity}/notes/hi.txt") == "¡hola!"
    assert mlflow.artifacts.load_dict(f"runs:/{identity}/notes/d.json") == {"a": [1, 2]}
    assert len(mlflow.load_table("tables/t.json", run_ids=[identity])) == 2
    with tempfile.TemporaryDirectory() as folder:
        got = Path(client.download_artifacts(identity, "data", folder))
        assert (got / "big.bin").read_bytes() == b"\0\1" * 3_000_000
        assert (got / "sub" / "a b.txt").read_text() == "uno"
        assert (got / "empty").read_bytes() == b""
    return identity


def data_sets(client):
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    data = mlflow.data.from_pandas(frame, source="https://example.org/data.csv", name="tiny", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training")
        mlflow.log_input(data, context="training")
    (kept,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (kept.dataset.name, kept.dataset.digest) == ("tiny", data.digest)
    assert {tag.key: tag.value for tag in kept.tags} == {"mlflow.data.context": "training"}
    found = mlflow.search_runs(filter_string="datasets.name = 'tiny' and datasets.context = 'training'")
    assert list(found["run_id"]) == [run.info.run_id]


def main():
    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()
    experiment = experiments(client)
    forest, forest_model = autologged_forest()
    grid = searched_grid()
    model = model_in_the_registry(client)
    limits = metrics_and_limits(client, experiment)
    pages(client, experiment)
    files = artifacts(client)
    data_sets(client)
    print(
        json.dumps(
            {
                "experiment": experiment,
                "forest": forest,
                "forest_model": forest_model,
                "grid": grid,
                "model": model,
                "limits": limits,
                "files": files,
            }
        )
    )


main()
