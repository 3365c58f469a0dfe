"""A category that the training data did not have is named, although the engine does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import polars as pl
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from noria.core.workspace import Workspace
from noria.registry.client import register
from noria.serving.client import deploy
from support.ports import free_port
from support.processes import RunningProcess


def tensors(rows: list[tuple[str, float]]) -> dict[str, Any]:
    """Give a request of the protocol."""
    colours, sizes = zip(*rows, strict=True)
    return {
        "inputs": [
            {"name": "colour", "shape": [len(rows)], "datatype": "BYTES", "data": list(colours)},
            {"name": "size", "shape": [len(rows)], "datatype": "FP64", "data": list(sizes)},
        ]
    }


def test_an_unseen_category_is_named_with_its_field_and_row(
    workspace: Workspace, start_server: Callable[..., RunningProcess]
) -> None:
    """ONNX Runtime, which says neither, answers for the model; its own text stands behind."""
    generator = np.random.default_rng(3)
    x = pl.DataFrame(
        {
            "colour": generator.choice(["red", "green", "blue"], 300).tolist(),
            "size": generator.normal(size=300).tolist(),
        }
    )
    y = (x["colour"] == "red").cast(int).to_numpy()
    encoded = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["colour"]), remainder="passthrough"
    )
    model = make_pipeline(encoded, LogisticRegression()).fit(x.to_pandas(), y)
    register(model, "paints", x=x, y=y, workspace=workspace)
    deploy("paints@1", workspace=workspace)
    port = free_port()
    start_server(port)
    url = f"http://127.0.0.1:{port}/v2/models/paints/infer"
    known = httpx.post(url, json=tensors([("red", 1.0), ("blue", 0.0)]), trust_env=False, timeout=30)
    unseen = httpx.post(url, json=tensors([("red", 1.0), ("mauve", 0.0)]), trust_env=False, timeout=30)

    assert known.status_code == 200
    assert unseen.status_code == 422
    assert "ONNXRuntimeError" in unseen.json()["message"]
    assert "the value `mauve` of `colour` in row 1" in unseen.json()["message"]
    assert {"field": "colour", "row": 1, "value": "mauve"}.items() <= unseen.json()["details"].items()
