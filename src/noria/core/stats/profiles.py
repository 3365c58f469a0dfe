"""A profile of a table: per column what a later window is compared with, without keeping the rows.

Missing values are counted. Infinite values are counted too and left out of moments and quantiles; in a comparison
they fall into the outer bins. Dates are numbers: seconds since 1970. Everything is JSON, and no field is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.core.errors import Invalid, near
from noria.core.stats.bins import bin_counts, quantile_edges, smoothed_shares
from noria.core.stats.samples import LARGEST, Floats, Ints, is_missing, is_number, labels, to_floats
from noria.core.stats.tests import chi_squared_counts, jensen_shannon_distance, psi

QUANTILE_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
MAX_DISTINCT = 1000


class CategoryCount(msgspec.Struct, frozen=True, kw_only=True):
    """A category and the rows that hold it."""

    label: str
    n: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one column held.

    Attributes
    ----------
    n_rows
        All rows, with missing and infinite ones.
    n_distinct, n_distinct_capped
        Distinct values; when capped there are more than `MAX_DISTINCT`.
    minimum, maximum, mean, std, quantiles
        Of the finite numbers; `std` divides by n; quantiles at `QUANTILE_LEVELS`. None or empty when there are none.
    edges, counts
        Bins of a numeric column as in `bins.quantile_edges`: one count more than edges, infinite values included.
    top, n_other
        Most frequent categories, and the rows in all others.
    """

    kind: Literal["numeric", "categorical"]
    n_rows: int
    n_missing: int
    n_infinite: int = 0
    n_distinct: int
    n_distinct_capped: bool = False
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[CategoryCount, ...] = ()
    n_other: int = 0


class TableProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Profiles of the columns of a table, in its order."""

    n_rows: int
    columns: dict[str, ColumnProfile]


class ColumnComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How a column of a window differs from its reference profile.

    Attributes
    ----------
    psi, jensen_shannon
        Distances over the profile's cells, missing values being one of them.
    p_value
        Of the chi-squared test over the same cells.
    n_rows, n_missing
        Of the window.
    n_outside
        Rows below the reference's smallest or above its largest value, or in a category that it did not have. The
        latter is 0 when the profile lists only a part of the reference's categories.
    """

    psi: float
    jensen_shannon: float
    p_value: float
    n_rows: int
    n_missing: int
    n_outside: int


def profile_table(columns: Mapping[str, ArrayLike], *, n_bins: int = 10, n_top: int = 50) -> TableProfile:
    """Profile a table.

    Parameters
    ----------
    columns
        Column name to values, each of shape (n_rows,). Numbers and dates are numeric; texts and booleans categorical.
    n_bins
        Inner bins of a numeric column, at least 1.
    n_top
        Categories listed, at least 1.

    Raises
    ------
    Invalid
        If there are no columns or rows, or lengths differ. The message names the column.

    Examples
    --------
    >>> profile = profile_table({"size": [1, 2, None], "kind": ["a", "b", "a"]})
    >>> profile.columns["size"].mean, profile.columns["size"].n_missing
    (1.5, 1)
    >>> [(c.label, c.n) for c in profile.columns["kind"].top]
    [('a', 2), ('b', 1)]
    """
    if n_top < 1:
        raise Invalid(f"`n_top` must be at least 1, not `{n_top}`")
    arrays, n_rows = _arrays(columns)
    profiled = {
        name: _numeric(array, name, n_bins) if _is_numeric(array) else _categorical(array, name, n_top)
        for name, array in arrays.items()
    }
    return TableProfile(n_rows=n_rows, columns=profiled)


def profile_array(array: ArrayLike, *, n_bins: int = 10) -> TableProfile:
    """Profile an array of numbers, shape (n_rows, ...), as the table of `array_columns`."""
    return profile_table(array_columns(array), n_bins=n_bins)


def array_columns(array: ArrayLike) -> dict[str, Floats]:
    """Give an array of numbers, shape (n_rows, ...), as columns `x0`, `x1`, ...: features in C order.

    Raises
    ------
    Invalid
        If it is empty or does not hold numbers.
    """
    values = to_floats(array, name="array")
    if values.size == 0 or values.ndim == 0:
        raise Invalid(f"`array` is empty or has no rows: shape `{values.shape}`")
    flat = values.reshape(len(values), -1)
    return {f"x{i}": flat[:, i] for i in range(flat.shape[1])}


def compare(profile: TableProfile, columns: Mapping[str, ArrayLike]) -> dict[str, ColumnComparison]:
    """Compare a window with a reference profile, column by column.

    Parameters
    ----------
    profile
        Of the reference.
    columns
        As for `profile_table`. Columns that the profile does not have are left out.

    Raises
    ------
    Invalid
        If there are no rows, a column of the profile is missing, or a numeric one does not hold numbers.
    """
    for name in profile.columns:
        if name not in columns:
            close = near(name, columns)
            raise Invalid(f"There is no column `{name}`", hint=f"Is it `{close}`?" if close else None)
    arrays, _ = _arrays({name: columns[name] for name in profile.columns})
    return {
        name: compare_counts(reference, cell_counts(reference, arrays[name], name=name))
        for name, reference in profile.columns.items()
    }


