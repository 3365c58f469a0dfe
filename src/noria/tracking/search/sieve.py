"""Check runs against conditions: a look into sets that were read before, or tests of their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noria.tracking.search.conditions import Condition, members_of
from noria.tracking.search.plan import Costs
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of, joined

_AT_ONCE = 5_000
_MOST_TESTED = 0.2
_TELLING = 5
"""So many that passed tell the share of those that do."""


class Sieve:
    """What is left to check of runs that stand in the order of a search.

    Attributes
    ----------
    members
        Runs outside of it fulfil not all conditions; None while nothing was read.
    told
        Conditions that all runs of `members` fulfil.
    """

    def __init__(self, reader: Reader, scope: Scope, costs: Costs, conditions: Sequence[Condition]) -> None:
        self._reader, self._scope, self._costs = reader, scope, costs
        self._tested = [one for one in conditions if one.keys is None]
        self.told = [one for one in conditions if one.keys is not None]
        known = [one.keys for one in conditions if one.keys is not None]
        self.members: frozenset[int] | None = frozenset.intersection(*known) if known else None
        self._shares: list[float] = []
        self._n_measured = 0
        self._least: dict[int, int] = {}  # by the condition's identity: it has so many runs, and more
        self.n_seen = self.n_passed = 0

    def __bool__(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._tested) or self.members is not None

    @property
    def share(self) -> float:
        """About which part of the runs passes: as seen, if enough did, or as expected of each condition."""
        seen = (self.n_passed + 0.5) / (self.n_seen + 1)
        return seen if self.is_sure else min(seen, self._members_share * math.prod(self._shares))

    @property
    def is_sure(self) -> bool:
        """Whether `share` is what was seen."""
        return self.n_passed >= _TELLING

    @property
    def tests(self) -> bool:
        """Whether rows are looked up for many of the runs."""
        return bool(self._tested) and self._members_share > _MOST_TESTED

    @property
    def _members_share(self) -> float:
        return 1.0 if self.members is None else len(self.members) / max(1, self._scope.n_all)

    def walk(self, need: int) -> int:
        """Give how many runs are probably walked until so many pass."""
        return min(self._scope.n_all, math.ceil(need / max(self.share, 1e-9)))

    def passing(self, keys: list[int]) -> list[int]:
        """Give those runs that fulfil all conditions, in their order."""
        self.n_seen += len(keys)
        if self.members is not None:
            members = self.members
            keys = [key for key in keys if key in members]
        if keys and self._tested:
            keys = self._measured(keys) if not self._shares else self._tests(keys)
        self.n_passed += len(keys)
        return keys

    def cost(self, need: int, among: int | None = None) -> float:
        """Give what the tests cost until so many runs pass, of all or of so many, in microseconds."""
        return self._costs.tests(self._shares, self._reached(need, among))

    def prepare(self, need: int, among: int | None = None) -> None:
        """Read conditions into sets as long as testing them would cost more.

        Parameters
        ----------
        need
            How many runs are to pass.
        among
            How many runs will be looked at, at most; all unless given.
        """
        if self.cost(need, among) <= self._costs.worth_planning:
            return
        passed_over: list[Condition] = []
        while True:
            left = [
                at for at, one in enumerate(self._tested) if one.can_be_read and not _is_in(one, passed_over)
            ]
            reaching = self._reached(need, among)
            sizes = [self._size(at) for at in left]
            best = self._costs.set_to_read([self._shares[at] for at in left], sizes, reaching)
            if best is None:
                return
            one = self._tested[left[best]]
            found = self._read(one, self._costs.most_read([self._shares[at] for at in left], reaching))
            passed_over.append(one)  # whether it is read or too large
            if found is not None:
                self._keep(one, found)

    def _reached(self, need: int, among: int | None) -> float:
        """Give how many runs are probably tested until so many pass."""
        way = self.walk(need)
        return (way if among is None else min(way, among)) * self._members_share

    def _size(self, at: int) -> float:
        """Give how many runs are read for a set: rather too few, since reading stops where it no longer pays."""
        one = self._tested[at]
        if one.size is not None:
            return one.size
        if one.scans:
            return self._scope.n_all * self._costs.pass_over / self._costs.read
        passed = self._shares[at] * self._n_measured
        share = max(0.5, passed - math.sqrt(passed)) / self._n_measured
        return max(self._scope.n_all * share, self._least.get(id(one), 0))

    def _keep(self, condition: Condition, found: frozenset[int]) -> None:
        at = next(at for at, one in enumerate(self._tested) if one is condition)
        self.members = found if self.members is None else self.members & found
        self.n_seen = self.n_passed = 0
        if condition.exact:
            self.told.append(condition)
            del self._tested[at], self._shares[at]
        else:
            self._shares[at] = 1.0

    def _read(self, condition: Condition, worth: int) -> frozenset[int] | None:
        most = self._costs.max_set if condition.scans else worth
        if condition.size is not None and condition.size > most:
            return None
        query = members_of(condition, self._reader, self._scope)
        keys = self._reader.keys(Sql("select run_pk from (").then(query, Sql(") as r limit ?", (most + 1,))))
        if len(keys) <= most:
            return frozenset(keys)
        self._least[id(condition)] = len(keys)
        return None

    def _measured(self, keys: list[int]) -> list[int]:
        """Test each condition of each run, and keep which part fulfils it."""
        probes = [one.probe for one in self._tested if one.probe is not None]
        columns = joined(", ", [Sql("o.run_pk"), *probes])
        rows = self._reader.rows(Sql("select").then(columns, Sql("from"), self._reader.listed(keys)))
        self._shares = [
            (sum(1 for row in rows if row[at + 1]) + 0.5) / (len(rows) + 1) for at in range(len(probes))
        ]
        self._n_measured = len(rows) + 1
        passed = {row[0] for row in rows if all(row[1:])}
        return [key for key in keys if key in passed]

    def _tests(self, keys: list[int]) -> list[int]:
        order = sorted(range(len(self._tested)), key=self._shares.__getitem__)
        probes = [probe for at in order if (probe := self._tested[at].probe) is not None]
        passed: set[int] = set()
        for at in range(0, len(keys), _AT_ONCE):
            some = sorted(keys[at : at + _AT_ONCE])
            query = Sql("select o.run_pk from").then(self._reader.listed(some), Sql("where"), all_of(probes))
            passed.update(self._reader.keys(query))
        return [key for key in keys if key in passed]


def _is_in(condition: Condition, conditions: Sequence[Condition]) -> bool:
    return any(condition is one for one in conditions)
