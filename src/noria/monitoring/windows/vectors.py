"""Inputs that are vectors, such as embeddings of texts and images, compared as a whole from the counters of windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.column_names import flatten_names
from noria.core.stats.counters import TableCounts
from noria.core.stats.mean_shift import Spread, mean_shift, spread_of
from noria.core.stats.moment_parts import PARTS
from noria.core.stats.profiles import TableProfile
from noria.monitoring.drift import Comparison
from noria.registry.entities import Signature

FEWEST_DIMENSIONS: Final = 32
"""An array of fewer numbers is a row of columns, which mean something one by one."""

FEWEST_REFERENCE: Final = 300
FEWEST_ROWS: Final = 50
"""Of the reference and of a window: with fewer, deviations and means of numbers with long tails are too unsure."""

_MOST_ROWS: Final = 500
"""Of the reference: how dimensions hang together is no surer with more, and they stay in memory."""

_LEAST_OTHERS: Final = 0.05
_MOST_KURTOSIS: Final = 6.0  # that of a normal column is 3, of a Laplacian one 6


@dataclass(frozen=True, slots=True)
class Vector:
    """An input that is a vector.

    Attributes
    ----------
    columns
        Its numbers, as the counters name them: those that vary in the reference.
    n_reference
        Rows of the reference.
    """

    name: str
    columns: tuple[str, ...]
    n_reference: int
    spread: Spread


def vectors_of(
    signature: Signature, columns: Mapping[str, NDArray[Any]], profile: TableProfile
) -> tuple[Vector, ...]:
    """Give the inputs that are vectors, with how those of the reference lie about their mean.

    Parameters
    ----------
    columns
        Of the reference, each of shape (n_rows,).
    profile
        What rows are counted in.
    """
    found = []
    for spec in signature.inputs:
        shape = spec.shape[1:]
        if spec.datatype == "BYTES" or min(shape, default=1) < 1 or math.prod(shape) < FEWEST_DIMENSIONS:
            continue
        names = [name for name in flatten_names(spec.name, shape) if name in columns]
        held = [name for name in names if name in profile.columns and profile.columns[name].std]
        if len(held) < FEWEST_DIMENSIONS:
            continue
        rows = np.column_stack([columns[name] for name in held])
        whole = rows[np.isfinite(rows).all(axis=1)]
        # Spread over the sample, whatever order it came in.
        chosen = whole[:: max(1, len(whole) // _MOST_ROWS)][:_MOST_ROWS]
        varies = _are_even(chosen)
        if len(chosen) >= FEWEST_REFERENCE and varies.sum() >= max(FEWEST_DIMENSIONS, len(names) / 2):
            varying = tuple(name for name, each in zip(held, varies, strict=True) if each)
            found.append(Vector(spec.name, varying, len(whole), spread_of(chosen[:, varies])))
    return tuple(found)


def _are_even(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell in which columns no few rows decide where the mean lies; the others are looked at by themselves alone.

    One that is nearly always the same, or has rare values far out, would shift the vector by chance. Where that is so
    of most columns, the rest were chosen by chance too.
    """
    others = np.mean(rows != np.median(rows, axis=0), axis=0)
    far = rows - rows.mean(axis=0)
    variance = np.square(far).mean(axis=0)
    return np.asarray(
        (others >= _LEAST_OTHERS) & (np.square(np.square(far)).mean(axis=0) <= _MOST_KURTOSIS * variance**2)
    )


def compare_vector(vector: Vector, counts: TableCounts) -> Comparison | None:
    """Compare the mean of a window's vectors with that of the reference; None where too few have a value."""
    columns = [counts.columns[name] for name in vector.columns if name in counts.columns]
    n_finite = np.array([column.n_rows - column.n_missing - column.n_infinite for column in columns])
    if len(columns) < len(vector.columns) or n_finite.min() < FEWEST_ROWS:
        return None
    shifts = np.array([column.total for column in columns]) / PARTS / n_finite
    found = mean_shift(vector.spread, shifts, n_reference=vector.n_reference, n_rows=n_finite)
    return Comparison("mean", found.statistic, found.p_value, found.psi)
