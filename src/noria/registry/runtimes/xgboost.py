"""XGBoost's boosters in the library's own binary JSON: trees and their numbers, which hold no code."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Invalid
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.runtimes.boosting import check_numeric, labelled, ordered_names
from noria.registry.runtimes.port import Arrays, Convertible, Keeper, import_library
from noria.registry.runtimes.sklearn import to_matrix

FILE: Final = "model.ubj"
_HARD: Final = "multi:softmax"
_RAW: Final = "binary:logitraw"
_LINEAR: Final = "gblinear"
_OPSET: Final = 15


class XgboostModel:
    """A booster in memory.

    Parameters
    ----------
    booster
        Of XGBoost.
    signature
        Names the inputs; of several columns that the booster knows by the same names, its order counts.
    classes
        In the order of the probabilities; None for a booster that answers with numbers.
    """

    format: ClassVar[str] = "xgboost"
    distributions: ClassVar[tuple[str, ...]] = ("xgboost", "xgboost-cpu", "numpy")
    converter: ClassVar[tuple[str, ...]] = ("xgboost", "onnx", "onnxruntime", "onnxmltools")
    datatypes: ClassVar[tuple[str, ...]] = ("FP32",)
    """The precision that boosters compute in."""
    engine = "native"
    kind = "Booster of XGBoost"

    def __init__(self, booster: Any, signature: Signature, classes: Sequence[Any] | None) -> None:
        learner = json.loads(booster.save_config())["learner"]
        self._booster = booster
        self._linear = learner["gradient_booster"]["name"] == _LINEAR
        best = booster.attr("best_iteration")
        self._iterations = (0, 0 if best is None else int(best) + 1)
        self._names = ordered_names(signature.inputs, booster.feature_names)
        self.classes = None if classes is None else list(classes)
        self._labels = None if classes is None else np.asarray(list(classes))

    @property
    def task(self) -> Task:
        """Whether it tells classes or gives numbers."""
        return Task.REGRESSION if self.classes is None else Task.CLASSIFICATION

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> XgboostModel:
        """Write a booster, or the one of an estimator in scikit-learn's manner, and load it again."""
        check_numeric(inputs, "XGBoost")
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        booster.save_model(folder / FILE)
        return cls(
            read_booster(folder / FILE), Signature(inputs=inputs, outputs=[]), _classes(model, booster)
        )

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> XgboostModel:
        """Load `model.ubj`."""
        import_library("xgboost", folder, version.ref)
        return cls(read_booster(folder / FILE), version.signature, version.classes)

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict classes with probabilities, or numbers."""
        found = self._scores(self.features(inputs))
        return {"predictions": found} if self._labels is None else labelled(found, self._labels)

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give the matrix of the inputs, shape (n_rows, n_columns)."""
        return to_matrix([inputs[name] for name in self._names])

    def graph(self, signature: Signature, datatype: str) -> bytes:  # noqa: ARG002 - there is one
        """Convert it by onnxmltools.

        Raises
        ------
        Invalid
            If its columns or classes are not what the graph takes and gives.
        """
        from onnxmltools.convert.common.data_types import FloatTensorType
        from onnxmltools.convert.xgboost.convert import convert

        if self._names != [spec.name for spec in signature.inputs] and len(self._names) > 1:
            raise Invalid("its columns stand in another order than the inputs")
        if self.classes is not None and self.classes != list(range(len(self.classes))):
            raise Invalid("its classes are not the numbers from 0 on")
        booster = self._booster[: self._iterations[1]] if self._iterations[1] else self._booster.copy()
        booster.feature_names = None  # the converter knows columns by number
        width = booster.num_features()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kinds = [("x", FloatTensorType([None, width]))]
            made = convert(booster, name="model", initial_types=kinds, target_opset=_OPSET)
        data: bytes = made.SerializeToString()
        return data

    def split_points(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Give the columns and thresholds of its trees."""
        if self._linear:
            return np.empty(0, np.int64), np.empty(0)
        trees = [json.loads(tree) for tree in self._booster.get_dump(dump_format="json")]
        places = {name: index for index, name in enumerate(self._booster.feature_names or ())}
        found = [split for tree in trees for split in _splits(tree)]
        columns = [places[name] if places else int(name.removeprefix("f")) for name, _ in found]
        return np.array(columns, dtype=np.int64), np.array([value for _, value in found], dtype=np.float64)

    def before_steps(
        self, rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Nothing stands before its trees."""
        return rows, columns, values

    def _scores(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self._linear:
            import xgboost

            return np.asarray(self._booster.predict(xgboost.DMatrix(rows), validate_features=False))
        return np.asarray(
            self._booster.inplace_predict(rows, iteration_range=self._iterations, validate_features=False)
        )


def _splits(node: dict[str, Any]) -> Iterator[tuple[str, float]]:
    if isinstance(node.get("split_condition"), (int, float)):  # of categories it is a list
        yield node["split"], node["split_condition"]
    for child in node.get("children", ()):
        yield from _splits(child)


def read_booster(path: Path) -> Any:
    """Read a booster from its file.

    Raises
    ------
    Corrupt
        If XGBoost cannot.
    """
    import xgboost

    try:
        return xgboost.Booster(model_file=path)
    except (xgboost.core.XGBoostError, ValueError, OSError) as error:
        text = str(error).partition("\n")[0]
        raise Corrupt(
            f"`{path.name}` is not a model that this XGBoost reads: {text}", hint="Register the model again"
        ) from error


def classes_of_booster(booster: Any) -> list[Any] | None:
    """Give the numbers by which a booster knows its classes; None when it has none.

    Raises
    ------
    Invalid
        If it tells classes without probabilities, or several at once.
    """
    learner = json.loads(booster.save_config())["learner"]
    objective, shape = learner["objective"]["name"], learner["learner_model_param"]
    if objective in {_HARD, _RAW}:
        raise Invalid(
            f"A booster of `{objective}` gives no probabilities",
            hint="Train it with `multi:softprob` or `binary:logistic`",
        )
    if not objective.startswith(("binary:", "multi:")):
        return None
    if int(shape.get("num_target", 1)) > 1:
        raise Invalid("A booster that tells several classes of a row at once cannot be registered")
    return list(range(max(2, int(shape["num_class"]))))


def _classes(model: Any, booster: Any) -> list[Any] | None:
    known = classes_of_booster(booster)
    if known is None or model is booster:
        return known
    return list(np.asarray(model.classes_).tolist()) if hasattr(model, "classes_") else None


if TYPE_CHECKING:
    _runtime: type[Keeper] = XgboostModel
    _convertible: type[Convertible] = XgboostModel
