"""Columns of vectors, such as the embeddings of texts and images, as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.divergence import domain_classifier
from noria.core.stats.energy import energy_test
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.core.stats.samples import Floats
from noria.monitoring.reports.entities import NotCompared, VectorReport

if TYPE_CHECKING:
    import polars as pl

    from noria.data.profiling.sources import Table

MOST_ROWS: Final = 1_000
MOST_DIMENSIONS: Final = 4_096
FEWEST_ROWS: Final = 20
_SEED: Final = 7  # any: the same tables give the same report


def is_vector(kind: pl.DataType) -> bool:
    """Tell whether a column holds lists of numbers."""
    inner = getattr(kind, "inner", None)
    return inner is not None and bool(inner.is_numeric())


def compare_vector_columns(
    reference: Table, current: Table, names: list[str], *, level: float
) -> tuple[list[VectorReport], list[NotCompared]]:
    """Compare columns of vectors of two tables, on a sample of at most 1,000 rows of each.

    Parameters
    ----------
    names
        Columns that are lists of numbers in both.
    level
        Expected share of false discoveries among those that are said to differ.

    Notes
    -----
    Tables are read some rows at a time, so that memory does not grow with them.
    """
    rng = np.random.default_rng(_SEED)
    found: list[VectorReport] = []
    refused: list[NotCompared] = []
    for name in names:
        try:
            sides = [_matrix(_sample(table, name, rng)) for table in (reference, current)]
            found.append(compare_vectors(name, *sides, rng=rng))
        except Invalid as error:
            refused.append(NotCompared(name=name, why=error.message))
    return judge_vectors(found, level), refused


def compare_vectors(
    name: str, reference: Floats, current: Floats, *, rng: np.random.Generator
) -> VectorReport:
    """Compare two samples of vectors by a domain classifier and by their energy distance.

    Parameters
    ----------
    reference, current : ndarray, shape (n_rows, n_dimensions) and (m_rows, n_dimensions)
        A row with NaN is missing. At most 1,000 rows of each are used.
    rng
        Source of samples, folds and permutations.

    Returns
    -------
    VectorReport
        Its p-value is the smaller one of both tests, doubled (Bonferroni).

    Raises
    ------
    Invalid
        If fewer than 20 rows are complete, lengths of vectors differ, or there is an infinity.
    """
    if reference.shape[1] != current.shape[1]:
        raise Invalid(f"vectors of {reference.shape[1]} and of {current.shape[1]} numbers")
    if reference.shape[1] > MOST_DIMENSIONS:
        raise Invalid(f"vectors of {reference.shape[1]} numbers; {MOST_DIMENSIONS} are taken at most")
    chosen = [side[np.sort(rng.permutation(len(side))[:MOST_ROWS])] for side in (reference, current)]
    complete = [side[~np.isnan(side).any(axis=1)] for side in chosen]
    if min(map(len, complete)) < FEWEST_ROWS:
        counts = " and ".join(str(len(side)) for side in complete)
        raise Invalid(f"{counts} rows with a whole vector; {FEWEST_ROWS} are needed on each side")
    told = domain_classifier(complete[0], complete[1], rng=rng, model="linear")
    energy = energy_test(complete[0], complete[1], rng=rng)
    return VectorReport(
        name=name,
        n_dimensions=reference.shape[1],
        n_reference=len(complete[0]),
        n_current=len(complete[1]),
        missing_reference=1 - len(complete[0]) / len(chosen[0]),
        missing_current=1 - len(complete[1]) / len(chosen[1]),
        auc=told.auc.estimate,
        lower=told.auc.lower,
        upper=told.auc.upper,
        auc_p_value=told.p_value,
        energy=energy.distance,
        energy_p_value=energy.p_value,
        p_value=min(1.0, 2 * min(told.p_value, energy.p_value)),
    )


def judge_vectors(found: list[VectorReport], level: float) -> list[VectorReport]:
    """Say which differ, with the false discoveries among them under control; those that differ most come first."""
    adjusted = benjamini_hochberg([each.p_value for each in found]).tolist() if found else []
    judged = [
        msgspec.structs.replace(each, adjusted_p_value=p_value, differs=p_value <= level)
        for each, p_value in zip(found, adjusted, strict=True)
    ]
    return sorted(judged, key=lambda each: (each.p_value, -each.auc))


def _sample(table: Table, name: str, rng: np.random.Generator) -> list[Any]:
    """Take rows at random; the table is read some rows at a time."""
    wanted = np.sort(rng.permutation(table.n_rows)[:MOST_ROWS])
    rows: list[Any] = []
    start = 0
    for batch in table.batches([name]):
        here = wanted[(wanted >= start) & (wanted < start + batch.height)] - start
        rows += batch[name].gather(here).to_list()
        start += batch.height
    return rows


def _matrix(rows: list[Any]) -> NDArray[np.float64]:
    """Give vectors as rows of a matrix; a missing one is a row of NaN."""
    lengths = {len(row) for row in rows if row is not None}
    if not lengths:
        raise Invalid("all vectors are missing")
    if len(lengths) > 1:
        raise Invalid(f"vectors of different lengths, {min(lengths)} to {max(lengths)} numbers")
    (length,) = lengths
    if not length:
        raise Invalid("vectors without a number")
    gap = [np.nan] * length
    return np.array([gap if row is None else row for row in rows], dtype=np.float64)
