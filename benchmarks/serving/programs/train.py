"""Fit the two models in whatever environment runs this: `train.py FOLDER FORM...`.

A form is joblib, onnx, mlflow or noria. Forms of one call hold the same fitted models.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

folder, forms = Path(sys.argv[1]), sys.argv[2:]
x, y = load_breast_cancer(return_X_y=True)
models = {
    "rf": RandomForestClassifier(n_estimators=100, random_state=0).fit(x, y),
    "lr": LogisticRegression(max_iter=20_000).fit(x, y),
}
many = np.tile(x, (2, 1))[:1000]
rows = {"1": x[:1].tolist(), "1000": many.tolist()}
wanted = {
    name: {"1": model.predict(x[:1]).tolist(), "1000": model.predict(many).tolist()}
    for name, model in models.items()
}
(folder / "rows.json").write_text(json.dumps({"rows": rows, "wanted": wanted}))

for name, model in models.items():
    if "joblib" in forms:
        import joblib

        joblib.dump(model, folder / f"{name}.joblib")
    if "onnx" in forms:
        from skl2onnx import to_onnx

        options = {id(model): {"zipmap": False}}
        converted = to_onnx(model, x[:1].astype(np.float32), options=options)
        (folder / f"{name}.onnx").write_bytes(converted.SerializeToString())
    if "mlflow" in forms:
        import mlflow.sklearn

        mlflow.sklearn.save_model(model, folder / f"mlflow-{name}", serialization_format="cloudpickle")

if "noria" in forms:
    from noria.core.config import load_settings
    from noria.core.workspace import open_workspace
    from noria.registry.client import register
    from noria.serving.client import deploy

    with open_workspace(load_settings(workspace=str(folder / "workspace"), environ={})) as workspace:
        for name, model in models.items():
            register(model, name, x=x, y=y, workspace=workspace)
            deploy(f"{name}@1", workspace=workspace)
