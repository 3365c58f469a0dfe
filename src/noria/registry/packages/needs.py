"""What must be installed to serve a version: what its files name, what its format needs, the engine that answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from noria.registry.entities import ServableVersion
from noria.registry.equality import equality_of
from noria.registry.packages.recorded import read_pins
from noria.registry.rules import MLFLOW_FORMAT
from noria.registry.runtimes.mlflow_format import LIGHTGBM, ONNX, SKLEARN, XGBOOST

if TYPE_CHECKING:
    from noria.core.objects.store import ObjectReader
    from noria.core.objects.trees import Manifest

_REQUIREMENTS: Final = "requirements.txt"
_LIMIT_BYTES: Final = 1 << 20
_ENGINE: Final = "onnxruntime"

_BY_FORMAT: Final[Mapping[str, tuple[str, ...]]] = {
    "lightgbm": ("lightgbm", "numpy", "scipy"),
    "onnx": (_ENGINE, "numpy"),
    "python-class": ("numpy",),
    "sklearn-skops": ("numpy", "scikit-learn", "scipy", "skops"),
    "xgboost": ("numpy", "scipy", "xgboost"),
}
_BY_FLAVOR: Final[Mapping[str, tuple[str, ...]]] = {
    LIGHTGBM: ("lightgbm", "numpy", "scipy"),
    ONNX: (_ENGINE, "numpy"),
    SKLEARN: ("numpy", "scikit-learn", "scipy"),
    XGBOOST: ("numpy", "scipy", "xgboost"),
}
_THROUGH_MLFLOW: Final = ("mlflow",)

_INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    _ENGINE: ("onnxruntime-gpu",),
    "mlflow": ("mlflow-skinny",),
    "xgboost": ("xgboost-cpu",),
}
"""Distributions that bring the same module under another name."""


def distributions_needed(
    objects: ObjectReader, version: ServableVersion, tree: Manifest
) -> dict[str, str | None]:
    """Give what to install before a version is served: versions by name, None for what its files do not say.

    ONNX Runtime is among it when servers answer with the version's ONNX form.

    Parameters
    ----------
    tree
        Of the version's files.
    """
    named: dict[str, str | None] = {}
    for entry in tree.entries:
        if entry.path == _REQUIREMENTS:
            data = objects.get(entry.digest, limit_bytes=_LIMIT_BYTES)
            named = read_pins(data.decode(errors="replace"))
    wanted = dict.fromkeys(_assumed(version))
    equality = equality_of(objects, version.digest)
    if equality is not None and equality.equal:
        wanted[_ENGINE] = equality.made_with.get(_ENGINE)
    there = {name: known for name, known in wanted.items() if not named.keys() & {*_INSTEAD.get(name, ())}}
    return {**there, **named}


def _assumed(version: ServableVersion) -> tuple[str, ...]:
    if version.format == MLFLOW_FORMAT:
        return _BY_FLAVOR.get(version.flavor or "", _THROUGH_MLFLOW)
    return _BY_FORMAT.get(version.format, ())
