"""Clauses as conditions on the tables: each can be tested for one run, and most can be read as ranges of an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from noria.tracking.search.scope import DELETED, Scope
from noria.tracking.search.statement import Reader, Sql, all_of, either_of, joined
from noria.tracking.tables import HEAD_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An index by the values of one key, or of one column of runs, in each experiment.

    Attributes
    ----------
    table, run
        The table, and its column that holds the key of the run.
    column
        What the index is ordered by after the experiment (and the key).
    key
        Integer of the key; None for a column of runs.
    whole
        The column that holds the whole value, of which `column` may hold the first characters only.
    index
        Name of the index, of active runs if it is one of runs.
    """

    table: str
    run: str
    column: str
    key: int | None = None
    whole: str = "value"
    index: str = ""

    @property
    def fixed(self) -> Sql:
        """What holds for all of its rows."""
        return Sql("1 = 1") if self.key is None else Sql("key_pk = ?", (self.key,))

    def source(self, reader: Reader, lifecycle: Sql) -> str:
        """Give what to select from: in several experiments SQLite does not find the best index of runs by itself."""
        if not reader.is_sqlite or not self.index:
            return self.table
        return f"{self.table} indexed by {'runs_deleted' if lifecycle == DELETED else self.index}"

    @property
    def of_runs(self) -> bool:
        """Whether it is an index of the table of runs, which tells deleted ones apart."""
        return self.key is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must hold for a run.

    Attributes
    ----------
    probe
        The test of the run `o.run_pk`: true, false or null. None when `keys` says all.
    row
        The test on the columns of `runs`, of a condition on nothing else.
    place, ranges
        Where its runs stand together: conditions on columns of an index, disjoint, in ascending order of values.
    exact
        Whether all runs in the ranges fulfil it; otherwise the probe is still to be asked.
    reads
        Narrower conditions than the ranges on columns of the index, for reading its runs.
    scans
        Whether this passes over many others.
    requires
        Table and key that only runs with a value of it fulfil.
    members
        Query of its runs as `run_pk`, where they stand in no `place`; a run may come more than once.
    keys
        Its runs, when they are known already.
    size
        How many there are, when it is known already.
    """

    probe: Sql | None = None
    row: Sql | None = None
    place: Place | None = None
    ranges: tuple[Sql, ...] = ()
    exact: bool = True
    reads: tuple[Sql, ...] = ()
    scans: bool = False
    requires: tuple[str, int] | None = None
    members: Sql | None = None
    keys: frozenset[int] | None = None
    size: int | None = None

    @property
    def can_be_read(self) -> bool:
        """Whether all its runs can be read without looking at others."""
        return self.keys is not None or self.place is not None or self.members is not None


@dataclass(frozen=True, slots=True)
class Interval:
    """From where to where values go; None is without end."""

    low: object = None
    low_open: bool = False
    high: object = None
    high_open: bool = False

    def sql(self, column: str) -> Sql:
        """Give it as a condition on a column."""
        parts = []
        if self.low is not None:
            parts.append(Sql(f"{column} {'>' if self.low_open else '>='} ?", (self.low,)))
        if self.high is not None:
            parts.append(Sql(f"{column} {'<' if self.high_open else '<='} ?", (self.high,)))
        return all_of(parts) if parts else Sql(f"{column} is not null")


NOTHING = Condition(keys=frozenset(), size=0)
"""No run fulfils it."""

NAN_RANGE = Sql("is_nan = 1")
NUMBER_RANGE = Sql("is_nan = 0")


def members_of(condition: Condition, reader: Reader, scope: Scope, *, roughly: bool = False) -> Sql:
    """Give the query of all runs of the scope that fulfil a condition, as `run_pk`; with others if it is not exact.

    A condition on values gives runs of either lifecycle.

    Parameters
    ----------
    roughly
        By the ranges alone, so that counting some does not pass over many.
    """
    if condition.members is not None:
        return condition.members
    place = condition.place
    if place is None:
        raise TypeError("The runs of this condition stand nowhere together")
    where = reader.among("experiment_pk", scope.experiments)
    lifecycles = scope.of_runs if place.of_runs else (Sql("1 = 1"),)
    return joined(
        " union all ",
        [
            Sql(f"select {place.run} as run_pk from {place.source(reader, lifecycle)} where").then(  # noqa: S608
                all_of([where, place.fixed, lifecycle, one])
            )
            for one in (condition.ranges if roughly else condition.reads or condition.ranges)
            for lifecycle in lifecycles
        ],
    )


def compared(place: Place, comparator: str, value: object) -> Condition:
    """Compare what stands whole in an index: a number, or a short text."""
    intervals = _INTERVALS[comparator](value)
    test = Sql(f"{place.whole} {_SIGNS[comparator]} ?", (value,))
    return _at(place, [interval.sql(place.column) for interval in intervals], test)


def metric_condition(place: Place, comparator: str, value: float) -> Condition:
    """Compare the latest value of a metric; NaN differs from every number, and compares in no other way."""
    ranges = [all_of([NUMBER_RANGE, interval.sql("value")]) for interval in _INTERVALS[comparator](value)]
    if comparator == "!=":
        return _at(place, [*ranges, NAN_RANGE], Sql("(is_nan = 1 or value <> ?)", (value,)))
    return _at(place, ranges, Sql(f"is_nan = 0 and value {_SIGNS[comparator]} ?", (value,)))


def nan_condition(place: Place) -> Condition:
    """Find the runs whose metric is NaN."""
    return _at(place, [NAN_RANGE], NAN_RANGE)


def text_condition(place: Place, comparator: str, value: str, *, is_sqlite: bool) -> Condition:
    """Compare a text, of which the index may hold the first characters only."""
    if comparator in ("LIKE", "ILIKE"):
        return _like_condition(place, value, is_sqlite=is_sqlite, any_case=comparator == "ILIKE")
    if place.column == place.whole or len(value) < HEAD_CHARS:
        return compared(place, comparator, value)
    head = Interval(value[:HEAD_CHARS], high=value[:HEAD_CHARS]) if comparator == "=" else Interval()
    test = Sql(f"{place.whole} {_SIGNS[comparator]} ?", (value,))
    return _at(place, [head.sql(place.column)], test, exact=False)


def head_condition(place: Place, head: str) -> Condition:
    """Find the runs whose text begins so, cut to what the index holds."""
    test = Sql(f"{place.column} = ?", (head,))
    return _at(place, [test], test)


def present_condition(place: Place) -> Condition:
    """Find the runs that have a value."""
    test = Sql(f"{place.column} is not null")
    return _at(place, [test], test)


def missing_condition(place: Place) -> Condition:
    """Find the runs that lack a value."""
    if place.of_runs:
        test = Sql(f"{place.column} is null")
        return _at(place, [test], test)
    found = Sql(f"select 1 from {place.table} as c where c.run_pk = o.run_pk and").then(place.fixed)  # noqa: S608
    return Condition(probe=Sql(f"({found.text}) is null", found.values))


def row_condition(test: Sql) -> Condition:
    """Test the columns of runs, without an index."""
    return Condition(row=test, probe=_looked_up(test))


def ranged_rows(place: Place, ranges: Sequence[Sql], *, size: int | None = None) -> Condition:
    """Find the runs in one of some ranges of an index of runs."""
    test = ranges[0] if len(ranges) == 1 else either_of(ranges)
    probe = _looked_up(test)
    return Condition(row=test, probe=probe, place=place, ranges=tuple(ranges), size=size)


def listed_condition(keys: Iterable[int]) -> Condition:
    """Find runs that are known."""
    known = frozenset(keys)
    return Condition(keys=known, size=len(known))


def like_test(column: str, pattern: str, *, is_sqlite: bool, any_case: bool) -> Sql:
    """Compare a column with a pattern, in which nothing is escaped, alike on both databases."""
    if is_sqlite and not any_case:
        # Its LIKE takes `a` and `A` for one; its GLOB does not, and has signs of its own.
        return Sql(f"{column} glob ?", ("".join(_GLOB.get(sign, sign) for sign in pattern),))
    if is_sqlite:
        return Sql(f"{column} like ?", (pattern,))
    # A backslash would escape.
    return Sql(f"{column} {'ilike' if any_case else 'like'} ?", (pattern.replace("\\", "\\\\"),))


def successor(prefix: str) -> str | None:
    r"""Give the least text that is greater than all that begin with `prefix`, or None if there is none.

    Examples
    --------
    >>> successor("ab"), successor("a\U0010ffff"), successor("\U0010ffff")
    ('ac', 'b', None)
    """
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    last = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if last == 0xD800 else last)  # surrogates stand in no text


def _at(place: Place, ranges: Sequence[Sql], test: Sql, *, exact: bool = True) -> Condition:
    if place.of_runs:
        return Condition(row=test, probe=_looked_up(test), place=place, ranges=tuple(ranges), exact=exact)
    # One row at most, by its primary key: a scalar is looked up, and never made into another kind of join.
    probe = Sql(f"(select {test.text} from {place.table} as c where c.run_pk = o.run_pk and", test.values)  # noqa: S608
    return Condition(
        probe=probe.then(place.fixed, Sql(")")),
        place=place,
        ranges=tuple(ranges),
        exact=exact,
        requires=(place.table, place.key or 0),
    )


def _looked_up(test: Sql) -> Sql:
    return Sql(f"(select {test.text} from runs as c where c.pk = o.run_pk)", test.values)  # noqa: S608 - own words


def _like_condition(place: Place, pattern: str, *, is_sqlite: bool, any_case: bool) -> Condition:
    fixed = _fixed_part(pattern, any_case=any_case)
    if fixed == pattern:
        return text_condition(place, "=", pattern, is_sqlite=is_sqlite)
    interval = prefix_interval(place, pattern, any_case=any_case).sql(place.column)
    test = like_test(place.whole, pattern, is_sqlite=is_sqlite, any_case=any_case)
    if pattern == f"{fixed}%" and (place.column == place.whole or len(fixed) <= HEAD_CHARS):
        return _at(place, [interval], test)
    of_index = like_test(place.column, pattern, is_sqlite=is_sqlite, any_case=any_case)
    if place.column != place.whole:  # what the index does not hold whole is compared in its row
        of_index = either_of([of_index, Sql(f"length({place.column}) = ?", (HEAD_CHARS,))])
    found = _at(place, [interval], test, exact=False)
    return replace(found, reads=(all_of([interval, of_index]),), scans=True)


def prefix_interval(place: Place, pattern: str, *, any_case: bool) -> Interval:
    """Give where all texts lie that have the form of a pattern."""
    fixed = _fixed_part(pattern, any_case=any_case)
    head = fixed if place.column == place.whole else fixed[:HEAD_CHARS]
    return Interval(head or None, high=successor(head) if head else None, high_open=True)


def values_condition(place: Place, values: Sequence[str]) -> Condition:
    """Find the runs that have one of some short texts, given in ascending order."""
    if not values:
        return NOTHING
    marks = ", ".join("?" * len(values))
    ranges = [Sql(f"{place.column} = ?", (value,)) for value in values]
    found = _at(place, ranges, Sql(f"{place.whole} in ({marks})", tuple(values)))
    return replace(found, reads=(Sql(f"{place.column} in ({marks})", tuple(values)),))


def _fixed_part(pattern: str, *, any_case: bool) -> str:
    """Give what every text begins with that has the form of the pattern."""
    for at, sign in enumerate(pattern):
        if sign in "%_" or (any_case and sign.isascii() and sign.isalpha()):
            return pattern[:at]
    return pattern


_INTERVALS: dict[str, Callable[[Any], tuple[Interval, ...]]] = {
    "=": lambda value: (Interval(value, high=value),),
    "!=": lambda value: (Interval(high=value, high_open=True), Interval(value, low_open=True)),
    ">": lambda value: (Interval(value, low_open=True),),
    ">=": lambda value: (Interval(value),),
    "<": lambda value: (Interval(high=value, high_open=True),),
    "<=": lambda value: (Interval(high=value),),
}
_SIGNS = {"=": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
_GLOB = {"*": "[*]", "?": "[?]", "[": "[[]", "%": "*", "_": "?"}
