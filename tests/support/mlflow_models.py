"""Models as MLflow saves them, made without MLflow: the files that a client would upload."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from noria.registry.runtimes.sklearn import save_estimator

COLUMNS = ("length", "width")


def rows(n: int = 60) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give inputs of two columns, and classes that they decide."""
    x = np.random.default_rng(5).normal(size=(n, len(COLUMNS)))
    return x, (x.sum(axis=1) > 0).astype(int)


def column_specs(names: Sequence[str] = COLUMNS, kind: str = "double") -> list[dict[str, Any]]:
    """Describe columns as a signature does."""
    return [{"type": kind, "name": name, "required": True} for name in names]


def tensor_spec(shape: Sequence[int], dtype: str = "float64") -> list[dict[str, Any]]:
    """Describe one tensor without a name as a signature does."""
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}]


def mlmodel_text(
    *,
    serialization: str = "skops",
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    flavor: str = "sklearn",
    function: str = "predict",
    file: str = "model.bin",
) -> str:
    """Write an `MLmodel` file as MLflow 3.17 does."""
    given = tensor_spec([-1, len(COLUMNS)]) if inputs is None else inputs
    told = tensor_spec([-1], "int64") if outputs is None else outputs
    lines = [
        "flavors:",
        "  python_function:",
        f"    loader_module: mlflow.{flavor}",
        f"    predict_fn: {function}",
        f"  {flavor}:",
        "    code: null",
        f"    pickled_model: {file}",
        f"    serialization_format: {serialization}",
        "mlflow_version: 3.17.2",
    ]
    if given:
        lines += ["signature:", f"  inputs: '{json.dumps(given)}'", f"  outputs: '{json.dumps(told)}'"]
    return "\n".join([*lines, "utc_time_created: '2026-11-21 15:08:17.053473'", ""])


def saved_model(serialization: str = "skops", **described: Any) -> dict[str, bytes]:
    """Give the files of a fitted classifier by path: `MLmodel`, the estimator, and what stands beside them."""
    x, y = rows()
    fitted = LogisticRegression().fit(x, y)
    if serialization == "skops":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.bin"
            save_estimator(fitted, path)
            estimator = path.read_bytes()
    else:
        estimator = pickle.dumps(fitted)
    return {
        "MLmodel": mlmodel_text(serialization=serialization, **described).encode(),
        "model.bin": estimator,
        "requirements.txt": b"scikit-learn\n",
        "metadata/input.json": b"{}",
    }
