"""The port of a runtime: save an estimator's files, load them, predict."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from noria.core.errors import Invalid, near
from noria.registry.entities import ServableVersion
from noria.registry.rules import check_consent

Arrays = Mapping[str, NDArray[Any]]

RUNTIMES = {
    "mlflow": "noria.registry.runtimes.mlflow:MlflowModel",
    "sklearn-skops": "noria.registry.runtimes.sklearn:SklearnModel",
}
"""Format → the class that loads it, imported when used."""

FAST_RUNTIMES = {"sklearn-skops": "noria.registry.runtimes.onnx:OnnxBeside"}
"""Format → the class that loads another engine's form of the model, where one was proven equal."""


class LoadedModel(Protocol):
    """A model in memory. `predict` and `features` may be called from any thread."""

    @property
    def engine(self) -> str:
        """What computes the predictions: `onnxruntime`, or `native` for the model's own library."""
        ...

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Predict rows.

        Parameters
        ----------
        inputs
            Arrays as `check_inputs` gives them.

        Returns
        -------
        dict of ndarray
            `predictions`, shape (n_rows,), and `probabilities`, shape (n_rows, n_classes), where the model has them.
        """
        ...

    def features(self, inputs: Arrays) -> NDArray[Any]:
        """Give what the last step of the model sees, shape (n_rows, n_features)."""
        ...


class Runtime(Protocol):
    """Makes loaded models of a folder."""

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> LoadedModel:
        """Load the files of a version, which were verified.

        Raises
        ------
        Invalid
            If they hold what would run code of others when loaded.
        """
        ...


def load_model(folder: Path, version: ServableVersion, *, fast: bool = False) -> LoadedModel:
    """Load a version from its files by the runtime of its format.

    Parameters
    ----------
    fast
        Take another engine where it was proven equal at registration, as model servers do. Labels are the same then,
        and numbers to within `noria.registry.equality.TOLERANCE`; otherwise they are to the last bit.

    Raises
    ------
    ConsentMissing
        If its files are pickles that nobody has consented to load.
    Invalid
        If no runtime knows its format.
    """
    check_consent(version)
    if version.format not in RUNTIMES:
        close = near(version.format, RUNTIMES)
        raise Invalid(
            f"`{version.ref}` has the format `{version.format}`, which this Noria cannot load",
            hint=f"Did you mean `{close}`?" if close else "Known: " + ", ".join(f"`{f}`" for f in RUNTIMES),
        )
    runtimes = {**RUNTIMES, **FAST_RUNTIMES} if fast else RUNTIMES
    module, _, name = runtimes[version.format].partition(":")
    runtime: Runtime = getattr(importlib.import_module(module), name)
    return runtime.load(folder, version)
