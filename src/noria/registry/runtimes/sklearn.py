"""scikit-learn estimators through skops: a format that names its types, so that nothing unknown is executed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt, Invalid, NoriaError
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.runtimes.forests import PREDICTIONS, PROBABILITIES, Forest
from noria.registry.runtimes.port import Arrays, Convertible, Keeper
from noria.registry.runtimes.sklearn_columns import Columns, check_columns, forget_names
from noria.registry.runtimes.skops_form import settle_form

FORMAT = "sklearn-skops"
FILE = "model.skops"

TRUSTED_TYPES = frozenset(
    {
        "numpy.dtype",
        "numpy.mean",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.utils._bunch.Bunch",
    }
)
"""Types that fitted scikit-learn estimators hold besides those that skops itself trusts."""

TRUSTED_MODULES = (
    "scipy.sparse",
    "sklearn._loss",
    "sklearn.calibration",
    "sklearn.ensemble._hist_gradient_boosting",
    "sklearn.feature_selection",
    "sklearn.gaussian_process",
    "sklearn.impute",
    "sklearn.metrics._classification",
    "sklearn.metrics._dist_metrics",
    "sklearn.metrics._regression",
    "sklearn.metrics._scorer",
    "sklearn.model_selection._split",
    "sklearn.neighbors",
    "sklearn.neural_network._stochastic_optimizers",
    "sklearn.tree._tree",
    "sklearn.utils._metadata_requests",
)
"""Modules whose own classes and functions are loaded: they compute on arrays and touch neither files nor network.

