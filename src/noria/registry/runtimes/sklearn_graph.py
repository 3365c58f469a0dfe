"""Convert scikit-learn estimators to graphs of ONNX, by skl2onnx."""

from __future__ import annotations

import warnings
from math import prod
from typing import TYPE_CHECKING, Any, Final

from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.proving import split_points

if TYPE_CHECKING:
    from noria.registry.runtimes.sklearn import SklearnModel

_OPSETS: Final = {"": 18, "ai.onnx.ml": 3}
"""Versions of the operators: old enough for every engine that Noria runs on."""


def convert(native: SklearnModel, signature: Signature, datatype: str) -> bytes:
    """Convert an estimator to a graph whose numbers have the given type."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = FloatTensorType if datatype == "FP32" else DoubleTensorType
    options = {"zipmap": False} if native.task is Task.CLASSIFICATION else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = to_onnx(
            _as_computed(native.estimator, datatype),
            name="model",
            initial_types=_graph_inputs(native, signature.inputs, number, StringTensorType),
            options=options,
            target_opset=_OPSETS,
        )
    data: bytes = graph.SerializeToString()
    return data


def _as_computed(estimator: Any, datatype: str) -> Any:
    """Round where scikit-learn does: trees take what steps before them give in single precision."""
    steps: list[Any] = getattr(estimator, "steps", [])
    if datatype == "FP32" or len(steps) < 2 or not len(split_points(estimator)[0]):
        return estimator
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    return Pipeline([*steps[:-1], ("noria_cast", CastTransformer()), steps[-1]])


def _graph_inputs(
    native: SklearnModel, specs: list[TensorSpec], number: Any, text: Any
) -> list[tuple[str, Any]]:
    if native.columns.as_frame:
        kinds = {spec.name: text if spec.datatype == "BYTES" else number for spec in specs}
        return [(name, kinds[name]([None, 1])) for name in native.columns.names]
    widths = [prod(spec.shape[1:]) for spec in specs]
    if all(spec.datatype != "BYTES" for spec in specs):
        return [("x", number([None, sum(widths)]))]
    return [
        (f"x{index}", (text if spec.datatype == "BYTES" else number)([None, width]))
        for index, (spec, width) in enumerate(zip(specs, widths, strict=True))
    ]
