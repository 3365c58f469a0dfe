"""What the `MLmodel` file says of a model that was saved by MLflow, read without MLflow."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from noria.registry.entities import Signature, Task, TensorSpec

FILE: Final = "MLmodel"
LIMIT_BYTES: Final = 4 << 20
"""Largest `MLmodel` file that is read."""

PYFUNC: Final = "python_function"
SKLEARN: Final = "sklearn"
LIGHTGBM: Final = "lightgbm"
XGBOOST: Final = "xgboost"
ONNX: Final = "onnx"
SKOPS: Final = "skops"

_DATATYPES: Final = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}
"""Type of a column → datatype of the Open Inference Protocol; others have none."""

_ARRAY_DATATYPES: Final = {
    "bool": "BOOL",
    "int32": "INT32",
    "int64": "INT64",
    "float32": "FP32",
    "float64": "FP64",
    "str": "BYTES",
    "object": "BYTES",
}
_BOOSTER: Final = "lightgbm.basic.Booster"
_PICKLE_SUFFIXES: Final = frozenset({".pkl", ".pickle", ".cloudpickle", ".dill", ".joblib", ".pt", ".pth"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MlmodelFacts:
    """What is known of a saved model.

    Attributes
    ----------
    flavor
        The library that it is of; `python_function` for one of no library.
    pickled
        Whether loading it runs code of its files, such as pickles: all but forms that Noria reads itself.
    sections
        What the file says of each flavor.
    """

    flavor: str
    pickled: bool
    signature: Signature | None
    task: Task | None
    sections: dict[str, dict[str, Any]]


def read_mlmodel(data: bytes, paths: Collection[str]) -> MlmodelFacts | None:
    """Read an `MLmodel` file; None if it is none.

    Parameters
    ----------
    paths
        Of all files of the model.
    """
    content = _load(data)
    found = content.get("flavors") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not found:
        return None
    sections = {str(name): section for name, section in found.items() if isinstance(section, dict)}
    flavor = next((name for name in sections if name != PYFUNC), PYFUNC)
    signature = _signature(content.get("signature"))
    return MlmodelFacts(
        flavor=flavor,
        pickled=_is_pickled(sections, paths),
        signature=signature,
        task=_task(signature),
        sections=sections,
    )


def _load(data: bytes) -> Any:
    import yaml

    if len(data) > LIMIT_BYTES:
        return None
    # The loader in C is ten times as fast, and not in every build.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(data, Loader=loader)  # noqa: S506 - either loader is a safe one
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        return None


def is_booster(section: dict[str, Any]) -> bool:
    """Tell whether what the `lightgbm` flavor names is the library's own text, rather than a pickled estimator."""
    return bool(section.get("model_class", _BOOSTER) == _BOOSTER)


def _is_pickled(sections: dict[str, dict[str, Any]], paths: Collection[str]) -> bool:
    """Tell whether loading runs code: all do but those that Noria loads itself from forms without any."""
    if any(PurePosixPath(path).suffix in _PICKLE_SUFFIXES for path in paths):
        # A skops file may stand in a file of any name.
        return not (_is_skops(sections.get(SKLEARN)) and set(sections) <= {SKLEARN, PYFUNC})
    plain = (
        _is_skops(sections.get(SKLEARN)),
        _is_skops(sections.get(LIGHTGBM)) or (LIGHTGBM in sections and is_booster(sections[LIGHTGBM])),
        XGBOOST in sections,
        ONNX in sections,
    )
    return not (any(plain) and len(set(sections) - {PYFUNC}) == 1)


def _is_skops(section: dict[str, Any] | None) -> bool:
    return section is not None and section.get("serialization_format") == SKOPS


def _signature(section: Any) -> Signature | None:
    if not isinstance(section, dict):
        return None
    inputs, outputs = _specs(section.get("inputs"), "x"), _specs(section.get("outputs"), "predictions")
    return Signature(inputs=inputs, outputs=outputs) if inputs and outputs else None


def _specs(text: Any, unnamed: str) -> list[TensorSpec] | None:
    """Read inputs or outputs; None if one is of a kind that has no arrays."""
    try:
        columns = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(columns, list):
        return None
    specs = [_spec(column, unnamed) for column in columns if isinstance(column, dict)]
    known = [spec for spec in specs if spec is not None]
    if len(known) < len(columns) or len({spec.name for spec in known}) < len(known):
        return None
    return known


def _spec(column: dict[str, Any], unnamed: str) -> TensorSpec | None:
    name = column.get("name", unnamed)
    if not isinstance(name, str):
        return None
    if column.get("type") == "tensor":
        return _tensor(name, column.get("tensor-spec"))
    datatype = _DATATYPES.get(str(column.get("type")))
    if datatype is None:
        return None
    return TensorSpec(name=name, datatype=datatype, shape=[-1], nullable=column.get("required") is False)


def _tensor(name: str, section: Any) -> TensorSpec | None:
    shape = section.get("shape") if isinstance(section, dict) else None
    if not isinstance(shape, list) or not shape or not all(type(axis) is int for axis in shape):
        return None
    datatype = _ARRAY_DATATYPES.get(str(section.get("dtype")).split("[")[0])
    if datatype is None or shape[0] != -1 or any(axis < 1 for axis in shape[1:]):
        return None
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _task(signature: Signature | None) -> Task | None:
    """Tell what a model answers with by the type of its only output, or of the first when scores stand beside it.

    Numbers with a point are taken for measures, everything else for classes: what a regressor of scikit-learn predicts
    is always of the former kind. A classifier whose classes are such numbers is taken for a regressor.
    """
    ranks = [] if signature is None else [len(spec.shape) for spec in signature.outputs]
    if signature is None or ranks not in ([1], [1, 2]):
        return None
    return Task.REGRESSION if signature.outputs[0].datatype.startswith("FP") else Task.CLASSIFICATION
