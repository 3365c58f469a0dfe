"""Models without a target: what they answer, and how far rows lie from what they were made of. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.core.stats.novelty import novelty
from noria.core.stats.samples import Floats, is_missing
from noria.core.stats.tests import chi_squared, ks_two_sample
from noria.monitoring.tasks.entities import ClusterShare, Distances, ShareWindow, UnsupervisedReport

LEVEL: Final = 0.01
FEWEST_ROWS: Final = 20
MOST_WINDOWS: Final = 30
WINDOW_ROWS: Final = 200
MOST_CLUSTERS: Final = 50
DISTANCE_ROWS: Final = 2_000
MOST_COLUMNS: Final = 1_000
_NEIGHBOURS: Final = 3
_SEED: Final = 7  # any: the same rows give the same report


def unsupervised_report(
    reference: Mapping[str, NDArray[Any]] | None,
    reference_answers: NDArray[Any] | None,
    current: Mapping[str, NDArray[Any]],
    answers: Sequence[Any],
    times: Sequence[datetime],
) -> tuple[UnsupervisedReport, list[str]]:
    """Compare what a model without a target answered with what it answered to the rows it was registered with.

    Parameters
    ----------
    reference, current
        Columns by name, each of shape (n_rows,).
    reference_answers : ndarray, shape (k_rows,)
        Clusters (whole numbers, texts) or scores (other numbers).
    answers, times
        What was answered to the current rows, and when.

    Returns
    -------
    The report, and what could not be looked at.

    Notes
    -----
    Shares of clusters are tested by chi-squared, scores by Kolmogorov-Smirnov, in at most thirty windows of at least
    200 rows in the order of time; the p-values are adjusted over the windows (Benjamini and Hochberg 1995). Distances
    are those of `noria.core.stats.novelty`, on at most 2,000 rows of each side.
    """
    report, lacks = UnsupervisedReport(n_rows=len(answers)), []
    known, order = _known(answers, times)
    fields: dict[str, Any] = {}
    if reference_answers is None or len(reference_answers) < FEWEST_ROWS:
        lacks.append("The version has no golden batch with one answer a row: its answers are not compared")
    elif len(known) < FEWEST_ROWS:
        lacks.append(f"{len(known)} rows have an answer; {FEWEST_ROWS} are needed to compare them")
    else:
        fields = _answers(reference_answers, known, order)
    try:
        fields["distances"] = _distances(reference, current)
    except Invalid as error:
        lacks.append(f"Distances to the reference: {error.message}")
    return UnsupervisedReport(n_rows=report.n_rows, **fields), lacks


def _known(answers: Sequence[Any], times: Sequence[datetime]) -> tuple[list[Any], list[datetime]]:
    pairs = [
        (answer, at)
        for answer, at in zip(answers, times, strict=True)
        if isinstance(answer, (int, float, str)) and answer == answer  # noqa: PLR0124 - NaN
    ]
    pairs.sort(key=lambda pair: pair[1])
    return [answer for answer, _ in pairs], [at for _, at in pairs]


def _answers(reference: NDArray[Any], answers: list[Any], times: list[datetime]) -> dict[str, Any]:
    held = reference[~is_missing(reference)]
    is_cluster = held.dtype.kind != "f" or bool(np.all(held == np.round(held)))
    is_cluster = is_cluster and len(np.unique(held)) <= MOST_CLUSTERS
    is_number = held.dtype.kind in "biuf" and all(isinstance(answer, (int, float)) for answer in answers)
    if not is_cluster and not is_number:
        is_cluster = True
    before = held if is_cluster else held.astype(np.float64)
    now = np.array(answers) if is_cluster else np.array(answers, dtype=np.float64)
    n_windows = int(np.clip(len(now) // WINDOW_ROWS, 1, MOST_WINDOWS))
    cuts = np.array_split(np.arange(len(now)), n_windows)
    p_values = [
        chi_squared(before, now[cut]).p_value
        if is_cluster
        else float(np.nan_to_num(ks_two_sample(before, now[cut]).p_value, nan=1.0).reshape(-1)[0])
        for cut in cuts
    ]
    adjusted = benjamini_hochberg(p_values).tolist()
    windows = [
        ShareWindow(
            start=times[int(cut[0])],
            end=times[int(cut[-1])],
            n_rows=len(cut),
            p_value=p_value,
            adjusted_p_value=level,
            differs=level <= LEVEL,
        )
        for cut, p_value, level in zip(cuts, p_values, adjusted, strict=True)
    ]
    return {
        "answers": "clusters" if is_cluster else "scores",
        "shares": _shares(before, now, is_cluster=is_cluster),
        "windows": windows,
    }


def _shares(before: NDArray[Any], now: NDArray[Any], *, is_cluster: bool) -> list[ClusterShare]:
    """Give shares by cluster, or by tenths of the reference's scores."""
    if is_cluster:
        sides = [_texts(side) for side in (before, now)]
        labels = sorted(set(sides[0]) | set(sides[1]), key=lambda label: (len(label), label))[:MOST_CLUSTERS]
        return [
            ClusterShare(
                label=label,
                reference=sides[0].count(label) / len(sides[0]),
                current=sides[1].count(label) / len(sides[1]),
            )
            for label in labels
        ]
    edges = np.unique(np.quantile(before, np.arange(1, 10) / 10))
    counts = [
        np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1) / len(side)
        for side in (before, now)
    ]
    inner = [f"{a:.4g} to {b:.4g}" for a, b in itertools.pairwise(edges)]
    labels = [f"≤ {edges[0]:.4g}", *inner, f"> {edges[-1]:.4g}"]
    return [
        ClusterShare(label=label, reference=float(first), current=float(second))
        for label, first, second in zip(labels, *counts, strict=True)
    ]


