"""What a filter and an order mean, one thing at a time.

The plans over indexes must agree with this. It also serves where all candidates are at hand and few.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from noria.tracking.search.grammar import Clause, Order

Fact = str | float | int | None
SortKey = tuple[int, Any]

NUMBER, NOT_A_NUMBER, MISSING = 0, 1, 2
"""In this order whichever the direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to know of one thing.

    Attributes
    ----------
    of
        Entity → key → value; None is as good as missing.
    parts
        Entity → its many, of which one must fit: data sets of a run.
    """

    of: Mapping[str, Mapping[str, Fact]]
    parts: Mapping[str, Sequence[Mapping[str, Fact]]] = field(default_factory=dict)

    def get(self, entity: str, key: str) -> Fact:
        """Give a value, or None."""
        return self.of.get(entity, {}).get(key)


def matches(clauses: Iterable[Clause], facts: Facts) -> bool:
    """Tell whether all clauses hold."""
    return all(_holds(clause, facts) for clause in clauses)


def order_key(orders: Sequence[Order], facts: Facts) -> tuple[SortKey, ...]:
    """Give what sorts things by `orders`: numbers and texts, then NaN, then what is missing.

    Examples
    --------
    >>> rising = [Order(entity="metric", key="loss")]
    >>> values = [float("nan"), 2.0, None, 1.0]
    >>> sorted(values, key=lambda value: order_key(rising, Facts(of={"metric": {"loss": value}})))
    [1.0, 2.0, nan, None]
    """
    return tuple([sort_key(facts.get(one.entity, one.key), ascending=one.ascending) for one in orders])


def sort_key(value: Fact, *, ascending: bool) -> SortKey:
    """Give what sorts one value."""
    if value is None:
        return (MISSING, 0)
    if isinstance(value, float) and math.isnan(value):
        return (NOT_A_NUMBER, 0)
    return (NUMBER, value if ascending else Reversed(value))


@functools.total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Reversed:
    """A value that sorts the other way round."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(self.value == other.value)

    def __lt__(self, other: Reversed) -> bool:
        return bool(other.value < self.value)

    def __hash__(self) -> int:
        return hash(self.value)


@functools.lru_cache(maxsize=256)
def like(pattern: str, *, any_case: bool = False) -> re.Pattern[str]:
    """Compile the pattern of `LIKE`: `%` is any text, `_` one character, and nothing is escaped.

    Parameters
    ----------
    any_case
        `ILIKE`: ASCII letters in either case are the same, others are not, as in SQLite.
    """
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(char) or re.escape(char) for char in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE | re.ASCII if any_case else 0))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "IN": lambda fact, values: fact in values,
    "NOT IN": lambda fact, values: fact not in values,
    "LIKE": lambda fact, pattern: like(pattern).fullmatch(fact) is not None,
    "ILIKE": lambda fact, pattern: like(pattern, any_case=True).fullmatch(fact) is not None,
}


def _holds(clause: Clause, facts: Facts) -> bool:
    if clause.entity in facts.parts:
        return any(_compare(clause, part.get(clause.key)) for part in facts.parts[clause.entity])
    return _compare(clause, facts.get(clause.entity, clause.key))


def _compare(clause: Clause, fact: Fact) -> bool:
    if clause.comparator == "IS NULL":
        return fact is None
    if clause.comparator == "IS NOT NULL":
        return fact is not None
    return fact is not None and _COMPARE[clause.comparator](fact, clause.value)
