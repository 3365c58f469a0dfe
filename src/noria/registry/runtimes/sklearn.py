"""scikit-learn estimators through skops: a format that names its types, so that nothing unknown is executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.entities import ModelVersion, Signature
from noria.registry.runtimes.port import Arrays, Runtime

FORMAT = "sklearn-skops"
FILE = "model.skops"

TRUSTED_PACKAGES = ("sklearn.", "numpy.", "scipy.")
"""Types of these packages are loaded besides those that skops knows. All others are refused."""


class UntrustedTypes(Invalid):
    """The model holds types whose loading could run code of others."""

    code = "untrusted_types"

    def __init__(self, types: list[str]) -> None:
        super().__init__(
            "The model holds types that Noria does not load: " + ", ".join(f"`{name}`" for name in types),
            hint="Build it of scikit-learn's own estimators, or compute its features in a step before it",
            details={"types": types},
        )


class SklearnModel:
    """A scikit-learn estimator in memory.

    Parameters
    ----------
    estimator
        Fitted.
    signature
        Names the inputs, in the order of the estimator's columns.
    """

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self.estimator = estimator
        self._names = [spec.name for spec in signature.inputs]

    @classmethod
    def load(cls, folder: Path, version: ModelVersion) -> SklearnModel:
        """Load `model.skops`."""
        return cls(load_estimator(folder / FILE), version.signature)

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict classes or numbers, and probabilities where the estimator has them."""
        matrix = to_matrix([inputs[name] for name in self._names])
        answer = {"predictions": np.asarray(self.estimator.predict(matrix))}
        if hasattr(self.estimator, "predict_proba"):
            answer["probabilities"] = np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)
        return answer

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of a scikit-learn Pipeline sees; the input itself for any other estimator."""
        matrix = to_matrix([inputs[name] for name in self._names])
        steps = getattr(self.estimator, "steps", None)
        if steps is None or len(steps) < 2:
            return matrix
        transformed = self.estimator[:-1].transform(matrix)
        return np.asarray(transformed.toarray() if hasattr(transformed, "toarray") else transformed)


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
        If it holds types outside the trusted packages.
    """
    import skops.io

    skops.io.dump(estimator, path)
    trusted_types(path)


def load_estimator(path: Path) -> Any:
    """Read an estimator, its types checked first."""
    import skops.io

    return skops.io.load(path, trusted=trusted_types(path))


def trusted_types(path: Path) -> list[str]:
    """List the types in the file beyond skops' own that we trust.

    Raises
    ------
    UntrustedTypes
        If there are others.
    """
    import skops.io

    found = skops.io.get_untrusted_types(file=path)
    foreign = [name for name in found if not name.startswith(TRUSTED_PACKAGES)]
    if foreign:
        raise UntrustedTypes(sorted(foreign))
    return list(found)


if TYPE_CHECKING:
    _runtime: type[Runtime] = SklearnModel
