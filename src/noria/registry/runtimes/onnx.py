"""Models in ONNX, run by ONNX Runtime: a graph of known operators, which holds no code."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.registry.entities import ServableVersion, Signature, TensorSpec
from noria.registry.equality import read_equality
from noria.registry.runtimes.port import Arrays, LoadedModel, Runtime
from noria.registry.runtimes.sklearn import SklearnModel
from noria.registry.signatures import dtype_of

FILE: Final = "model.onnx"
ENGINE: Final = "onnxruntime"

_TYPES: Final[dict[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}

_log = logging.getLogger("noria.registry.onnx")

Feed = Callable[[Arrays], dict[str, NDArray[Any]]]


class OnnxModel:
    """An ONNX graph in memory.

    How inputs become the graph's and its outputs the model's is settled once: a call casts and runs.

    Parameters
    ----------
    session
        Of ONNX Runtime.
    signature
        Names the inputs in the order of the graph's columns, and the outputs in the order of the graph's.
    """

    engine = ENGINE

    def __init__(self, session: Any, signature: Signature) -> None:
        self._run = session.run
        self._feed = _feed(session.get_inputs(), signature.inputs)
        given = session.get_outputs()[: len(signature.outputs)]
        self._wanted = [output.name for output in given]
        self._outputs = [(spec.name, _finish(spec)) for spec in signature.outputs]

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict rows, in the types of the signature."""
        found = self._run(self._wanted, self._feed(inputs))
        return {name: finish(array) for (name, finish), array in zip(self._outputs, found, strict=True)}


class OnnxBeside(OnnxModel):
    """A scikit-learn estimator whose ONNX form, proven equal, answers; features are the estimator's own."""

    def __init__(self, session: Any, folder: Path, version: ServableVersion) -> None:
        super().__init__(session, version.signature)
        self._folder = folder
        self._version = version
        self._native: SklearnModel | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> LoadedModel:
        """Load the ONNX form when it was proven equal and can run here, else the estimator."""
        equality = read_equality(folder)
        if equality is None or not equality.equal or importlib.util.find_spec("onnxruntime") is None:
            return SklearnModel.load(folder, version)
        try:
            return cls(open_session((folder / FILE).read_bytes()), folder, version)
        except Exception as error:  # noqa: BLE001 - the engine's own kinds, and the estimator is there
            _log.warning("onnx.not_loaded", extra={"version": version.ref, "error": str(error)[:500]})
            return SklearnModel.load(folder, version)

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of the estimator sees; the estimator is loaded when this is first asked."""
        with self._lock:
            if self._native is None:
                self._native = SklearnModel.load(self._folder, self._version)
        return self._native.features(inputs)


def open_session(model: bytes) -> Any:
    """Open a graph for one caller at a time each on one core.

    Parameters
    ----------
    model
        The file's bytes: a graph that names files beside it for its weights is refused by the engine.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A server answers many requests at once: threads inside one of them would wait for each other's cores.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _feed(graph: list[Any], specs: list[TensorSpec]) -> Feed:
    """Give what makes the graph's inputs of the model's."""
    if len(graph) == 1 and len(specs) == 1:
        return _one(graph[0], specs[0])
    if len(graph) == 1:
        return _matrix(graph[0], specs)
    return _each(graph, specs)


def _one(tensor: Any, spec: TensorSpec) -> Feed:
    graph_name, name, kind = tensor.name, spec.name, _TYPES[tensor.type]
    if len(spec.shape) == len(tensor.shape):
        return lambda inputs: {graph_name: inputs[name].astype(kind, copy=False)}
    width = prod(spec.shape[1:])
    return lambda inputs: {graph_name: inputs[name].reshape(-1, width).astype(kind, copy=False)}


def _matrix(tensor: Any, specs: list[TensorSpec]) -> Feed:
    graph_name, kind = tensor.name, _TYPES[tensor.type]
    first = specs[0].name
    widths = [prod(spec.shape[1:]) for spec in specs]
    starts = np.cumsum([0, *widths]).tolist()
    places = [(spec.name, start) for spec, start in zip(specs, starts, strict=False)]
    if all(width == 1 for width in widths):

        def fill(inputs: Arrays) -> dict[str, NDArray[Any]]:
            matrix = np.empty((len(inputs[first]), starts[-1]), kind)
            for name, start in places:
                matrix[:, start] = inputs[name].ravel()
            return {graph_name: matrix}

        return fill
    slices = [
        (spec.name, slice(start, start + w)) for spec, start, w in zip(specs, starts, widths, strict=False)
    ]

    def fill_wide(inputs: Arrays) -> dict[str, NDArray[Any]]:
        matrix = np.empty((len(inputs[first]), starts[-1]), kind)
        for name, place in slices:
            matrix[:, place] = inputs[name].reshape(len(matrix), -1)
        return {graph_name: matrix}

    return fill_wide


def _each(graph: list[Any], specs: list[TensorSpec]) -> Feed:
    places = [
        (tensor.name, spec.name, _TYPES[tensor.type], prod(spec.shape[1:]))
        for tensor, spec in zip(graph, specs, strict=True)
    ]
    return lambda inputs: {
        graph_name: inputs[name].reshape(-1, width).astype(kind, copy=False)
        for graph_name, name, kind, width in places
    }


def _finish(spec: TensorSpec) -> Callable[[NDArray[Any]], NDArray[Any]]:
    kind = dtype_of(spec)
    shape = tuple(spec.shape)
    if len(shape) == 1:
        return lambda array: array.reshape(-1).astype(kind, copy=False)
    return lambda array: array.reshape(shape).astype(kind, copy=False)


if TYPE_CHECKING:
    _runtime: type[Runtime] = OnnxBeside
