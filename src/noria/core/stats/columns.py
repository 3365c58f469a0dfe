"""Named arrays as columns: one naming for profiles, monitors and diagnoses."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.column_names import flatten_names

_PLACE = re.compile(r"(?P<name>.+)\[(?P<index>\d+(?:,\d+)*)\]")


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
        places = np.ndindex(*array.shape[1:])
        for column, index in zip(flatten_names(name, array.shape[1:]), places, strict=True):
            columns[column] = array[(slice(None), *index)]
    return columns


def take_column(arrays: Mapping[str, NDArray[Any]], column: str) -> NDArray[Any] | None:
    """Give a column by the name that `flatten_columns` gives it; None when the arrays have none of it.

    Examples
    --------
    >>> take_column({"x": np.array([[1, 2], [3, 4]])}, "x[1]").tolist()
    [2, 4]
    """
    if column in arrays:
        return arrays[column]
    place = _PLACE.fullmatch(column)
    if place is None or place["name"] not in arrays:
        return None
    array, index = arrays[place["name"]], [int(part) for part in place["index"].split(",")]
    if len(index) != array.ndim - 1 or any(i >= n for i, n in zip(index, array.shape[1:], strict=True)):
        return None
    at: Any = (slice(None), *index)
    found: NDArray[Any] = array[at]
    return found


def put_column(arrays: MutableMapping[str, NDArray[Any]], column: str, values: NDArray[Any]) -> None:
    """Write a column, named as `flatten_columns` names it, into the array that it is of; its type stays.

    Examples
    --------
    >>> arrays = {"x": np.zeros((2, 3))}
    >>> put_column(arrays, "x[1]", np.array([5.0, 6.0]))
    >>> arrays["x"][:, 1].tolist()
    [5.0, 6.0]
    """
    place = None if column in arrays else _PLACE.fullmatch(column)
    if place is None:
        texts = arrays[column].dtype.kind in "US"
        arrays[column] = values.astype(np.str_ if texts else arrays[column].dtype)
        return
    changed = np.array(arrays[place["name"]])
    index: Any = (slice(None), *(int(part) for part in place["index"].split(",")))
    if changed.dtype.kind == "U" and values.dtype.itemsize > changed.dtype.itemsize:
        changed = changed.astype(values.dtype)  # a longer text than any before
    changed[index] = values.astype(changed.dtype)
    arrays[place["name"]] = changed
