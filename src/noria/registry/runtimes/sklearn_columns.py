"""Columns that scikit-learn estimators know by name: those of the frame that they were fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid, near
from noria.registry.entities import TensorSpec
from noria.registry.runtimes.boosting import ordered_names
from noria.registry.runtimes.port import Arrays

_NAMES = "feature_names_in_"


class Columns:
    """How the inputs of a model become the rows of its estimator.

    Parameters
    ----------
    estimator
        Fitted.
    inputs
        Of the model.

    Attributes
    ----------
    names
        Of the inputs, in the order of the estimator's columns.
    as_frame
        Whether the estimator picks columns by name, and has to be given a frame: a column transformer does.
    """

    def __init__(self, estimator: Any, inputs: Sequence[TensorSpec]) -> None:
        known = names_of(estimator)
        self.names = ordered_names(inputs, known)
        single = all(len(spec.shape) == 1 for spec in inputs)
        self.as_frame = self.names == known and single and _picks_by_name(estimator)

    def frame(self, inputs: Arrays) -> Any:
        """Give inputs as a frame."""
        import polars as pl

        return pl.DataFrame({name: np.asarray(inputs[name]) for name in self.names})

    def rows_of(self, matrix: NDArray[Any]) -> Any:
        """Give a matrix, whose columns are in the estimator's order, in the form that it takes."""
        return self.frame(dict(zip(self.names, matrix.T, strict=True))) if self.as_frame else matrix


def names_of(estimator: Any) -> list[str] | None:
    """Give the columns that an estimator was fitted on; None where they had no names."""
    known = getattr(estimator, _NAMES, None)
    return None if known is None else [str(name) for name in known]


def check_columns(estimator: Any, inputs: Sequence[TensorSpec]) -> None:
    """See that a model is described by the columns that its estimator was fitted on.

    Raises
    ------
    Invalid
        If columns are missing, or are others; the first of them is named.
    """
    known, given = names_of(estimator), [spec.name for spec in inputs]
    if known is None or any(len(spec.shape) != 1 for spec in inputs):
        return
    kind = type(estimator).__name__
    missing = next((name for name in known if name not in given), None)
    if missing is not None:
        close = near(missing, given)
        raise Invalid(
            f"`x` lacks the column `{missing}`, which the `{kind}` was fitted on",
            hint=f"Is it `{close}`?" if close else f"Give all of its columns: {', '.join(known)}",
        )
    extra = next((name for name in given if name not in known), None)
    if extra is not None:
        raise Invalid(
            f"`x` has the column `{extra}`, which the `{kind}` was not fitted on",
            hint="Leave it out, or fit the estimator on it",
        )


def forget_names(estimator: Any) -> None:
    """Take the names of columns from an estimator of our own that is asked by matrices: it would warn at each call."""
    for part in _parts_of(estimator):
        vars(part).pop(_NAMES, None)


def _picks_by_name(estimator: Any) -> bool:
    from sklearn.compose import ColumnTransformer

    return any(isinstance(part, ColumnTransformer) and hasattr(part, _NAMES) for part in _parts_of(estimator))


def _parts_of(estimator: Any) -> Iterator[Any]:
    """Give an estimator and all that it holds, fitted or not."""
    waiting, seen = [estimator], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, np.ndarray):
            waiting += one.ravel().tolist() if one.dtype.kind == "O" else ()
        elif type(one).__module__.startswith("sklearn.") and hasattr(one, "__dict__") and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += vars(one).values()