def cell_counts(reference: ColumnProfile, values: ArrayLike, *, name: str = "values") -> Ints:
    """Count values in the cells of a profile; counts of several windows add up to those of all their rows.

    Returns
    -------
    ndarray of int, shape (n_cells,)
        Bins, or the top categories and all others; the missing come last.
    """
    array = np.asarray(values)
    if reference.kind == "numeric":
        numeric = to_numbers(array, name)
        known = numeric[~np.isnan(numeric)]
        return np.append(bin_counts(known, np.array(reference.edges)), numeric.size - known.size)
    texts, n_missing = labels(array, name=name)
    position = {category.label: i for i, category in enumerate(reference.top)}
    cells = np.array([position.get(text, len(position)) for text in texts.tolist()], dtype=np.int64)
    return np.append(np.bincount(cells, minlength=len(position) + 1), n_missing)


def compare_counts(reference: ColumnProfile, counts: ArrayLike) -> ColumnComparison:
    """Compare the counts of a window, as `cell_counts` gives them, with the reference's own.

    Raises
    ------
    Invalid
        If the window has no rows or the number of cells differs.
    """
    window = np.asarray(counts, dtype=np.int64)
    expected = reference_cells(reference)
    if window.shape != expected.shape or window.sum() < 1:
        raise Invalid(f"`counts` must count rows in `{expected.size}` cells, not `{window.tolist()}`")
    held = (window + expected) > 0
    shares = smoothed_shares(expected[held]), smoothed_shares(window[held])
    return ColumnComparison(
        psi=psi(*shares),
        jensen_shannon=jensen_shannon_distance(*shares),
        p_value=chi_squared_counts(expected[held], window[held]).p_value,
        n_rows=int(window.sum()),
        n_missing=int(window[-1]),
        n_outside=int(window[:-1][expected[:-1] == 0].sum()),
    )


def reference_cells(reference: ColumnProfile) -> Ints:
    """Give the reference's own counts, in the order of `cell_counts`."""
    if reference.kind == "numeric":
        return np.array([*reference.counts, reference.n_missing])
    return np.array([*(category.n for category in reference.top), reference.n_other, reference.n_missing])


def _arrays(columns: Mapping[str, ArrayLike]) -> tuple[dict[str, NDArray[Any]], int]:
    if not columns:
        raise Invalid("The table has no columns")
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    n_rows = {name: _n_rows(array, name) for name, array in arrays.items()}
    first = next(iter(n_rows))
    for name, n in n_rows.items():
        if n != n_rows[first]:
            raise Invalid(f"Column `{name}` has `{n}` rows and column `{first}` has `{n_rows[first]}`")
    if n_rows[first] == 0:
        raise Invalid(f"The table has no rows: column `{first}` is empty")
    return arrays, n_rows[first]


def _n_rows(array: NDArray[Any], name: str) -> int:
    if array.ndim != 1:
        raise Invalid(
            f"Column `{name}` must have one dimension, not shape `{array.shape}`",
            hint="Profile an array of features with `profile_array`",
        )
    return len(array)


def _is_numeric(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "O":
        known = array[~is_missing(array)]
        return known.size > 0 and all(is_number(value) for value in known)
    return array.dtype.kind in "iufmM"


def to_numbers(array: NDArray[Any], name: str) -> Floats:
    """Give numbers as float64 and dates as seconds since 1970, missing as NaN."""
    if array.dtype.kind not in "mM":
        return to_floats(array, name=name)
    unit = "datetime64[us]" if array.dtype.kind == "M" else "timedelta64[us]"
    seconds = array.astype(unit).astype(np.int64) / 1e6
    return np.where(np.isnat(array), np.nan, seconds)


def _numeric(array: NDArray[Any], name: str, n_bins: int) -> ColumnProfile:
    values = to_numbers(array, name)
    known = values[~np.isnan(values)]
    finite = known[np.isfinite(known)]
    n_distinct = np.unique(known).size
    edges = quantile_edges(finite, n_bins) if finite.size else np.array([])
    profile = ColumnProfile(
        kind="numeric",
        n_rows=values.size,
        n_missing=values.size - known.size,
        n_infinite=known.size - finite.size,
        n_distinct=min(n_distinct, MAX_DISTINCT),
        n_distinct_capped=n_distinct > MAX_DISTINCT,
        edges=tuple(edges.tolist()),
        counts=tuple(bin_counts(known, edges).tolist()),
    )
    return _with_moments(profile, finite) if finite.size else profile


def _with_moments(profile: ColumnProfile, finite: Floats) -> ColumnProfile:
    minimum, maximum = float(finite.min()), float(finite.max())
    largest = max(abs(minimum), abs(maximum))
    scale = largest if largest > LARGEST else 1.0
    scaled = finite / scale
    quantiles = np.maximum.accumulate(np.clip(np.quantile(scaled, QUANTILE_LEVELS) * scale, minimum, maximum))
    return msgspec.structs.replace(
        profile,
        minimum=minimum,
        maximum=maximum,
        mean=min(max(float(scaled.mean() * scale), minimum), maximum),
        std=float(scaled.std() * scale),
        quantiles=tuple(quantiles.tolist()),
    )


def _categorical(array: NDArray[Any], name: str, n_top: int) -> ColumnProfile:
    texts, n_missing = labels(array, name=name)
    found, counts = np.unique(texts, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:n_top]
    top = tuple(CategoryCount(label=str(found[i]), n=int(counts[i])) for i in order)
    return ColumnProfile(
        kind="categorical",
        n_rows=len(array),
        n_missing=n_missing,
        n_distinct=min(found.size, MAX_DISTINCT),
        n_distinct_capped=found.size > MAX_DISTINCT,
        top=top,
        n_other=len(texts) - sum(category.n for category in top),
    )
