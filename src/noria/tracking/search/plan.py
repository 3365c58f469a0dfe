"""How a search goes about it: what reading, walking, testing and sorting runs costs, and what follows.

Runs that match are found in one of two ways. Either those of the most selective condition are read and sorted, or the
index of the order is walked and each run is checked, until there are enough. A check is a look into a set of runs
that was read before, or a test of the run's rows. With n runs that match out of N, a page of k takes a walk of about
k·N/n runs; so few matches are sorted, many are walked to, and in between the sets make the steps cheap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the steps of a search cost, in microseconds, and where it changes its way. Any values give the same runs.

    Attributes
    ----------
    read, walk, test, sort
        To read a run of a range into a set, to go one run further in an index, to look up one row of a run, and to
        sort one of many by such a row: those are read as they stand in the table, which takes less than here and there.
    again
        To look up another row of the same run, which mostly stands beside the first.
    merge
        What a step in an index costs more for each experiment whose part of it is merged.
    pass_over
        To leave out a run of a range, whose text has not the form of a pattern.
    worth_planning
        Less than this is not worth reading sets for.
    max_set
        Runs of a set; one takes about 70 bytes while the search lasts.
    least_sorted
        Up to so many matches are always sorted.
    least_step, most_step
        How many runs are looked at in one go, at least 2. So many of one value are searched by the rest of the order.
    most_merged
        Of how many experiments one query merges the indexes; its text grows with them.
    least_foremost
        Fewer runs are sorted by reading all their values, more by the database.
    guessed
        Which part of a way is gone at first of which nothing was seen yet.
    least_scanned
        Fewer runs of a range are passed over more quickly than an index of pieces of texts is asked.
    """

    read: float = 0.37
    walk: float = 0.3
    test: float = 3.3
    again: float = 3.3
    sort: float = 3.3
    merge: float = 0.015
    pass_over: float = 0.2
    worth_planning: float = 4_000.0
    max_set: int = 500_000
    least_sorted: int = 100
    least_step: int = 64
    most_step: int = 50_000
    most_merged: int = 64
    least_foremost: int = 400
    guessed: float = 0.25
    least_scanned: int = 10_000

    def among(self, n_experiments: int) -> Costs:
        """Give the costs in so many experiments."""
        n_merged = min(n_experiments, self.most_merged) - 1
        return self if n_merged < 1 else replace(self, walk=self.walk + self.merge * n_merged)

    def few(self, need: int, n_runs: int) -> int:
        """Give the number of matches up to which sorting them is cheaper than walking to them.

        Sorting n costs about `sort·n`, walking `walk·need·n_runs/n`.
        """
        return max(self.least_sorted, math.isqrt(int(need * n_runs * self.walk / self.sort)))

    def tests(self, shares: Sequence[float], reaching: float) -> float:
        """Give what it costs to test so many runs, for the most selective condition first."""
        cost, each = 0.0, self.test
        for share in sorted(shares):
            cost += reaching * each
            reaching, each = reaching * share, self.again
        return cost

    def set_to_read(self, shares: Sequence[float], sizes: Sequence[float], reaching: float) -> int | None:
        """Choose the condition that is better read into a set than tested, if there is one.

        Parameters
        ----------
        shares
            Of the runs that fulfil each condition, as far as known.
        sizes
            Runs that are to be read for each.
        reaching
            Runs that will be tested.

        Returns
        -------
        int or None
            Its position.
        """
        best, least = None, 0.8 * self.tests(shares, reaching)  # shares are guesses
        for at, (share, size) in enumerate(zip(shares, sizes, strict=True)):
            others = [one for other, one in enumerate(shares) if other != at]
            cost = size * self.read + self.tests(others, reaching * share)
            if cost < least:
                best, least = at, cost
        return best

    def most_read(self, shares: Sequence[float], reaching: float) -> int:
        """Give how many runs may be read into a set until this costs clearly more than the tests would."""
        return min(self.max_set, int(1.2 * self.tests(shares, reaching) / self.read))

    def sorting_pays(self, n_members: int, walk: int, n_walked: int) -> bool:
        """Tell whether to sort the runs of a set, rather than to walk on.

        Also when the walk has taken twice as long as sorting would: then what matches stands far back in the order.

        Parameters
        ----------
        n_members
            Runs of the set.
        walk, n_walked
            Runs that are probably still to be walked, and that were walked.
        """
        sorting = n_members * self.sort
        return sorting < walk * self.walk or n_walked * self.walk > 2 * sorting + self.worth_planning

    def first_step(self, need: int, *, checked: bool) -> int:
        """Give how many runs to look at first: what is needed and some ties, or enough to learn how many fit."""
        least = self.least_step
        return max(least, min(need + need // 4, 4 * least)) if checked else max(least, need + least // 8)

    def next_step(self, walk: int, last: int, *, tests: bool, sure: bool = True) -> int:
        """Give how many runs to look at next.

        Parameters
        ----------
        walk
            Runs that are probably still to be walked.
        last
            How many were looked at last.
        tests
            Whether each costs a test; then a wrong guess would cost much.
        sure
            Whether `walk` follows from what was seen. Where conditions and order have to do with each other, it may be
            far from what the sizes of the conditions say, and a part of the way tells.
        """
        wanted = math.ceil((1.2 if sure else self.guessed) * walk) + self.least_step // 4
        return max(self.least_step, min(wanted, last * 8 if tests else self.most_step, self.most_step))


SQLITE = Costs()
POSTGRES = Costs(read=0.7, walk=0.8, test=16.0, again=3.0, sort=8.0, merge=0.01, pass_over=0.3, guessed=1.2)
"""Both measured by `benchmarks/tracking/bench_search.py` on databases whose pages were in memory.

PostgreSQL looks up for each row of an index whether it is visible to all. A part of a way often ends within the runs
of one value, which are then searched on their own: there that costs more than the rest of the way.
"""
