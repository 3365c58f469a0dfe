"""Networks of PyTorch, kept as graphs in ONNX: PyTorch's own files are pickles or name functions to call.

`torch.export.load` unpickles what its archive says, and a state dict means nothing without the code of its class. A
graph holds neither, and who serves it needs no PyTorch. It is compared with the network before it is kept.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.registry import equality
from noria.registry.entities import Signature, TensorSpec
from noria.registry.equality import Equality
from noria.registry.proving import compare, proof_rows
from noria.registry.runtimes.onnx import FILE, OnnxFile
from noria.registry.runtimes.onnx_session import open_session
from noria.registry.runtimes.port import Arrays, DistributionMissing, Keeper
from noria.registry.runtimes.requirements import pinned

_AT_ONCE: Final = 500
_EXPORTERS: Final = "torch.onnx"
_WHOLE: Final = {"FP64": "float64", "FP32": "float32", "INT64": "int64", "INT32": "int32", "BOOL": "bool"}


class TorchModel(OnnxFile):
    """A network that was made a graph, beside which the network itself still is."""

    kind = "network of PyTorch"

    def __init__(self, session: Any, inputs: list[TensorSpec], *, network: Any) -> None:
        super().__init__(session, inputs, gives_shares=None)
        self._network = network
        self._specs = inputs

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> Self:
        """Make a graph of a network in evaluation mode, with any number of rows.

        Raises
        ------
        DistributionMissing
            If what makes graphs is not installed.
        Invalid
            If no graph can be made of it.
        """
        texts = [spec.name for spec in inputs if spec.datatype not in _WHOLE]
        if texts:
            raise Invalid(f"The input `{texts[0]}` is text, and a network of PyTorch takes numbers")
        with _evaluating(model):
            graph = _exported(model, inputs)
        (folder / FILE).write_bytes(graph)
        return cls(open_session(graph), inputs, network=model)

    def prove(self, signature: Signature, inputs: Arrays, folder: Path) -> Equality:
        """Compare the graph with the network on at least 10,000 rows, and write what was found.

        Raises
        ------
        Invalid
            If they differ.
        """
        rows = proof_rows(None, signature, inputs)
        with _evaluating(self._network):
            scores = np.concatenate([self._ask(part) for part in _parts(rows.inputs, rows.n_rows)])
        expected = self._answer([scores])
        made_with = dict(line.split("==") for line in pinned(("torch", "onnx", "onnxscript", "onnxruntime")))
        found = compare(
            expected, self.predict(rows.inputs), rows, datatype=_datatype(self._network), made_with=made_with
        )
        if not found.equal:
            raise Invalid(
                f"The network and its graph in ONNX differ: {found.reason}",
                hint="Register it inside a class of your own (`noria.PythonModel`)",
            )
        (folder / equality.FILE).write_bytes(to_json(found))
        return found

    def _ask(self, inputs: Arrays) -> NDArray[Any]:
        import torch

        with torch.no_grad():
            found = self._network(*_tensors(self._network, self._specs, inputs))
        answer: NDArray[Any] = (found[0] if isinstance(found, (tuple, list)) else found).cpu().numpy()
        return answer


def _exported(model: Any, inputs: list[TensorSpec]) -> bytes:
    import torch

    # Two rows: of one the exporter takes the number of rows for a constant.
    example = {spec.name: np.zeros((2, *spec.shape[1:]), _WHOLE[spec.datatype]) for spec in inputs}
    rows = torch.export.Dim("rows")
    try:
        with redirect_stdout(io.StringIO()):
            program = torch.onnx.export(
                model,
                _tensors(model, inputs, example),
                input_names=[spec.name for spec in inputs],
                dynamic_shapes=tuple({0: rows} for _ in inputs),
                dynamo=True,
                verbose=False,
            )
        data: bytes = program.model_proto.SerializeToString()
    except ModuleNotFoundError as error:
        raise DistributionMissing("a network of PyTorch", str(error.name), str(error.name)) from error
    except Exception as error:
        # All of them: a network is code, and what it raises is its maker's choice.
        text = " ".join(str(error).split())[:300]
        raise Invalid(
            f"No graph in ONNX can be made of the network: {type(error).__name__}: {text}",
            hint="Register it inside a class of your own (`noria.PythonModel`), which saves its state dict",
        ) from error
    return data


def _tensors(model: Any, specs: list[TensorSpec], inputs: Arrays) -> tuple[Any, ...]:
    """Give a network's inputs in its own precision and place."""
    import torch

    weights = next(iter(model.parameters()), torch.zeros(0))
    given = [torch.from_numpy(np.ascontiguousarray(inputs[spec.name])) for spec in specs]
    return tuple(
        tensor.to(weights.device, weights.dtype if tensor.is_floating_point() else tensor.dtype)
        for tensor in given
    )


def _parts(inputs: Arrays, n_rows: int) -> Iterator[Arrays]:
    for start in range(0, n_rows, _AT_ONCE):
        yield {name: array[start : start + _AT_ONCE] for name, array in inputs.items()}


def _datatype(model: Any) -> str:
    import torch

    weights = next(iter(model.parameters()), torch.zeros(0))
    return "FP64" if weights.dtype == torch.float64 else "FP32"


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Let a network evaluate, and keep the exporter from telling what it passes over."""
    was = model.training
    log = logging.getLogger(_EXPORTERS)
    level = log.level
    log.setLevel(logging.ERROR)
    model.eval()
    try:
        yield
    finally:
        model.train(was)
        log.setLevel(level)


if TYPE_CHECKING:
    _keeper: type[Keeper] = TorchModel
