"""Fit models with autologging on, inside a run and outside, in the environment of Noria with the packages of MLflow."""

from __future__ import annotations

import json
import os
import sys

sys.path.append(sys.argv[1])

import mlflow
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import noria

x, y = load_iris(return_X_y=True)
os.environ["MLFLOW_TRACKING_TOKEN"] = "before"
mlflow.set_tracking_uri("http://127.0.0.1:1")
with noria.autolog(experiment="forests", log_models=False, silent=True):
    with noria.run("search", experiment="forests", capture=False) as outer:
        RandomForestClassifier(n_estimators=5, random_state=0).fit(x, y)
        with mlflow.start_run(run_name="by hand"):
            mlflow.log_metric("by_hand", 1.0)
    LogisticRegression(max_iter=200, C=0.5).fit(x, y)
    inside = mlflow.get_tracking_uri()
LogisticRegression(max_iter=10).fit(x, y)
print(
    json.dumps(
        {
            "outer": outer.id,
            "inside": inside,
            "after": [mlflow.get_tracking_uri(), os.environ["MLFLOW_TRACKING_TOKEN"]],
            "experiment": os.environ.get("MLFLOW_EXPERIMENT_NAME"),
        }
    )
)
