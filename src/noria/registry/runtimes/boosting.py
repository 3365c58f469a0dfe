"""What the runtimes of boosted trees share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.entities import TensorSpec


def check_numeric(inputs: Sequence[TensorSpec], library: str) -> None:
    """Refuse texts among the inputs of a model that takes a matrix of numbers."""
    texts = [spec.name for spec in inputs if spec.datatype == "BYTES"]
    if texts:
        raise Invalid(
            f"The input `{texts[0]}` is text, and a model of {library} takes numbers",
            hint="Encode it in a step before, and register with what the model was fitted on",
        )


def ordered_names(inputs: Sequence[TensorSpec], known: Sequence[str] | None) -> list[str]:
    """Give the names of inputs in the order of a booster's columns, if it knows them by these names."""
    names = [spec.name for spec in inputs]
    return list(known) if known is not None and set(known) == set(names) else names


def labelled(found: NDArray[Any], labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Make the answer of a classifier of its probabilities.

    Parameters
    ----------
    found
        Probabilities, shape (n_rows, n_classes), or of the second of two classes, shape (n_rows,).
    """
    # Subtracted in the type that they come in, as the libraries' own classifiers do.
    wide = np.column_stack([1 - found, found]) if found.ndim == 1 else found
    return {
        "predictions": labels[wide.argmax(axis=1)],
        "probabilities": wide.astype(np.float64, copy=False),
    }
