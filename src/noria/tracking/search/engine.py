"""Find the first runs of a search in its order, and those that follow a place in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from noria.tracking.search.attributes import lifecycle_condition
from noria.tracking.search.conditions import (
    Condition,
    Place,
    listed_condition,
    members_of,
    present_condition,
)
from noria.tracking.search.evaluate import MISSING, NOT_A_NUMBER, NUMBER, Fact
from noria.tracking.search.plan import Costs
from noria.tracking.search.scope import Scope
from noria.tracking.search.sieve import Sieve
from noria.tracking.search.statement import Reader, Sql
from noria.tracking.search.terms import MetricTerm, Term
from noria.tracking.search.walk import Walk

After = tuple[tuple[int, Fact], ...]
"""A place in an order: for each of its terms the rank (number, NaN, missing) and the value."""

_ROWS_PAY = 0.2
"""From this share of runs that pass on, their values are read with them."""
_FOREMOST = 4
"""One in so many runs is read in their order at least, since many may be of one value."""

Conditions = tuple[Condition, ...]
Terms = tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One search on one connection.

    Attributes
    ----------
    values
        What was read already: term → run → value.
    """

    reader: Reader
    scope: Scope
    costs: Costs
    values: dict[Term, dict[int, Fact]] = field(default_factory=dict)

    def take(self, conditions: Conditions, terms: Terms, after: After | None, need: int) -> list[int]:
        """Give the integer keys of the first runs.

        Parameters
        ----------
        conditions
            All of them hold for each run.
        terms
            What orders the runs; the last one tells any two apart.
        after
            Where the page before ended.
        need
            How many runs at most.
        """
        if need <= 0 or any(one.size == 0 for one in conditions):
            return []
        smallest = self._smallest(conditions, terms[0].place if terms[0].is_walked else None, need)
        if smallest is not None:
            return self._sorted(smallest, conditions, terms, after, need)
        if not terms[0].is_walked:
            return self._sorted(self._cheapest(conditions), conditions, terms, after, need)
        return self._walked(conditions, terms, after, need)

    def count(self, conditions: Conditions, terms: Terms, most: int) -> int:
        """Count the runs that fulfil all conditions, as far as `most`.

        Runs of one range of an index are counted without being found.

        Parameters
        ----------
        terms
            An order whose first term is walked, for finding runs by several conditions.
        """
        if not conditions:
            return min(self.scope.n_runs, most)
        one = conditions[0]
        whole = one.can_be_read and one.keys is None and one.members is None and one.exact and not one.scans
        tells = not self.scope.is_mixed or (one.place is not None and one.place.of_runs)
        if len(conditions) == 1 and whole and tells:
            return self._count(one, most - 1)
        return len(self.take(conditions, terms, None, most))

    def place_of(self, key: int, terms: Terms) -> After:
        """Give the place of a run in the order."""
        return tuple([_ranked(self.read(term, [key])[key]) for term in terms])

    def read(self, term: Term, keys: Sequence[int]) -> dict[int, Fact]:
        """Give the values of a term, of these runs at least; None for those without."""
        known = self.values.setdefault(term, {})
        new = sorted({key for key in keys if key not in known})
        if new:
            found = term.read(self.reader, new)
            known.update({key: found.get(key) for key in new})
        return known

    def ordered(self, keys: Sequence[int], terms: Terms, after: After | None = None) -> list[int]:
        """Sort runs, and leave out those up to a place."""
        if not terms:
            return [] if after is not None else list(keys)
        if after is None and len(keys) < 2:
            return list(keys)
        groups = self._groups(keys, terms[0])
        tied = [key for group in groups if len(group) > 1 for key in group]
        if tied and len(terms) > 1:
            self.read(terms[1], tied)
        found: list[int] = []
        for group in groups:
            place = _compare(terms[0], self.values[terms[0]][group[0]], after[0]) if after else 1
            if place > 0:
                found += group if len(group) == 1 else self.ordered(group, terms[1:])
            elif place == 0 and after is not None:
                found += self.ordered(group, terms[1:], after[1:])
        return found

    def _groups(self, keys: Sequence[int], term: Term) -> list[list[int]]:
        """Give runs of the same value together, in the order of the term."""
        values = self.read(term, keys)
        kinds: dict[int, list[int]] = {NUMBER: [], NOT_A_NUMBER: [], MISSING: []}
        for key in keys:
            kinds[_rank(values[key])].append(key)
        groups: list[list[int]] = []
        last: Fact = None
        for key in sorted(kinds[NUMBER], key=values.__getitem__, reverse=not term.ascending):  # type: ignore[arg-type]
            value = values[key]
            if groups and value == last:
                groups[-1].append(key)
            else:
                groups.append([key])
            last = value
        return groups + [kinds[rank] for rank in (NOT_A_NUMBER, MISSING) if kinds[rank]]

    def _smallest(self, conditions: Conditions, walked: Place | None, need: int) -> Condition | None:
        """Find a condition that so few runs fulfil that they are best read and sorted.

        Those on the index in the order of the search stand sorted already.
        """
        bound = self.costs.few(need, self.scope.n_runs)
        best: Condition | None = None
        for one in conditions:
            if not one.can_be_read or (walked is not None and one.place == walked):
                continue
            size = one.size if one.size is not None else self._count(one, bound)
            if size <= bound:
                best, bound = one, size
            if size == 0:
                break
        return best

    def _count(self, condition: Condition, bound: int) -> int:
        """Count the runs of a condition, at most one more than `bound`, with those that stand among them."""
        query = members_of(condition, self.reader, self.scope, roughly=True)
        limited = Sql("select count(*) from (select 1 as one from (").then(
            query, Sql(") as r limit ?) as s", (bound + 1,))
        )
        return self.reader.number(limited)

    def _cheapest(self, conditions: Conditions) -> Condition:
        """Find the condition with the fewest runs, whatever counting takes."""
        readable = [one for one in conditions if one.can_be_read]
        everything = self.scope.n_all
        sizes = [one.size if one.size is not None else self._count(one, everything) for one in readable]
        best = min(range(len(readable)), key=sizes.__getitem__, default=None)
        return lifecycle_condition(self.scope) if best is None else readable[best]

    def _sorted(
        self, source: Condition, conditions: Sequence[Condition], terms: Terms, after: After | None, need: int
    ) -> list[int]:
        """Read the runs of one condition, sort them, and check the others in this order."""
        keys = source.keys
        if keys is None:
            keys = frozenset(self.reader.keys(members_of(source, self.reader, self.scope)))
        rest = [one for one in conditions if one is not source or not one.exact]
        sieve = Sieve(self.reader, self.scope, self.costs, self._beyond(rest, of_runs=_is_of_runs(source)))
        passed = self._passing_few(sieve, sorted(keys), need)
        if passed is not None:
            return self.ordered(passed, terms, after)[:need]
        foremost = self._foremost(sieve, keys, terms, after, need)
        if foremost is not None:
            found = self._first_passing(foremost, sieve, terms, after, need)
            if len(found) >= need:
                return found[:need]
        groups = self._groups(sorted(keys), terms[0])
        if after is not None:
            groups = [group for group in groups if self._compared(terms[0], group[0], after[0]) >= 0]
        return self._first_passing(groups, sieve, terms, after, need)[:need]

    def _first_passing(
        self, groups: list[list[int]], sieve: Sieve, terms: Terms, after: After | None, need: int
    ) -> list[int]:
        """Check runs that stand in the order of the first term, until there are enough."""
        found: list[int] = []
        at, step = 0, max(self.costs.least_step, need)
        while at < len(groups) and len(found) < need:
            some: list[int] = []
            while at < len(groups) and len(some) < step:
                some += groups[at]
                at += 1
            found += self.ordered(sieve.passing(some) if sieve else some, terms, after)
            step = self.costs.next_step(sieve.walk(need - len(found)), step, tests=True)
        return found

    def _foremost(
        self, sieve: Sieve, keys: Collection[int], terms: Terms, after: After | None, need: int
    ) -> list[list[int]] | None:
        """Have the database sort many runs, and give the first of them, those of one value together.

        None where reading all values takes no longer. The runs of the last value are left out: others may have it too.
        """
        limit = max(2 * sieve.walk(need), len(keys) // _FOREMOST)
        few = len(keys) < self.costs.least_foremost or 2 * limit > len(keys)
        if few or (after and after[0][0] != NUMBER):
            return None
        term = terms[0]
        begin = term.group(after[0][1]) if after else None
        rows = term.foremost(self.reader, sorted(keys), begin, limit)
        if rows is None or len(rows) < limit:
            return None
        certain = [(key, value) for key, value in rows if value != rows[-1][1]]
        self.values.setdefault(term, {}).update({key: value for key, value in certain if term.whole(value)})
        return [[key for key, _ in some] for _, some in groupby(certain, key=itemgetter(1))]

    def _passing_few(self, sieve: Sieve, keys: list[int], need: int) -> list[int] | None:
        """Give all that pass, if they are probably so few that all are needed: then they alone have to be sorted."""
        step = self.costs.least_step
        if not sieve or len(keys) <= step:
            return None
        passed = sieve.passing(keys[:step])
        sieve.prepare(need, len(keys) - step)
        if sieve.share * len(keys) > need:
            return None
        return passed + sieve.passing(keys[step:])

    def _walked(self, conditions: Conditions, terms: Terms, after: After | None, need: int) -> list[int]:
        """Walk to numbers or texts, then to NaN, then to runs without a value."""
        term, rank = terms[0], after[0][0] if after else NUMBER
        found: list[int] = []
        if rank == NUMBER:
            found, sieve = self._numbers(conditions, terms, after, need)
            if sieve is not None and sieve.members is not None:
                left = [one for one in conditions if not any(one is told for told in sieve.told)]
                return self._sorted(listed_condition(sieve.members), left, terms, after, need)
        if isinstance(term, MetricTerm) and rank <= NOT_A_NUMBER and len(found) < need:
            rest = after[1:] if after and rank == NOT_A_NUMBER else None
            found += self.take((*conditions, term.nan()), terms[1:], rest, need - len(found))
        missing = term.missing() if len(found) < need else None
        if missing is not None and self._may_lack(term, conditions):
            rest = after[1:] if after and rank == MISSING else None
            found += self.take((*conditions, missing), terms[1:], rest, need - len(found))
        return found

    def _may_lack(self, term: Term, conditions: Conditions) -> bool:
        """Tell whether there can be runs without a value."""
        place = term.place
        if place is None or place.of_runs:
            return True
        if any(one.requires == (place.table, place.key) for one in conditions):
            return False
        return self._count(present_condition(place), self.scope.n_all) < self.scope.n_all

    def _numbers(
        self, conditions: Conditions, terms: Terms, after: After | None, need: int
    ) -> tuple[list[int], Sieve | None]:
        """Give the first runs with a number or a text; or what is known of the matches, if they are better sorted."""
        term, place = terms[0], terms[0].place
        if place is None:
            raise TypeError("An order without an index cannot be walked")
        near = [one for one in conditions if one.place == place or (place.of_runs and one.row is not None)]
        walk = Walk(
            self.reader,
            self.scope,
            place,
            ascending=term.ascending,
            most_merged=self.costs.most_merged,
            conditions=near,
        )
        if after is not None:
            walk.begin_at(term.group(after[0][1]))
        left = [one for one in conditions if not _tells(place, one)]
        sieve = Sieve(self.reader, self.scope, self.costs, self._beyond(left, of_runs=place.of_runs))
        found: list[int] = []
        step, n_walked = self.costs.first_step(need, checked=bool(sieve)), 0
        while not walk.at_end() and len(found) < need:
            keys = self._step(walk, term, step, values=not sieve or sieve.share > _ROWS_PAY)
            n_walked += len(keys)
            passed = sieve.passing(keys) if sieve else keys
            found += self._settled(walk, keys, passed, conditions, terms, after, need - len(found))
            if walk.at_end() or len(found) >= need:
                break
            missing = need - len(found)
            if sieve:
                sieve.prepare(missing)
            walk_on = sieve.walk(missing) if sieve else missing
            if sieve.members is not None and self.costs.sorting_pays(len(sieve.members), walk_on, n_walked):
                return [], sieve
            step = self.costs.next_step(walk_on, step, tests=sieve.tests, sure=sieve.is_sure)
        return found[:need], None

    def _step(self, walk: Walk, term: Term, limit: int, *, values: bool) -> list[int]:
        """Go on by some runs, and keep their values if nearly all will be asked for."""
        if not values:
            return walk.next(limit)
        rows = walk.next_rows(limit)
        known = self.values.setdefault(term, {})
        known.update({key: value for key, value in rows if term.whole(value)})
        return [key for key, _ in rows]

    def _settled(
        self,
        walk: Walk,
        keys: list[int],
        passed: list[int],
        conditions: Conditions,
        terms: Terms,
        after: After | None,
        need: int,
    ) -> list[int]:
        """Give what of a step is certain in its order, and set the walk to where the rest begins.

        The last value of a step may have more runs than stand in it: the next step begins with it. A step of one value
        only is a search of its own, among the runs of this value, by the rest of the order.
        """
        if not keys:
            return []
        if walk.at_end():
            return self.ordered(passed, terms, after)
        term = terms[0]
        values = self.read(term, [*passed, keys[0], keys[-1]])
        last = term.group(values[keys[-1]])
        if term.group(values[keys[0]]) != last:
            walk.begin_at(last)
            return self.ordered([key for key in passed if term.group(values[key]) != last], terms, after)
        walk.begin_after(last)
        same, rest = term.same(last, is_sqlite=self.reader.is_sqlite)
        within = None
        if after is not None and after[0][0] == NUMBER and term.group(after[0][1]) == last:
            within = after if rest else after[1:]
        return self.take((*conditions, same), (*rest, *terms[1:]), within, need)

    def _beyond(self, conditions: Sequence[Condition], *, of_runs: bool) -> list[Condition]:
        """Give the conditions that are left to check, with the lifecycle where the index does not tell it."""
        if of_runs or not self.scope.is_mixed:
            return list(conditions)
        return [*conditions, lifecycle_condition(self.scope)]

    def _compared(self, term: Term, key: int, place: tuple[int, Fact]) -> int:
        return _compare(term, self.values[term][key], place)


def _is_of_runs(source: Condition) -> bool:
    return source.place is not None and source.place.of_runs


def _tells(place: Place, condition: Condition) -> bool:
    """Tell whether rows of an index are enough to check a condition."""
    return (condition.place == place and condition.exact) or (place.of_runs and condition.row is not None)


def _rank(value: Fact) -> int:
    if value is None:
        return MISSING
    return NOT_A_NUMBER if isinstance(value, float) and math.isnan(value) else NUMBER


def _ranked(value: Fact) -> tuple[int, Fact]:
    rank = _rank(value)
    return rank, value if rank == NUMBER else None


def _compare(term: Term, value: Fact, place: tuple[int, Fact]) -> int:
    """Tell whether a value stands before a place (-1), at it (0) or after it (1)."""
    rank = _rank(value)
    if rank != place[0]:
        return 1 if rank > place[0] else -1
    if rank != NUMBER or value == place[1]:
        return 0
    return 1 if (value > place[1]) is term.ascending else -1  # type: ignore[operator]
