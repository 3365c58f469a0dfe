"""Put a model's ONNX form beside it, when it can be made and is proven equal."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from noria.core.serialisation import to_json
from noria.registry import equality
from noria.registry.entities import Signature
from noria.registry.equality import Equality
from noria.registry.proving import compare, proof_rows
from noria.registry.runtimes.onnx import FILE, OnnxModel
from noria.registry.runtimes.onnx_session import open_session
from noria.registry.runtimes.port import Arrays, Convertible
from noria.registry.runtimes.requirements import pinned

_ERROR_LENGTH: Final = 300


def can_convert(native: Convertible) -> bool:
    """Tell whether the distributions of the extra `noria[onnx]` that convert a model are installed."""
    return all(importlib.util.find_spec(name) is not None for name in native.converter[1:])


def put_beside(native: Convertible, signature: Signature, inputs: Arrays, folder: Path) -> Equality:
    """Convert a model, prove the graph equal on at least 10,000 rows, and write what was found.

    `equality.json` is always written, `model.onnx` only when it is equal.

    Parameters
    ----------
    native
        The model as it was loaded from its file.
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


def _best(native: Convertible, signature: Signature, inputs: Arrays) -> tuple[Equality, bytes | None]:
    made_with = dict(line.split("==") for line in pinned(native.converter))
    try:
        first = native.graph(signature, native.datatypes[0])
    except Exception as error:  # noqa: BLE001 - converters raise whatever they stumble over
        return Equality(equal=False, reason=_not_converted(error), made_with=made_with), None
    rows = proof_rows(native, signature, inputs)
    try:
        expected = native.predict(rows.inputs)
    except Exception as error:  # noqa: BLE001 - a model may refuse rows that it has not seen
        reason = f"The model raised on rows of the proof: {str(error)[:200]}"
        return Equality(equal=False, reason=reason, made_with=made_with), None
    found: list[tuple[Equality, bytes | None]] = []
    for datatype in native.datatypes:
        try:
            model = first if datatype == native.datatypes[0] else native.graph(signature, datatype)
            given = OnnxModel(open_session(model), signature).predict(rows.inputs)
            figures = compare(expected, given, rows, datatype=datatype, made_with=made_with)
        except Exception as error:  # noqa: BLE001 - as above, and the engine's own kinds
            figures, model = Equality(equal=False, reason=_not_converted(error), made_with=made_with), b""
        if figures.equal:
            return figures, model
        found.append((figures, None))
    # Of two that are not equal, the one that was measured and is nearer says more.
    return min(found, key=lambda one: (not one[0].n_rows, one[0].n_label_flips, one[0].largest_error))


def _not_converted(error: Exception) -> str:
    text = " ".join(str(error).split())[:_ERROR_LENGTH]
    return f"It has no form in ONNX: {type(error).__name__}: {text}"
