"""Models in ONNX, run by ONNX Runtime: a graph of known operators, which holds no code."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.equality import read_equality
from noria.registry.runtimes.onnx_session import TYPES, Feed, Run, Straight, open_session
from noria.registry.runtimes.port import Arrays, Keeper, LoadedModel, Runtime, import_library, load_model
from noria.registry.runtimes.sklearn import to_matrix
from noria.registry.signatures import dtype_of

FILE: Final = "model.onnx"
ENGINE: Final = "onnxruntime"

_SHARES: Final = "probabilities"

_log = logging.getLogger("noria.registry.onnx")


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
        given = _in_order(session.get_outputs(), signature.outputs)
        self._run = Run(session, given, _feed(session.get_inputs(), signature.inputs))
        self._outputs = [
            (spec.name, _finish(output, spec)) for output, spec in zip(given, signature.outputs, strict=True)
        ]

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict rows, in the types of the signature."""
        answer = {}
        for (name, finish), array in zip(self._outputs, self._run(inputs), strict=True):
            answer[name] = array if finish is None else finish(array)
        return answer


class OnnxBeside(OnnxModel):
    """A model of another library whose ONNX form, proven equal, answers; features are the library's own."""

    goes_apart = True
    """Whether the rows of one call may be predicted in parts: no row of a fitted estimator looks at another."""

    def __init__(self, session: Any, folder: Path, version: ServableVersion) -> None:
        super().__init__(session, version.signature)
        self._folder = folder
        self._version = version
        self._native: LoadedModel | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> LoadedModel:
        """Load the ONNX form when it was proven equal and can run here, else the model itself."""
        equality = read_equality(folder)
        if equality is None or not equality.equal or importlib.util.find_spec("onnxruntime") is None:
            return load_model(folder, version)
        try:
            return cls(open_session((folder / FILE).read_bytes()), folder, version)
        except Exception as error:  # noqa: BLE001 - the engine's own kinds, and the model is there
            _log.warning("onnx.not_loaded", extra={"version": version.ref, "error": str(error)[:500]})
            return load_model(folder, version)

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of the model sees; the model is loaded when this is first asked."""
        with self._lock:
            if self._native is None:
                self._native = load_model(self._folder, self._version)
        return self._native.features(inputs)


class OnnxFile:
    """A model that is nothing but a graph, whose first output is its predictions.

    Scores, shape (n_rows, n_classes), make it a classifier: the class of a row is the number of its largest score.
    Scores that are shares of one are given as probabilities, and so is a second output of that shape.

    Parameters
    ----------
    session
        Of ONNX Runtime.
    inputs
        In the order of the graph's, or by the same names.
    gives_shares
        Whether probabilities are given; None to go by what the scores are.
    """

    format: ClassVar[str] = "onnx"
    distributions: ClassVar[tuple[str, ...]] = ("onnxruntime", "numpy")
    engine = ENGINE
    kind = "graph in ONNX"

    def __init__(self, session: Any, inputs: list[TensorSpec], *, gives_shares: bool | None) -> None:
        self._inputs = [spec.name for spec in inputs]
        outputs = session.get_outputs()[:2]
        self._run = Run(session, outputs, _feed(session.get_inputs(), inputs))
        self._gives_shares = gives_shares
        width = outputs[0].shape[-1] if len(outputs[0].shape) == 2 else 1
        self._tells = width != 1
        self.classes = list(range(width)) if self._tells and isinstance(width, int) else None

    @property
    def task(self) -> Task | None:
        """A graph with scores tells classes; what others do, the target tells."""
        return Task.CLASSIFICATION if self._tells else None

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> Self:
        """Write a graph of the distribution `onnx`, and load it again."""
        import_library("onnxruntime", folder, "a graph in ONNX")
        (folder / FILE).write_bytes(model.SerializeToString())
        return cls(_session(folder / FILE), inputs, gives_shares=None)

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> Self:
        """Load `model.onnx`."""
        import_library("onnxruntime", folder, version.ref)
        return cls.read(folder / FILE, version)

    @classmethod
    def read(cls, path: Path, version: ServableVersion) -> Self:
        """Load a version from a file of any name."""
        signature = version.signature
        return cls(_session(path), signature.inputs, gives_shares=len(signature.outputs) > 1)

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict classes or numbers, and probabilities where there are any."""
        return self._answer(self._run(inputs))

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give the inputs side by side, shape (n_rows, n_columns)."""
        return to_matrix([inputs[name] for name in self._inputs])

    def _answer(self, found: Sequence[Any]) -> dict[str, NDArray[Any]]:
        first = found[0]
        if self._tells:
            return self._with_shares({"predictions": first.argmax(axis=1)}, first)
        answer = {"predictions": first.astype(str) if first.dtype.kind == "O" else first.reshape(len(first))}
        return self._with_shares(answer, found[1]) if len(found) > 1 else answer

    def _with_shares(self, answer: dict[str, NDArray[Any]], scores: Any) -> dict[str, NDArray[Any]]:
        gives = _are_shares(scores) if self._gives_shares is None else self._gives_shares
        return {**answer, "probabilities": scores} if gives else answer


def _are_shares(scores: Any) -> bool:
    if not isinstance(scores, np.ndarray) or scores.ndim != 2 or scores.dtype.kind != "f":
        return False
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-4))


def _session(path: Path) -> Any:
    try:
        return open_session(path.read_bytes())
    except Exception as error:
        # The engine's errors have no class above them but this one.
        text = " ".join(str(error).split())[:300]
        raise Corrupt(
            f"`{path.name}` is not a graph that this ONNX Runtime runs: {text}",
            hint="Register the model again",
        ) from error


def _feed(graph: list[Any], specs: list[TensorSpec]) -> Feed:
    """Give what makes the graph's inputs of the model's."""
    if len(graph) == 1 and len(specs) == 1:
        return _one(graph[0], specs[0])
    if len(graph) == 1:
        return _matrix(graph[0], specs)
    return _each(graph, specs)


def _one(tensor: Any, spec: TensorSpec) -> Feed:
    graph_name, name, kind = tensor.name, spec.name, TYPES[tensor.type]
    if len(spec.shape) == len(tensor.shape):
        return Straight(graph_name, name, kind)
    width = prod(spec.shape[1:])
    return lambda inputs: {graph_name: inputs[name].reshape(-1, width).astype(kind, copy=False)}


def _matrix(tensor: Any, specs: list[TensorSpec]) -> Feed:
    graph_name, kind = tensor.name, TYPES[tensor.type]
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
    named = {tensor.name: tensor for tensor in graph}
    same = named.keys() == {spec.name for spec in specs}
    tensors = [named[spec.name] for spec in specs] if same else graph
    feeds = [_one(tensor, spec) for tensor, spec in zip(tensors, specs, strict=True)]
    return lambda inputs: {name: array for feed in feeds for name, array in feed(inputs).items()}


def _in_order(graph: list[Any], specs: list[TensorSpec]) -> list[Any]:
    """Give the graph's outputs in the order of the signature's: by name, or in its own order."""
    named = {output.name: output for output in graph}
    if all(spec.name in named for spec in specs):
        return [named[spec.name] for spec in specs]
    return graph[: len(specs)]


def _finish(output: Any, spec: TensorSpec) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """Give what makes an output the signature's; None when it is so already."""
    kind, rank = dtype_of(spec), len(spec.shape)
    as_is = TYPES.get(output.type) is kind.type and len(output.shape) == rank
    if spec.name == _SHARES:
        # Sums in single precision may come out a little above one.
        # An array of the graph's own type: what is not one would be made one by each call.
        one = np.ones((), TYPES.get(output.type, kind.type))
        if as_is:
            return lambda array: np.minimum(array, one)
        return lambda array: np.minimum(array, one).astype(kind, copy=False)
    if as_is:
        return None
    if rank == 1:
        return lambda array: array.reshape(-1).astype(kind, copy=False)
    shape = tuple(spec.shape)
    return lambda array: array.reshape(shape).astype(kind, copy=False)


if TYPE_CHECKING:
    _runtime: type[Runtime] = OnnxBeside
    _keeper: type[Keeper] = OnnxFile
