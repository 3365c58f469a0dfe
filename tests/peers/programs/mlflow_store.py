"""Fill an MLflow store with what an import must bring; the arguments are the tracking URI and the artifact folder."""

import json
import math
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier


def main():
    uri, artifacts = sys.argv[1:3]
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    experiment = client.create_experiment("años", artifact_location=artifacts, tags={"team": "one"})
    mlflow.set_experiment("años")
    x, y = load_iris(return_X_y=True)
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_params({"depth": 2, "largo": "x" * 500})
        mlflow.log_text("hola", "notes/hi.txt")
        mlflow.log_text("", "empty.txt")
        tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
        with mlflow.start_run(run_name="child", nested=True) as child:
            client.log_batch(
                child.info.run_id,
                metrics=[
                    Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(2500)
                ],
            )
            for step, value in enumerate([math.nan, 0.5]):
                mlflow.log_metric("odd", value, step=step)
        logged = mlflow.sklearn.log_model(
            tree, name="tree", registered_model_name="iris", serialization_format="cloudpickle"
        )
    mlflow.register_model(logged.model_uri, "iris")
    mlflow.register_model(logged.model_uri, "iris")
    client.delete_model_version("iris", "2")
    client.set_registered_model_alias("iris", "champion", "3")
    client.transition_model_version_stage("iris", "3", "Production")
    client.set_registered_model_tag("iris", "kind", "flowers")
    gone = client.create_run(experiment).info.run_id
    client.delete_run(gone)
    running = client.create_run(experiment, run_name="still").info.run_id
    empty = client.create_experiment("closed", artifact_location=artifacts)
    client.delete_experiment(empty)
    print(
        json.dumps(
            {
                "parent": parent.info.run_id,
                "child": child.info.run_id,
                "gone": gone,
                "running": running,
                "model": logged.model_id,
            }
        )
    )


main()
