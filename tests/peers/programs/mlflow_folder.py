"""Fill a folder as MLflow kept runs in before it had a database; the arguments are its path and the artifact folder."""

import json
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # releases that ask for it know the word; others pass it over

import mlflow
from mlflow import MlflowClient

folder, artifacts = sys.argv[1:3]
mlflow.set_tracking_uri(folder)
client = MlflowClient()
experiment = client.create_experiment("años", artifact_location=artifacts)
made = {}
with mlflow.start_run(experiment_id=experiment, run_name="parent") as parent:
    made["parent"] = parent.info.run_id
    mlflow.log_param("depth", 2)
    mlflow.log_text("hola", "notes/hi.txt")
child = client.create_run(experiment, run_name="child", tags={"mlflow.parentRunId": made["parent"]})
made["child"] = child.info.run_id
client.set_tag(made["child"], "colour", "red")
for step in range(3):
    client.log_metric(made["child"], "loss", 0.5**step, step=step)
client.set_terminated(made["child"], "FAILED")
made["gone"] = client.create_run(experiment, run_name="gone").info.run_id
client.delete_run(made["gone"])
client.create_registered_model("iris", tags={"kind": "flowers"})
for _ in range(2):
    client.create_model_version("iris", f"{artifacts}/{made['parent']}/artifacts/notes", made["parent"])
client.set_registered_model_alias("iris", "champion", "2")
print(json.dumps(made), flush=True)
