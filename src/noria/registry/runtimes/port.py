"""The port of a runtime: save an estimator's files, load them, predict."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Failed, Invalid, near
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.rules import check_consent

Arrays = Mapping[str, NDArray[Any]]

_HERE: Final = "noria.registry.runtimes"

RUNTIMES = {
    "lightgbm": f"{_HERE}.lightgbm:LightgbmModel",
    "mlflow": f"{_HERE}.mlflow:MlflowModel",
    "onnx": f"{_HERE}.onnx:OnnxFile",
    "python-class": f"{_HERE}.python_class:PythonClassModel",
    "sklearn-skops": f"{_HERE}.sklearn:SklearnModel",
    "xgboost": f"{_HERE}.xgboost:XgboostModel",
}
"""Format → the class that loads it, imported when used."""

FAST_RUNTIMES = {"sklearn-skops": f"{_HERE}.onnx:OnnxBeside", "xgboost": f"{_HERE}.onnx:OnnxBeside"}
"""Format → the class that loads another engine's form of the model, where one was proven equal."""

KEEPERS = {
    "noria": f"{_HERE}.python_class:PythonClassModel",
    "lightgbm": f"{_HERE}.lightgbm:LightgbmModel",
    "xgboost": f"{_HERE}.xgboost:XgboostModel",
    "onnx": f"{_HERE}.onnx:OnnxFile",
    "torch": f"{_HERE}.torch:TorchModel",
}
"""Library that a model's class, or a class above it, is of → the class that saves it; the first that fits counts."""

REQUIREMENTS_FILE = "requirements.txt"


class DistributionMissing(Failed):
    """The model needs a distribution that is not installed here."""

    code = "distribution_missing"

    def __init__(self, ref: str, module: str, requirement: str) -> None:
        super().__init__(
            f"`{ref}` needs `{module}`, which is not installed here",
            hint=f"Install it: pip install '{requirement}'",
            details={"module": module, "requirement": requirement},
        )


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


class KeptModel(LoadedModel, Protocol):
    """A model that was saved, and loaded again from its files to be described."""

    format: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    """Needed to load it, as far as they are installed here."""

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        ...

    @property
    def task(self) -> Task | None:
        """What it says it is for; None when it does not say."""
        ...

    @property
    def classes(self) -> list[Any] | None:
        """In the order of the probabilities; None when it does not know."""
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


class Keeper(Runtime, KeptModel, Protocol):
    """Also saves models."""

    @classmethod
    def save(cls, model: Any, folder: Path, inputs: list[TensorSpec]) -> Self:
        """Write a model's files, and load it from them.

        Parameters
        ----------
        inputs
            What it is given, in order.

        Raises
        ------
        Invalid
            If it could not be loaded again, or not safely.
        """
        ...


@runtime_checkable
class Convertible(KeptModel, Protocol):
    """A model that may have a form in ONNX beside it."""

    converter: ClassVar[tuple[str, ...]]
    """Distributions that convert it, its own library first."""
    datatypes: ClassVar[tuple[str, ...]]
    """In which a graph may take numbers, the one to be tried first before the others."""

    def graph(self, signature: Signature, datatype: str) -> bytes:
        """Convert it to a graph of ONNX whose numbers have the given type; raises what the converter raises."""
        ...

    def split_points(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Give the columns and thresholds at which its trees split, in the order of the inputs; empty without trees."""
        ...

    def before_steps(
        self, rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Give the rows, columns and inputs at which what the trees see crosses their thresholds."""
        ...


@runtime_checkable
class Provable(Protocol):
    """A model that was saved in another engine's form, which is compared with it before it is registered."""

    def prove(self, signature: Signature, inputs: Arrays, folder: Path) -> object:
        """Compare both on many rows and write what was found; refuse what differs."""
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
        If its files hold code that nobody has consented to run.
    DistributionMissing
        If the library that it is of is not installed.
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
    runtime: Runtime = _imported(runtimes[version.format])
    return runtime.load(folder, version)


def keeper_of(model: Any) -> type[Keeper]:
    """Find the class that saves a model, by the library that its class is of; scikit-learn's when none is known."""
    libraries = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
    for library, target in KEEPERS.items():
        if library in libraries:
            return _keeper(target)
    return _keeper(f"{_HERE}.sklearn:SklearnModel")


def import_library(module: str, folder: Path, ref: str) -> ModuleType:
    """Import what a model is computed with.

    Raises
    ------
    DistributionMissing
        If it is not installed; the hint has the version that the model was made with.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = (error.name or module).partition(".")[0]
        raise DistributionMissing(ref, name, _requirement(folder, name)) from error


def _requirement(folder: Path, name: str) -> str:
    path = folder / REQUIREMENTS_FILE
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    wanted = [line.strip() for line in lines if line.partition("==")[0].strip() == name]
    return wanted[0] if wanted else name


def _imported(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _keeper(target: str) -> type[Keeper]:
    found: type[Keeper] = _imported(target)
    return found
