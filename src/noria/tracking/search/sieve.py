"""Check runs against conditions: a look into sets that were read before, or tests of their rows."""

from __future__ import annotations

from collections.abc import Sequence

from noria.tracking.search.conditions import Condition, members_of
from noria.tracking.search.plan import Costs
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of, joined

_AT_ONCE = 5_000


class Sieve:
    """What is left to check of runs that stand in the order of a search.

    Attributes
    ----------
    members
        Runs outside of it fulfil not all conditions; None while nothing was read.
    """

    def __init__(self, reader: Reader, scope: Scope, costs: Costs, conditions: Sequence[Condition]) -> None:
        self._reader, self._scope, self._costs = reader, scope, costs
        self._tested = [one for one in conditions if one.keys is None]
        known = [one.keys for one in conditions if one.keys is not None]
        self.members: frozenset[int] | None = frozenset.intersection(*known) if known else None
        self._shares: list[float] = []
        self.n_seen = self.n_passed = 0

    def __bool__(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._tested) or self.members is not None

    @property
    def share(self) -> float:
        """About which part of the runs passes: as seen, or as expected while nothing was seen."""
        return (self.n_passed + 0.5) / (self.n_seen + 1) if self.n_seen else self._expected_share()

    @property
    def tests(self) -> bool:
        """Whether rows are looked up for the runs."""
        return bool(self._tested)

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

    def cost(self, walk: int) -> float:
        """Give what the tests of a walk cost, in microseconds."""
        return self._costs.tests(self._shares, walk)

    def prepare(self, walk: int) -> None:
        """Read the conditions into sets that are tested too dearly on a walk of so many runs."""
        read: list[Condition] = []
        for at, bound in self._costs.sets_worth_reading(self._shares, self._scope.n_all, walk):
            one = self._tested[at]
            found = self._read(one, bound) if one.can_be_read else None
            if found is not None:
                read.append(one)
                self.members = found if self.members is None else self.members & found
        kept = [at for at, one in enumerate(self._tested) if not any(one is other for other in read)]
        self._tested, self._shares = [self._tested[at] for at in kept], [self._shares[at] for at in kept]
        if read:
            self.n_passed = self.n_seen = 0

    def _expected_share(self) -> float:
        """Give the part of runs that will pass by what is known of each condition."""
        share = 1.0
        for one in self._shares:
            share *= one
        if self.members is not None:
            share *= min(1.0, len(self.members) / max(1, self._scope.n_all))
        return share

    def _read(self, condition: Condition, bound: int) -> frozenset[int] | None:
        if condition.size is not None and condition.size > bound:
            return None
        query = members_of(condition, self._reader, self._scope)
        keys = self._reader.keys(Sql("select run_pk from (").then(query, Sql(") as r limit ?", (bound + 1,))))
        return frozenset(keys) if len(keys) <= bound else None

    def _measured(self, keys: list[int]) -> list[int]:
        """Test each condition of each run, and keep which part fulfils it."""
        probes = [one.probe for one in self._tested if one.probe is not None]
        columns = joined(", ", [Sql("o.run_pk"), *probes])
        rows = self._reader.rows(Sql("select").then(columns, Sql("from"), self._reader.listed(keys)))
        self._shares = [
            (sum(1 for row in rows if row[at + 1]) + 0.5) / (len(rows) + 1) for at in range(len(probes))
        ]
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