Whole packages are not trusted: `numpy.load`, called as the function of a `FunctionTransformer`, would unpickle a file.
"""


class UntrustedTypes(Invalid):
    """The model holds types whose loading could run code of others."""

    code = "untrusted_types"

    def __init__(self, types: list[str]) -> None:
        super().__init__(
            "The model holds types that Noria does not load: " + ", ".join(f"`{name}`" for name in types),
            hint="Build it of scikit-learn's own estimators (of a search, register `best_estimator_`), "
            "or compute its features in a step before it",
            details={"types": types},
        )


class SklearnModel:
    """A scikit-learn estimator in memory.

    Parameters
    ----------
    estimator
        Fitted.
    signature
        Names the inputs: in the order of the estimator's columns, unless it knows them by name.
    """

    format: ClassVar[str] = FORMAT
    distributions: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops", "numpy", "scipy")
    converter: ClassVar[tuple[str, ...]] = ("scikit-learn", "onnx", "onnxruntime", "skl2onnx")
    datatypes: ClassVar[tuple[str, ...]] = ("FP32", "FP64")
    """Single precision is faster, and what trees of scikit-learn compute in anyway."""
    engine = "native"

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self.estimator = estimator
        self.columns = Columns(estimator, signature.inputs)
        self._before, self._last = _parts(estimator)
        self._forest = Forest.of(self._last)

    @property
    def kind(self) -> str:
        """Name of the estimator's class."""
        return type(self.estimator).__name__

    @property
    def classes(self) -> list[Any] | None:
        """What the estimator was fitted to tell apart."""
        known = getattr(self.estimator, "classes_", None)
        return None if known is None else list(np.asarray(known).tolist())

    @property
    def task(self) -> Task | None:
        """What the estimator says it is for; None when it does not say."""
        from sklearn.base import is_classifier, is_regressor

        if is_classifier(self.estimator):
            return Task.CLASSIFICATION
        return Task.REGRESSION if is_regressor(self.estimator) else None

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> SklearnModel:
        """Write `model.skops`, and load it again."""
        if not hasattr(model, "predict"):
            raise Invalid(
                f"`{type(model).__name__}` has no `predict`",
                hint="Register a fitted estimator of scikit-learn, LightGBM or XGBoost, or a `noria.PythonModel`",
            )
        check_columns(model, inputs)
        save_estimator(model, folder / FILE)
        return cls._read(folder, Signature(inputs=inputs, outputs=[]))

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> SklearnModel:
        """Load `model.skops`."""
        return cls._read(folder, version.signature)

    @classmethod
    def _read(cls, folder: Path, signature: Signature) -> SklearnModel:
        estimator = load_estimator(folder / FILE)
        read = cls(estimator, signature)
        if not read.columns.as_frame:
            forget_names(estimator)
        return read

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict classes or numbers, and probabilities where the estimator has them."""
        rows = self.rows(inputs)
        if self._before is not None:
            rows = self._before.transform(rows)
        found = None if self._forest is None else self._forest.predict(rows)
        if found is not None:
            return found
        answer = {PREDICTIONS: np.asarray(self._last.predict(rows))}
        if hasattr(self._last, "predict_proba"):
            answer[PROBABILITIES] = np.asarray(self._last.predict_proba(rows), dtype=np.float64)
        return answer

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of a scikit-learn Pipeline sees; the input itself for any other estimator."""
        rows = self.rows(inputs)
        steps = getattr(self.estimator, "steps", None)
        if steps is None or len(steps) < 2:
            return np.asarray(rows)
        transformed = self.estimator[:-1].transform(rows)
        return np.asarray(transformed.toarray() if hasattr(transformed, "toarray") else transformed)

    def graph(self, signature: Signature, datatype: str) -> bytes:
        """Convert it by skl2onnx."""
        from noria.registry.runtimes.sklearn_graph import convert

        return convert(self, signature, datatype)

    def split_points(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Give the columns of what the last step sees, and their thresholds."""
        from noria.registry.proving import split_points

        return split_points(self.estimator)

    def before_steps(
        self, rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Find the inputs at which what the last step sees crosses its thresholds."""
        from noria.registry.proving import before_steps

        return before_steps(self.estimator, rows, columns, values, self.columns.rows_of)

    def rows(self, inputs: Arrays) -> Any:
        """Give inputs in the form in which the estimator takes them, a row each.

        That is a frame where it picks columns by name, and else a matrix of shape (n_rows, n_columns).
        """
        if self.columns.as_frame:
            return self.columns.frame(inputs)
        return to_matrix([inputs[name] for name in self.columns.names])


def _parts(estimator: Any) -> tuple[Any, Any]:
    """Give what comes before the last step of a pipeline, None for any other estimator, and the last step.

    Classes and probabilities are two calls, which would prepare the same rows twice.
    """
    from sklearn.pipeline import Pipeline

    if type(estimator) is not Pipeline or len(estimator.steps) < 2 or estimator.steps[-1][1] == "passthrough":
        return None, estimator
    return estimator[:-1], estimator.steps[-1][1]


def to_matrix(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Set inputs side by side, shape (n_rows, n_columns): the axes of each after the first are flattened.

    Texts beside numbers give a matrix of objects, as scikit-learn's column transformers expect.
    """
    columns = [array.reshape(len(array), -1) for array in arrays]
    if len(columns) == 1:
        return columns[0]
    if any(column.dtype.kind in "US" for column in columns):
        columns = [column.astype(object) for column in columns]
    return np.hstack(columns)


def save_estimator(estimator: Any, path: Path) -> None:
    """Write a fitted estimator; what could not be loaded again is refused before anything is stored.

    Raises
    ------
    UntrustedTypes
        If it holds types that are not trusted, or that skops has no form for.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        skops.io.dump(estimator, path)
    except UnsupportedTypeException as error:
        raise UntrustedTypes([type_name(estimator)]) from error
    settle_form(path)
    trusted_types(path)


def load_estimator(path: Path) -> Any:
    """Read an estimator, its types checked first.

    Raises
    ------
    UntrustedTypes
        If it holds types that are not trusted.
    Corrupt
        If the file is not one that skops wrote.
    """
    import skops.io

    trusted = trusted_types(path)
    with _file_errors(path):
        return skops.io.load(path, trusted=trusted)


def trusted_types(path: Path) -> list[str]:
    """List the types in the file beyond skops' own; all of them are trusted.

    Raises
    ------
    UntrustedTypes
        If there are others.
    Corrupt
        If the file is not one that skops wrote.
    """
    import skops.io

    with _file_errors(path):
        found = skops.io.get_untrusted_types(file=path)
    foreign = sorted(name for name in found if not is_trusted(name))
    if foreign:
        raise UntrustedTypes(foreign)
    return list(found)


def is_trusted(name: str) -> bool:
    """Tell whether a type, by its full name, may be loaded."""
    if name in TRUSTED_TYPES:
        return True
    module, _, attribute = name.rpartition(".")
    if not any(f"{module}.".startswith(f"{trusted}.") for trusted in TRUSTED_MODULES):
        return False
    return _is_defined_in(module, attribute)


def type_name(value: Any) -> str:
    """Give the full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_defined_in(module: str, attribute: str) -> bool:
    # What a module has only imported from elsewhere is not its own, and is not covered by the trust in it.
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return getattr(found, "__module__", None) == module


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except NoriaError:
        raise
    except Exception as error:
        # All of them: the file is its maker's, who can make skops stumble over anything.
        raise Corrupt(
            f"`{path.name}` is not a model file that this skops reads: {type(error).__name__}: {error}",
            hint="Register the model again",
        ) from error


if TYPE_CHECKING:
    _runtime: type[Keeper] = SklearnModel
    _convertible: type[Convertible] = SklearnModel
