"""Log a run as whoever the environment names: `python mlflow_login.py SERVER`; prints what came of it."""

import sys

import mlflow
from mlflow.exceptions import MlflowException

mlflow.set_tracking_uri(sys.argv[1])
try:
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5)
    print("logged", mlflow.get_run(run.info.run_id).data.metrics["loss"])
except MlflowException as error:
    print("refused", error.error_code, str(error).splitlines()[0])
