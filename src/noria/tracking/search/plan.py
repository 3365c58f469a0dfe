"""How a search goes about it: what reading, walking, testing and sorting runs costs, and what follows.

Runs that match are found in one of two ways. Either those of the most selective condition are read and sorted, or the
index of the order is walked and each run is checked, until there are enough. A check is a look into a set of runs
that was read before, or a test of the run's rows. With n runs that match out of N, a page of k takes a walk of about
k·N/n runs; so few matches are sorted, many are walked to, and in between the sets make the steps cheap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the steps of a search cost, in microseconds, and where it changes its way. Any values give the same runs.

    Attributes
    ----------
    read, walk, test
        To read a run of a range into a set, to go one run further in an index, to look up one row of a run.
    worth_planning
        Less than this is not worth reading sets for.
    max_set
        Runs of a set; one takes about 70 bytes while the search lasts.
    least_sorted
        Up to so many matches are always sorted.
    least_step, most_step
        How many runs are looked at in one go, at least 2. So many of one value are searched by the rest of the order.
    """

    read: float = 0.3
    walk: float = 0.3
    test: float = 5.0
    worth_planning: float = 4_000.0
    max_set: int = 500_000
    least_sorted: int = 100
    least_step: int = 64
    most_step: int = 50_000

    def few(self, need: int, n_runs: int) -> int:
        """Give the number of matches up to which sorting them is cheaper than walking to them.

        Sorting n costs about `test·n`, walking `walk·need·n_runs/n`.
        """
        return max(self.least_sorted, math.isqrt(int(need * n_runs * self.walk / self.test)))

    def sets_worth_reading(self, shares: Sequence[float], n_runs: int, walk: int) -> list[tuple[int, int]]:
        """Choose which conditions are better read into sets than tested.

        Parameters
        ----------
        shares
            Of the runs that fulfil each condition, as far as known.
        n_runs
            In the scope.
        walk
            Runs that are still to be walked.

        Returns
        -------
        list of (int, int)
            Position of a condition, and up to how many of its runs to read; the most selective first.
        """
        chosen, reaching = [], float(walk)
        for at in sorted(range(len(shares)), key=shares.__getitem__):
            bound = min(self.max_set, int(reaching * self.test / self.read))
            if shares[at] * n_runs <= bound:
                chosen.append((at, bound))
            reaching *= shares[at]
        return chosen

    def tests(self, shares: Sequence[float], walk: int) -> float:
        """Give what testing costs on a walk, the most selective condition first."""
        cost, reaching = 0.0, float(walk)
        for share in sorted(shares):
            cost += reaching * self.test
            reaching *= share
        return cost

    def sorting_pays(self, n_matches: int, need: int, n_walked: int, n_runs: int) -> bool:
        """Tell whether to sort what is known to match, rather than to walk on.

        Also when the walk has taken twice as long as sorting would: then what matches stands far back in the order.
        """
        sorting = n_matches * self.test
        walking = self.walk * min(n_runs, need * n_runs / max(1, n_matches))
        return sorting < walking or n_walked * self.walk > 2 * sorting + self.worth_planning

    def first_step(self, need: int, *, checked: bool) -> int:
        """Give how many runs to look at first: what is needed and some ties, or enough to learn how many fit."""
        least = self.least_step
        return max(least, min(need + need // 4, 4 * least)) if checked else max(least, need + least // 8)

    def next_step(self, need: int, share: float, last: int, *, tests: bool) -> int:
        """Give how many runs to look at next, when about this share of them fits.

        Parameters
        ----------
        last
            How many were looked at last.
        tests
            Whether each costs a test; then a wrong share would cost much.
        """
        wanted = math.ceil(1.2 * need / max(share, 1e-6)) + self.least_step // 4
        return max(self.least_step, min(wanted, last * 8 if tests else self.most_step, self.most_step))


def expected_walk(need: int, share: float, left: int) -> int:
    """Give how many runs are walked until `need` are found, when a share of them fits and so many are left."""
    return min(left, math.ceil(need / share)) if share > 0 else left


USUAL = Costs()
"""Measured by `benchmarks/tracking/bench_search.py` on both databases, whose pages were in memory."""
