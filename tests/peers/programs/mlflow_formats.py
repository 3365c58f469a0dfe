"""Models of every format from Noria to MLflow and back, in the workspace that the environment names."""

import json
import pathlib
import sys

import lightgbm
import mlflow
import numpy as np
import xgboost
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import noria
from noria.core.config import load_settings
from noria.core.workspace import open_workspace, use_workspace
from noria.registry.consents import Consents
from noria.registry.mlflow_folders import export_version, import_folder
from noria.registry.rules import ConsentMissing

X, Y = load_iris(return_X_y=True)
FEW = {"n_estimators": 4, "n_jobs": 1}


class Doubled(mlflow.pyfunc.PythonModel):
    """A function in Python: twice the first column."""

    def predict(self, context, model_input, params=None):
        """Give one number for a row."""
        return np.asarray(model_input)[:, 0] * 2


def exported(workspace):
    """Register models, write them in MLflow's format, and compare what both predict."""
    models = {
        "sklearn": LogisticRegression(max_iter=1000).fit(X, Y),
        "lightgbm": lightgbm.LGBMClassifier(**FEW, verbosity=-1).fit(X, Y),
        "xgboost": xgboost.XGBClassifier(**FEW).fit(X, Y),
        "onnx": to_onnx(LogisticRegression(max_iter=1000).fit(X, Y), X[:1], options={"zipmap": False}),
    }
    found = {}
    for name, model in models.items():
        noria.register(model, name, x=X, y=Y)
        export_version(workspace, name, pathlib.Path("out", name))
        given = mlflow.pyfunc.load_model(f"out/{name}").predict(X)
        labels = given["output_label"] if name == "onnx" and "output_label" in given else given
        labels = next(iter(given.values())) if isinstance(given, dict) else labels
        labels = np.asarray(labels).argmax(axis=1) if np.ndim(labels) == 2 else np.asarray(labels)
        found[name] = bool((labels == noria.model(name).predict(X)).all())
    return found


def imported(workspace):
    """Register what MLflow saved, and compare what both predict."""
    booster = lightgbm.LGBMRegressor(**FEW, verbosity=-1).fit(X[:, :3], X[:, 3]).booster_
    classifier = xgboost.XGBClassifier(**FEW).fit(X, Y)
    estimator = lightgbm.LGBMClassifier(**FEW, verbosity=-1).fit(X, Y)
    saves = {
        "in-lightgbm": (mlflow.lightgbm, {"lgb_model": booster}, X[:, :3], booster.predict(X[:, :3])),
        "in-xgboost": (mlflow.xgboost, {"xgb_model": classifier}, X, classifier.predict(X)),
        "in-estimator": (
            mlflow.lightgbm,
            {"lgb_model": estimator, "serialization_format": "cloudpickle"},
            X,
            estimator.predict(X),
        ),
        "in-function": (mlflow.pyfunc, {"python_model": Doubled()}, X, X[:, 0] * 2),
    }
    found = {}
    for name, (module, model, x, expected) in saves.items():
        module.save_model(path=name, signature=infer_signature(x, expected), **model)
        version = import_folder(workspace, pathlib.Path(name), name)
        needed = False
        try:
            given = noria.model(name).predict(x)
        except ConsentMissing:
            needed = True
            workspace.service(Consents).give("default", name, version.version)
            given = noria.model(name).predict(x)
        found[name] = {"equal": bool((given == expected).all()), "consent": needed, "flavor": version.flavor}
    return found


with open_workspace(load_settings()) as opened, use_workspace(opened):
    json.dump({"exported": exported(opened), "imported": imported(opened)}, sys.stdout)
