"""Named arrays as columns: one naming for profiles, monitors and diagnoses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid


def flatten_columns(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Give arrays, shape (n_rows, ...), as columns of shape (n_rows,).

    An array of one axis keeps its name; one of more axes becomes `name[i]`, `name[i,j]`, in C order.

    Raises
    ------
    Invalid
        If an array has no axis, or their lengths differ; the message names it.

    Examples
    --------
    >>> list(flatten_columns({"x": np.zeros((2, 2)), "y": np.zeros(2)}))
    ['x[0]', 'x[1]', 'y']
    """
    columns: dict[str, NDArray[Any]] = {}
    n_rows: int | None = None
    for name, array in arrays.items():
        if array.ndim == 0:
            raise Invalid(f"`{name}` is a single value, not rows")
        if n_rows is not None and len(array) != n_rows:
            raise Invalid(f"`{name}` has {len(array)} rows where the others have {n_rows}")
        n_rows = len(array)
        if array.ndim == 1:
            columns[name] = array
            continue
        for index in np.ndindex(*array.shape[1:]):
            columns[f"{name}[{','.join(map(str, index))}]"] = array[(slice(None), *index)]
    return columns
