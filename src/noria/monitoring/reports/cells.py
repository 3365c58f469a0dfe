"""What numeric and categorical columns share: distances over cells, and missing values as something to test."""

from __future__ import annotations

from typing import Literal

import numpy as np

from noria.core.stats.bins import smoothed_shares
from noria.core.stats.samples import Ints
from noria.core.stats.tests import chi_squared_counts, jensen_shannon_distance, psi

Test = tuple[Literal["ks", "chi_squared", "missing"], float, float]
"""A test's name, its statistic and its p-value."""


def cell_distances(reference: Ints, current: Ints) -> tuple[float, float]:
    """Give PSI and Jensen-Shannon distance of counts in the same cells; cells that are empty in both are left out."""
    held = (reference + current) > 0
    shares = smoothed_shares(reference[held]), smoothed_shares(current[held])
    return psi(*shares), jensen_shannon_distance(*shares)


def known_and_missing(values: Test, n_known: tuple[int, int], n_missing: tuple[int, int]) -> Test:
    """Take the shares of missing values in as well, where there are any: a column that went missing has drifted.

    Of the two tests the one with the smaller p-value counts, doubled for having looked at both (Bonferroni).
    """
    if not any(n_missing):
        return values
    table = np.array([n_known, n_missing])
    found = chi_squared_counts(table[:, 0], table[:, 1])
    missing: Test = ("missing", found.statistic, found.p_value)
    name, statistic, p_value = min(values, missing, key=lambda test: test[2])
    return name, statistic, min(1.0, 2 * p_value)
