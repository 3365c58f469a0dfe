"""Put a scikit-learn estimator's ONNX form beside it, when it can be made and is proven equal."""

from __future__ import annotations

import importlib.util
import warnings
from importlib.metadata import version as installed
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from noria.core.serialisation import to_json
from noria.registry import equality
from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.equality import Equality
from noria.registry.proving import compare, proof_rows, split_points
from noria.registry.runtimes.onnx import FILE, OnnxModel, open_session
from noria.registry.runtimes.port import Arrays

if TYPE_CHECKING:
    from noria.registry.runtimes.sklearn import SklearnModel

_NEEDED: Final = ("onnx", "onnxruntime", "skl2onnx")
_DATATYPES: Final = ("FP32", "FP64")
"""In which a graph takes numbers: single precision is faster, and what trees of scikit-learn compute in anyway."""

_OPSETS: Final = {"": 18, "ai.onnx.ml": 3}
"""Versions of the operators: old enough for every engine that Noria runs on."""

_ERROR_LENGTH: Final = 300


def can_convert() -> bool:
    """Tell whether the distributions of the extra `noria[onnx]` are installed."""
    return all(importlib.util.find_spec(name) is not None for name in _NEEDED)


def put_beside(native: SklearnModel, signature: Signature, inputs: Arrays, folder: Path) -> Equality:
    """Convert an estimator, prove the graph equal on at least 10,000 rows, and write what was found.

    `equality.json` is always written, `model.onnx` only when it is equal.

    Parameters
    ----------
    native
        The estimator as it was loaded from its file.
    signature
        With the outputs that it gives.
    inputs
        Training rows, whose ranges and values the rows of the proof have.
    """
    found, model = _best(native, signature, inputs)
    if found.equal and model is not None:
        (folder / FILE).write_bytes(model)
    (folder / equality.FILE).write_bytes(to_json(found))
    return found


def _best(native: SklearnModel, signature: Signature, inputs: Arrays) -> tuple[Equality, bytes | None]:
    made_with = {name: installed(name) for name in (*_NEEDED, "scikit-learn")}
    try:
        first = convert(native, signature, _DATATYPES[0])
    except Exception as error:  # noqa: BLE001 - converters raise whatever they stumble over
        return Equality(equal=False, reason=_not_converted(error), made_with=made_with), None
    rows = proof_rows(native, signature, inputs)
    try:
        expected = native.predict(rows.inputs)
    except Exception as error:  # noqa: BLE001 - an estimator may refuse rows that it has not seen
        reason = f"The estimator raised on rows of the proof: {str(error)[:200]}"
        return Equality(equal=False, reason=reason, made_with=made_with), None
    found: list[tuple[Equality, bytes | None]] = []
    for datatype in _DATATYPES:
        try:
            model = first if datatype == _DATATYPES[0] else convert(native, signature, datatype)
            given = OnnxModel(open_session(model), signature).predict(rows.inputs)
            figures = compare(expected, given, rows, datatype=datatype, made_with=made_with)
        except Exception as error:  # noqa: BLE001 - as above, and the engine's own kinds
            figures, model = Equality(equal=False, reason=_not_converted(error), made_with=made_with), b""
        if figures.equal:
            return figures, model
        found.append((figures, None))
    # Of two that are not equal, the one that was measured and is nearer says more.
    return min(found, key=lambda one: (not one[0].n_rows, one[0].n_label_flips, one[0].largest_error))


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
            initial_types=_graph_inputs(signature.inputs, number, StringTensorType),
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


def _graph_inputs(specs: list[TensorSpec], number: Any, text: Any) -> list[tuple[str, Any]]:
    widths = [prod(spec.shape[1:]) for spec in specs]
    if all(spec.datatype != "BYTES" for spec in specs):
        return [("x", number([None, sum(widths)]))]
    return [
        (f"x{index}", (text if spec.datatype == "BYTES" else number)([None, width]))
        for index, (spec, width) in enumerate(zip(specs, widths, strict=True))
    ]


def _not_converted(error: Exception) -> str:
    text = " ".join(str(error).split())[:_ERROR_LENGTH]
    return f"It has no form in ONNX: {type(error).__name__}: {text}"
