"""What rows tell that no single column does: repeated rows, likely keys, and which columns rise together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from noria.data.profiling.columns import numbers_with_gaps
from noria.data.profiling.entities import (
    MAX_CORRELATED,
    ColumnFigures,
    Correlation,
    Correlations,
)
from noria.data.profiling.sources import Table

MAX_PAIRS: Final = 100
MIN_CORRELATION: Final = 0.1
_PAIRS_TRIED: Final = 3
_TRIAL_ROWS: Final = 50_000


def likely_keys(table: Table, columns: Mapping[str, ColumnFigures]) -> tuple[tuple[str, ...], ...]:
    """Find columns whose values name each row once; pairs of columns when no single one does.

    Numbers with fractions are measured rather than given, so they are no keys even where all differ.

    Notes
    -----
    Of pairs the three with the most distinct values are tried, by 64-bit hashes of their values.
    """
    able = [name for name, found in columns.items() if _may_be_key(table, name, found)]
    single = [name for name in able if columns[name].n_unique == table.n_rows]
    if single or table.n_rows < 2:
        return tuple((name,) for name in sorted(single, key=_key_rank))
    counts = {name: columns[name].n_unique or 0 for name in able}
    pairs = [
        (first, second)
        for first, second in itertools.combinations(able, 2)
        if counts[first] * counts[second] >= table.n_rows and min(counts[first], counts[second]) > 1
    ]
    pairs.sort(key=lambda pair: (-counts[pair[0]] * counts[pair[1]], pair))
    return tuple(pair for pair in pairs[:_PAIRS_TRIED] if _is_unique(table, pair))


def count_duplicates(table: Table) -> int | None:
    """Count rows that repeat an earlier one, by 64-bit hashes of rows.

    Returns
    -------
    int or None
        None for a table with columns that cannot be hashed. Two different rows have the same hash with a chance of
        n²/2⁶⁵: three in ten million for a million rows.
    """
    try:
        hashes = _row_hashes(table, list(table.schema))
    except pl.exceptions.PolarsError:
        return None
    return table.n_rows - np.unique(hashes).size


def correlations(table: Table, columns: Mapping[str, ColumnFigures]) -> Correlations:
    """Give Pearson's coefficients of the numeric columns, each pair over the rows where both are finite.

    Columns are taken less their means over their deviations, so that no digits are lost, and sums of products are
    added up batch by batch: memory is that of a batch.
    """
    able = [name for name, found in columns.items() if found.kind == "numeric" and found.std]
    names = able[:MAX_CORRELATED]
    if len(names) < 2:
        return Correlations(n_columns=len(names), n_left_out=len(able) - len(names))
    # Threads of BLAS cost more than they give on products as flat as these.
    with threadpool_limits(limits=1, user_api="blas"):
        r, n = _pearson(table, names, columns)
    rows, others = np.triu_indices(len(names), k=1)
    strengths = np.abs(r[rows, others])
    order = np.argsort(-np.nan_to_num(strengths), kind="stable")[:MAX_PAIRS]
    pairs = tuple(
        Correlation(
            first=names[rows[i]],
            second=names[others[i]],
            r=float(r[rows[i], others[i]]),
            n_rows=int(n[rows[i], others[i]]),
        )
        for i in order
        if strengths[i] >= MIN_CORRELATION
    )
    return Correlations(n_columns=len(names), n_left_out=len(able) - len(names), pairs=pairs)


def _pearson(
    table: Table, names: Sequence[str], columns: Mapping[str, ColumnFigures]
) -> tuple[NDArray[Any], NDArray[Any]]:
    means = np.array([[columns[name].mean or 0.0] for name in names])
    spreads = np.array([[columns[name].std or 1.0] for name in names])
    has_gaps = any(columns[name].n_missing or columns[name].n_infinite for name in names)
    products = np.zeros((len(names), len(names)))
    sums, squares, both = products.copy(), products.copy(), products.copy()
    for batch in table.batches(names):
        numbers = _matrix(batch, names)
        numbers -= means
        numbers /= spreads
        if has_gaps:
            known = np.isfinite(numbers).astype(np.float64)
            numbers[known == 0] = 0.0
            sums += numbers @ known.T
            squares += (numbers**2) @ known.T
            both += known @ known.T
        products += numbers @ numbers.T
    if not has_gaps:
        both[:] = table.n_rows
        sums[:] = 0.0  # of columns less their means
        squares[:] = np.diag(products)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = both * squares - sums**2
        r = (both * products - sums * sums.T) / np.sqrt(spread * spread.T)
    return np.clip(r, -1.0, 1.0), both


def _matrix(batch: pl.DataFrame, names: Sequence[str]) -> NDArray[Any]:
    """Give columns as rows, shape (n_columns, n_rows): each is then one piece of memory."""
    numbers = np.empty((len(names), batch.height))
    for place, name in enumerate(names):
        column = numbers_with_gaps(batch[name])
        numbers[place] = np.nan if column is None else column
    return numbers


def _may_be_key(table: Table, name: str, found: ColumnFigures) -> bool:
    return not found.n_missing and not table.schema[name].is_float() and not table.schema[name].is_decimal()


def _key_rank(name: str) -> tuple[bool, str]:
    lowered = name.lower()
    return not (lowered in ("id", "key") or lowered.endswith(("id", "key"))), name


def _is_unique(table: Table, names: Sequence[str]) -> bool:
    first = next(iter(table.batches(names))).head(_TRIAL_ROWS)
    if first.hash_rows().n_unique() < first.height:
        return False
    return bool(np.unique(_row_hashes(table, names)).size == table.n_rows)


def _row_hashes(table: Table, names: Sequence[str]) -> NDArray[Any]:
    found = [batch.hash_rows().to_numpy() for batch in table.batches(names)]
    return np.concatenate(found) if found else np.array([], dtype=np.uint64)
