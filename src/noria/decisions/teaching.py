"""Rows for the origin pipeline to run on again: which of the old ones, and newly labelled ones behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.decisions.entities import Scheme

_SEED = 7  # any: a trial repeated on the same rows teaches the same


def kept_rows(
    old: dict[str, NDArray[Any]], scheme: Scheme, n_new: int, *, n_rows: int
) -> dict[str, NDArray[Any]]:
    """Keep of the old rows what a scheme keeps; arrays that are no rows stay.

    Parameters
    ----------
    n_new
        Rows since the onset: `WEIGHTED` draws as many old ones, so that both weigh the same.
    n_rows
        Length of the arrays of rows.
    """
    n_kept = {Scheme.ALL: n_rows, Scheme.RECENT: 0, Scheme.WEIGHTED: min(n_rows, n_new)}[scheme]
    chosen = np.sort(np.random.default_rng(_SEED).choice(n_rows, size=n_kept, replace=False))
    return {
        name: array[chosen] if array.ndim and len(array) == n_rows else array for name, array in old.items()
    }


def taught_arrays(
    old: dict[str, NDArray[Any]], inputs: dict[str, NDArray[Any]], labels: list[Any], *, target: str
) -> dict[str, NDArray[Any]]:
    """Append newly labelled rows to the arrays that a version was trained on.

    Parameters
    ----------
    old
        Arrays of the dataset, by name; those of the inputs and the target are extended.
    target
        Name of the array with the labels.

    Raises
    ------
    Invalid
        If the dataset holds further arrays of rows, whose new values are unknown.
    """
    n_rows = len(old[target])
    others = [
        name
        for name, array in old.items()
        if name not in (*inputs, target) and array.ndim and len(array) == n_rows
    ]
    if others:
        raise Invalid(f"The dataset also holds `{others[0]}`, which live rows do not have")
    new = {**inputs, target: np.asarray(labels)}
    return {
        name: np.concatenate([array, _as(new[name], array)]) if name in new else array
        for name, array in old.items()
    }


def _as(new: NDArray[Any], old: NDArray[Any]) -> NDArray[Any]:
    """Give live values in the type of the training rows; texts may be longer than any before."""
    if old.dtype.kind in "US":
        return new.astype(str)
    return new.astype(old.dtype)


def target_name(arrays: dict[str, NDArray[Any]], inputs: list[str]) -> str:
    """Find the array of a dataset that holds the labels: the one that is no input.

    Raises
    ------
    Invalid
        If the inputs are not among the arrays, or several are left.
    """
    missing = [name for name in inputs if name not in arrays]
    if missing:
        raise Invalid(f"The dataset has no array `{missing[0]}`, which the model takes as an input")
    left = [name for name in arrays if name not in inputs and arrays[name].ndim == 1]
    if "y" in left:
        return "y"
    if len(left) != 1:
        raise Invalid(
            f"Which array of the dataset holds the labels cannot be told: {', '.join(left) or 'none'}"
        )
    return left[0]
