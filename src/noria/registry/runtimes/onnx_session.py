"""Sessions of ONNX Runtime, run for one caller at a time each on one core, and single rows through bound buffers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TYPES: Final[dict[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
"""The engine's name of an element type → NumPy's type."""

Fed = Mapping[str, NDArray[Any]]

Feed = Callable[[Fed], Fed]
"""Makes the graph's inputs of the model's."""


class Straight:
    """A feed of one input, which is the graph's but for its type."""

    def __init__(self, graph_name: str, name: str, kind: type[np.generic]) -> None:
        self.name = name
        self._graph_name = graph_name
        self._kind = kind

    def __call__(self, inputs: Fed) -> Fed:
        """Cast it."""
        return {self._graph_name: inputs[self.name].astype(self._kind, copy=False)}


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


class Run:
    """Runs a session. May be called from any thread.

    Parameters
    ----------
    session
        Of ONNX Runtime.
    outputs
        Those of the graph that are wanted, in order.
    """

    def __init__(self, session: Any, outputs: list[Any], feed: Feed) -> None:
        self._session = session
        self._names = [output.name for output in outputs]
        self._feed = feed
        self._one = _OneRow.of(session, outputs, feed)

    def __call__(self, inputs: Fed) -> list[NDArray[Any]]:
        """Give the outputs for the model's inputs."""
        one = self._one
        if one is not None and one.lock.acquire(blocking=False):
            try:
                found = one.run(inputs)
            except Exception:  # noqa: BLE001 - the engine's own kinds; whose fault it is shows right after
                self._one = found = None
            finally:
                one.lock.release()
            if found is not None:
                return found
        outputs: list[NDArray[Any]] = self._session.run(self._names, self._feed(inputs))
        return outputs


class _OneRow:
    """Buffers for one row, bound once: to make them for each row takes longer than a small graph."""

    def __init__(
        self, session: Any, feed: Feed, given: dict[str, NDArray[Any]], found: dict[str, NDArray[Any]]
    ) -> None:
        from onnxruntime import OrtValue

        self.lock = threading.Lock()
        self._run = session.run_with_iobinding
        self._feed: Feed | None = feed
        self._given = [(name, buffer, buffer.shape) for name, buffer in given.items()]
        if isinstance(feed, Straight):
            # Cast by copying it to its buffer.
            self._feed = None
            self._given = [(feed.name, buffer, buffer.shape) for buffer in given.values()]
        self._found = list(found.values())
        self._binding = session.io_binding()
        for name, array in given.items():
            self._binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in found.items():
            self._binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))

    @classmethod
    def of(cls, session: Any, outputs: list[Any], feed: Feed) -> _OneRow | None:
        """Give the buffers; None for a graph whose shapes depend on more than the number of rows, or with texts."""
        given = {tensor.name: _one_row(tensor) for tensor in session.get_inputs()}
        found = {tensor.name: _one_row(tensor) for tensor in outputs}
        buffers = [*given.values(), *found.values()]
        if not buffers or any(buffer is None for buffer in buffers):
            return None
        return cls(session, feed, given, found)  # type: ignore[arg-type]  # as asked above

    def run(self, inputs: Fed) -> list[NDArray[Any]] | None:
        """Give the outputs; None for what is not one row of the graph's shape."""
        fed = inputs if self._feed is None else self._feed(inputs)
        for name, buffer, shape in self._given:
            if fed[name].shape != shape:
                return None
            buffer[...] = fed[name]
        self._run(self._binding)
        return [buffer.copy() for buffer in self._found]


def _one_row(tensor: Any) -> NDArray[Any] | None:
    kind = TYPES.get(tensor.type, np.object_)
    rows, *rest = tensor.shape or [0]
    if kind is np.object_ or isinstance(rows, int) or not all(isinstance(size, int) for size in rest):
        return None
    return np.zeros((1, *rest), kind)
