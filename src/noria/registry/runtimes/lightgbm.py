"""LightGBM's boosters in the library's own text: trees and their numbers, which hold no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Invalid
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.runtimes.boosting import check_numeric, labelled, ordered_names
from noria.registry.runtimes.port import Arrays, Keeper, import_library
from noria.registry.runtimes.sklearn import to_matrix

FILE: Final = "model.lgb.txt"
_WITH_CLASSES: Final = frozenset({"binary", "multiclass", "multiclassova", "cross_entropy"})


class LightgbmModel:
    """A booster in memory.

    Parameters
    ----------
    booster
        Of LightGBM.
    signature
        Names the inputs; of several columns that the booster knows by the same names, its order counts.
    classes
        In the order of the probabilities; None for a booster that answers with numbers.
    """

    format: ClassVar[str] = "lightgbm"
    distributions: ClassVar[tuple[str, ...]] = ("lightgbm", "numpy")
    engine = "native"
    kind = "Booster of LightGBM"

    def __init__(self, booster: Any, signature: Signature, classes: Sequence[Any] | None) -> None:
        self._booster = booster
        self._names = ordered_names(signature.inputs, booster.feature_name())
        self.classes = None if classes is None else list(classes)
        self._labels = None if classes is None else np.asarray(list(classes))

    @property
    def task(self) -> Task:
        """Whether it tells classes or gives numbers."""
        return Task.REGRESSION if self.classes is None else Task.CLASSIFICATION

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> LightgbmModel:
        """Write a booster, or the one of an estimator in scikit-learn's manner, and load it again."""
        check_numeric(inputs, "LightGBM")
        booster = getattr(model, "booster_", model)
        booster.save_model(folder / FILE)
        signature = Signature(inputs=inputs, outputs=[])
        return cls(read_booster(folder / FILE), signature, _classes(model, booster))

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> LightgbmModel:
        """Load `model.lgb.txt`."""
        import_library("lightgbm", folder, version.ref)
        return cls(read_booster(folder / FILE), version.signature, version.classes)

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict classes with probabilities, or numbers."""
        found = np.asarray(self._booster.predict(self.features(inputs)))
        return {"predictions": found} if self._labels is None else labelled(found, self._labels)

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give the matrix of the inputs, shape (n_rows, n_columns)."""
        return to_matrix([inputs[name] for name in self._names])


def read_booster(path: Path) -> Any:
    """Read a booster from its text.

    Raises
    ------
    Corrupt
        If LightGBM cannot.
    """
    import lightgbm

    try:
        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
        raise Corrupt(
            f"`{path.name}` is not a model that this LightGBM reads: {error}", hint="Register the model again"
        ) from error


def classes_of_booster(booster: Any) -> list[Any] | None:
    """Give the numbers by which a booster knows its classes; None when it has none."""
    objective = str(booster.params.get("objective", ""))
    if objective not in _WITH_CLASSES:
        return None
    return list(range(max(2, booster.num_model_per_iteration())))


def _classes(model: Any, booster: Any) -> list[Any] | None:
    objective = booster.params.get("objective")
    if callable(objective) or objective in {"none", "custom"}:
        raise Invalid(
            "A booster with an objective of your own gives scores that only you can read",
            hint="Register it inside a class of your own (`noria.PythonModel`)",
        )
    if hasattr(model, "classes_"):
        return list(np.asarray(model.classes_).tolist())
    return None if model is not booster else classes_of_booster(booster)


if TYPE_CHECKING:
    _runtime: type[Keeper] = LightgbmModel