def _texts(side: NDArray[Any]) -> list[str]:
    return [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in side.tolist()]


def _distances(
    reference: Mapping[str, NDArray[Any]] | None, current: Mapping[str, NDArray[Any]]
) -> Distances:
    if reference is None:
        raise Invalid("the version was registered without a sample of its training rows")
    names = [name for name, column in reference.items() if name in current and column.dtype.kind in "biuf"]
    if not names:
        raise Invalid("the reference and the rows have no numeric column in common")
    if len(names) > MOST_COLUMNS:
        raise Invalid(f"there are {len(names)} numeric columns; {MOST_COLUMNS} are looked at at most")
    rng = np.random.default_rng(_SEED)
    sides = [_sample(side, names, rng) for side in (reference, current)]
    known = sides[0][~np.isnan(sides[0]).any(axis=1)]
    if len(known) < 2 * FEWEST_ROWS or len(sides[1]) < FEWEST_ROWS:
        raise Invalid(
            f"{len(known)} complete reference rows and {len(sides[1])} rows are too few: "
            f"{2 * FEWEST_ROWS} and {FEWEST_ROWS} are needed"
        )
    half = len(known) // 2
    kept, back = known[:half], known[half:]
    found = novelty(kept, back, sides[1], n_neighbours=_NEIGHBOURS)
    usual = novelty(kept, back, back, n_neighbours=_NEIGHBOURS).scores
    return Distances(
        n_rows=int(found.scores.size),
        median_reference=float(np.median(usual)),
        median_current=float(np.median(found.scores)),
        high_reference=float(np.quantile(usual, 0.95)),
        high_current=float(np.quantile(found.scores, 0.95)),
        far_share=found.n_far / found.scores.size,
        p_value=found.p_value,
    )


def _sample(side: Mapping[str, NDArray[Any]], names: list[str], rng: np.random.Generator) -> Floats:
    n = len(side[names[0]])
    rows = rng.permutation(n)[:DISTANCE_ROWS]
    return np.column_stack([side[name][rows].astype(np.float64) for name in names])
