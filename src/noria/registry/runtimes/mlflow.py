"""Models in MLflow's format, loaded without MLflow where their files hold no code, and after a consent otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Failed, Invalid
from noria.registry.entities import ServableVersion, Signature
from noria.registry.rules import require_consent
from noria.registry.runtimes.mlflow_format import (
    FILE,
    LIGHTGBM,
    LIMIT_BYTES,
    ONNX,
    PYFUNC,
    SKLEARN,
    SKOPS,
    XGBOOST,
    MlmodelFacts,
    is_booster,
    read_mlmodel,
)
from noria.registry.runtimes.port import Arrays, LoadedModel, Runtime, import_library
from noria.registry.runtimes.sklearn import SklearnModel, load_estimator, to_matrix

_PICKLES: Final = frozenset({"pickle", "cloudpickle"})
_OWN_FUNCTION: Final = "predict"


class MlflowModel:
    """Loads what MLflow saved, by the library that it is of."""

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> LoadedModel:
        """Load the model that the `MLmodel` file names.

        Raises
        ------
        ConsentMissing
            If it is a pickle, or code, that nobody has consented to load.
        DistributionMissing
            If the library that it is of, or MLflow itself, is needed and not installed.
        Invalid
            If it answers with something else than predictions.
        """
        facts = _facts(folder)
        section = facts.sections[facts.flavor]
        load = _LOADERS.get(facts.flavor)
        if load is None or (facts.flavor == LIGHTGBM and not is_booster(section)):
            load = _load_estimator if facts.flavor in (SKLEARN, LIGHTGBM) else _load_through_mlflow
        if load is not _load_through_mlflow:
            _check_function(facts)
        return load(folder, section, version)


class MlflowEstimator(SklearnModel):
    """An estimator in scikit-learn's manner that MLflow saved."""

    def rows(self, inputs: Arrays) -> Any:
        """Give inputs as the estimator was fitted on them: a frame if it knows its columns by name, else a matrix."""
        if not hasattr(self.estimator, "feature_names_in_"):
            return super().rows(inputs)
        return self.columns.frame(inputs)


class MlflowFunction:
    """A model that only MLflow can load, by its function in Python."""

    engine = "native"

    def __init__(self, function: Any, signature: Signature) -> None:
        self._function = function
        self._names = [spec.name for spec in signature.inputs]
        self._columns = all(len(spec.shape) == 1 for spec in signature.inputs)

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Ask the function: columns are given as a frame, tensors as arrays."""
        found = self._function.predict(self._given(inputs))
        array = np.asarray(found)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        return {"predictions": array.astype(str) if array.dtype.kind == "O" else array}

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give the inputs side by side."""
        return to_matrix([inputs[name] for name in self._names])

    def _given(self, inputs: Arrays) -> Any:
        if self._columns:
            import pandas as pd

            return pd.DataFrame({name: inputs[name] for name in self._names})
        return inputs[self._names[0]] if len(self._names) == 1 else dict(inputs)


def _facts(folder: Path) -> MlmodelFacts:
    path = folder / FILE
    if not path.is_file() or path.stat().st_size > LIMIT_BYTES:
        raise Corrupt(f"The model has no `{FILE}` file that can be read")
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    facts = read_mlmodel(path.read_bytes(), names)
    if facts is None:
        raise Corrupt(f"The `{FILE}` file names no model")
    return facts


def _check_function(facts: MlmodelFacts) -> None:
    function = facts.sections.get(PYFUNC, {}).get("predict_fn", _OWN_FUNCTION)
    if function != _OWN_FUNCTION:
        raise Invalid(
            f"The model answers with `{function}`, and Noria serves `{_OWN_FUNCTION}`",
            hint="Log it with `pyfunc_predict_fn='predict'`",
        )


def _file(folder: Path, name: object, version: ServableVersion) -> Path:
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Corrupt(f"`{FILE}` of `{version.ref}` names a file outside the model")
    if not path.is_file():
        raise Corrupt(f"`{FILE}` of `{version.ref}` names `{name}`, which is not there")
    return path


def _load_estimator(folder: Path, section: dict[str, Any], version: ServableVersion) -> LoadedModel:
    """Load an estimator of scikit-learn, or one of another library in its manner."""
    kind = section.get("serialization_format", "cloudpickle")
    if kind != SKOPS and kind not in _PICKLES:
        raise Invalid(f"`{version.ref}` is serialised as `{kind}`, which this Noria cannot load")
    path = _file(folder, section.get("pickled_model") or section.get("data", "model.pkl"), version)
    if kind == SKOPS:
        return MlflowEstimator(load_estimator(path), version.signature)
    # Whatever the registry believes of the files: what is about to be unpickled needs the consent.
    require_consent(version)
    return MlflowEstimator(_unpickle(path), version.signature)


def _load_lightgbm(folder: Path, section: dict[str, Any], version: ServableVersion) -> LoadedModel:
    """Load a booster: it answers with its scores as it does in MLflow, unless its classes are known."""
    from noria.registry.runtimes.lightgbm import LightgbmModel, read_booster

    path = _file(folder, section.get("data", "model.lgb"), version)
    import_library("lightgbm", folder, version.ref)
    return LightgbmModel(read_booster(path), version.signature, version.classes)


def _load_xgboost(folder: Path, section: dict[str, Any], version: ServableVersion) -> LoadedModel:
    """Load a booster: of a classifier it tells classes, otherwise it answers with its scores as it does in MLflow."""
    from noria.registry.runtimes.xgboost import XgboostModel, classes_of_booster, read_booster

    path = _file(folder, section.get("data", "model.xgb"), version)
    import_library("xgboost", folder, version.ref)
    booster = read_booster(path)
    tells = str(section.get("model_class", "")).endswith("Classifier")
    classes = version.classes or (classes_of_booster(booster) if tells else None)
    return XgboostModel(booster, version.signature, classes)


def _load_onnx(folder: Path, section: dict[str, Any], version: ServableVersion) -> LoadedModel:
    from noria.registry.runtimes.onnx import OnnxFile

    path = _file(folder, section.get("data", "model.onnx"), version)
    import_library("onnxruntime", folder, version.ref)
    return OnnxFile.read(path, version)


def _load_through_mlflow(folder: Path, _: dict[str, Any], version: ServableVersion) -> LoadedModel:
    """Let MLflow load it, which runs whatever the files hold."""
    require_consent(version)
    pyfunc: Any = import_library("mlflow.pyfunc", folder, version.ref)
    try:
        return MlflowFunction(pyfunc.load_model(str(folder)), version.signature)
    except Exception as error:
        # All of them: what a model does when it is loaded is its maker's choice.
        raise Failed(
            f"MLflow cannot load `{version.ref}`: {type(error).__name__}: {error}",
            hint="Install what the model's `requirements.txt` lists",
        ) from error


_LOADERS: Final[dict[str, Callable[[Path, dict[str, Any], ServableVersion], LoadedModel]]] = {
    SKLEARN: _load_estimator,
    LIGHTGBM: _load_lightgbm,
    XGBOOST: _load_xgboost,
    ONNX: _load_onnx,
}


def _unpickle(path: Path) -> Any:
    """Load a pickle, which runs the code in it: somebody has consented to that for these very bytes."""
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - after a consent that is bound to the digest of the file
    except Exception as error:
        # All of them: what a pickle does when it is loaded is its maker's choice.
        raise Corrupt(
            f"`{path.name}` cannot be unpickled here: {type(error).__name__}: {error}",
            hint="Install what the model's `requirements.txt` lists",
        ) from error


if TYPE_CHECKING:
    _runtime: type[Runtime] = MlflowModel
