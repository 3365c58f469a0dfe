"""Models in MLflow's format, loaded without MLflow: those of scikit-learn, from skops or, after a consent, a pickle."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from noria.core.errors import Corrupt, Invalid
from noria.registry.entities import ServableVersion
from noria.registry.rules import require_consent
from noria.registry.runtimes.mlflow_format import FILE, LIMIT_BYTES, SKLEARN, SKOPS, read_mlmodel
from noria.registry.runtimes.port import Arrays, Runtime
from noria.registry.runtimes.sklearn import SklearnModel, load_estimator

_PICKLES: Final = frozenset({"pickle", "cloudpickle"})
_OWN_FUNCTION: Final = "predict"


class MlflowModel(SklearnModel):
    """A scikit-learn estimator that MLflow saved."""

    @classmethod
    def load(cls, folder: Path, version: ServableVersion) -> MlflowModel:
        """Load the estimator that the `MLmodel` file names.

        Raises
        ------
        ConsentMissing
            If it is a pickle that nobody has consented to load.
        Invalid
            If it is not scikit-learn's, or answers with something else than predictions.
        """
        section = _section(folder)
        path = folder / str(section.get("pickled_model", "model.pkl"))
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Corrupt(f"`{FILE}` of `{version.ref}` names a file outside the model")
        kind = section.get("serialization_format", "cloudpickle")
        if kind == SKOPS:
            return cls(load_estimator(path), version.signature)
        if kind not in _PICKLES:
            raise Invalid(f"`{version.ref}` is serialised as `{kind}`, which this Noria cannot load")
        # Whatever the registry believes of the files: what is about to be unpickled needs the consent.
        require_consent(version)
        return cls(_unpickle(path), version.signature)

    def rows(self, inputs: Arrays) -> Any:
        """Give inputs as the estimator was fitted on them: a frame if it knows its columns by name, else a matrix."""
        if not hasattr(self.estimator, "feature_names_in_"):
            return super().rows(inputs)
        import polars as pl

        return pl.DataFrame({name: np.asarray(inputs[name]) for name in self.names})


def _section(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.is_file() or path.stat().st_size > LIMIT_BYTES:
        raise Corrupt(f"The model has no `{FILE}` file that can be read")
    facts = read_mlmodel(path.read_bytes(), [file.name for file in folder.iterdir()])
    section = facts.sections.get(SKLEARN) if facts is not None else None
    if section is None:
        raise Invalid(
            f"The `{FILE}` file names no model of scikit-learn", hint="Load it with MLflow's client instead"
        )
    function = facts.sections.get("python_function", {}).get("predict_fn", _OWN_FUNCTION) if facts else None
    if function != _OWN_FUNCTION:
        raise Invalid(
            f"The model answers with `{function}`, and Noria serves `{_OWN_FUNCTION}`",
            hint="Log it with `pyfunc_predict_fn='predict'`",
        )
    return section


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
