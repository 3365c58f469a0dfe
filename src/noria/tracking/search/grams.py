"""Patterns over values that differ: an index of three characters one after the other says which runs to look at.

The index is kept behind the writes by `tracking/text_index.py`. It names a run for every value that the run ever had
when it was indexed, so it may name too many; each is still tested. What changed since then is known from the event log,
and is looked at as well: the index is never relied on for what it cannot know.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from noria.tracking.events import RUN_CREATED, RUN_UPDATED
from noria.tracking.search.conditions import NOTHING, Condition, Place
from noria.tracking.search.grammar import Clause
from noria.tracking.search.plan import Costs
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of

READER: Final = "tracking.text"
"""Name of the cursor on the event log: what changed up to it is in the index, or in its tail."""

KINDS: Final = {"runs": 0, "run_params": 1, "run_tags": 2}
"""Table of the values → what fields call it."""

CHANGES: Final = (RUN_CREATED, RUN_UPDATED)
"""Types of event after which a run may have other values."""

MAX_CHARS: Final = 256
"""Of longer values the index says only that they are long."""

LONG: Final = ""
"""Stands for the grams of a long value."""

_SIGNS: Final = 3
_MOST_GRAMS: Final = 8
_MOST_READ: Final = 3
_ENOUGH: Final = 500
_MOST_EVENTS: Final = 2_000
_MOST_CHANGED: Final = 10_000
_LEAST_MOST: Final = 20_000
_COMMON: Final = 20
"""Where one in so many runs may have the form, a walk finds enough of them."""

_WILD = re.compile("[%_]")


def grams_of(text: str) -> set[str]:
    """Give the grams of a value: ASCII letters are small, since patterns may be of any case.

    Examples
    --------
    >>> sorted(grams_of("aBcd")), sorted(grams_of("ab"))
    (['abc', 'bcd'], [])
    """
    if len(text) > MAX_CHARS:
        return {LONG}
    folded = _folded(text)
    return {folded[at : at + _SIGNS] for at in range(len(folded) - _SIGNS + 1)}


def grams_in(pattern: str) -> list[str]:
    """Give grams that every value has which has the form of a pattern and is not long.

    Examples
    --------
    >>> grams_in("%lou_.Bin%"), grams_in("%ab_c%")
    (['lou', 'bin', '.bi'], [])
    """
    found = {
        piece[at : at + _SIGNS]
        for piece in _WILD.split(_folded(pattern))
        for at in range(len(piece) - _SIGNS + 1)
    }
    return sorted(found, key=lambda gram: gram[::-1], reverse=True)


def packed(keys: Iterable[int]) -> bytes:
    """Write integer keys of runs; lists of them may be put one after the other."""
    made = array("I", keys)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def unpacked(data: bytes) -> array[int]:
    """Read integer keys of runs."""
    made = array("I", data)
    if sys.byteorder == "big":
        made.byteswap()
    return made


def found_by_grams(
    condition: Condition, clause: Clause, reader: Reader, scope: Scope, costs: Costs
) -> Condition:
    """Give the condition of a pattern as one of the runs that may fulfil it, if the index knows few enough."""
    place, grams = condition.place, grams_in(str(clause.value))
    if not condition.scans or place is None or not grams or scope.n_all < costs.least_scanned:
        return condition
    field = _field(reader, place)
    changed = None if field is None else _changed(reader)
    if field is None or changed is None:
        return condition
    most = max(_LEAST_MOST, scope.n_all // _COMMON)
    named = _named(reader, field, grams, most)
    if named is None:
        return condition
    keys = named | changed
    if not keys:
        return NOTHING
    found = Condition(probe=condition.probe, exact=False, requires=condition.requires, size=len(keys))
    listed = reader.listed(sorted(keys))
    if condition.probe is None or not _is_most(reader, scope):
        within = Sql("cross join runs as c where c.pk = o.run_pk and").then(_of_scope(reader, scope))
        return replace(found, members=Sql("select c.pk as run_pk from").then(listed, within))
    inside = Sql("(select").then(_of_scope(reader, scope), Sql("from runs as c where c.pk = o.run_pk)"))
    probe = all_of([condition.probe, inside])
    return replace(found, probe=probe, members=Sql("select o.run_pk from").then(listed))


def _is_most(reader: Reader, scope: Scope) -> bool:
    """Tell whether most runs are of the scope: the index names those of all experiments.

    Then only those that have the form are asked for theirs; to ask all that are named would cost more than the rest.
    """
    return 2 * scope.n_all >= reader.number(Sql("select coalesce(sum(n_runs), 0) from run_counts"))


def _of_scope(reader: Reader, scope: Scope) -> Sql:
    return reader.among("c.experiment_pk", scope.experiments)


def _field(reader: Reader, place: Place) -> int | None:
    """Find the field of a key whose runs of old are all indexed."""
    if place.table == "runs" and place.column != "name":
        return None
    query = "select pk from text_fields where kind = ? and key_pk = ? and built >= goal"
    rows = reader.rows(Sql(query, (KINDS[place.table], place.key or 0)))
    return rows[0][0] if rows else None


def _changed(reader: Reader) -> set[int] | None:
    """Give the runs that changed since they were indexed, or None if there are too many."""
    cursor = reader.rows(Sql("select position from event_cursors where reader = ?", (READER,)))
    if not cursor:
        return None
    limit = Sql("limit ?", (_MOST_EVENTS,))
    read = "select type, subject from events where position"
    events = reader.rows(Sql(f"{read} > ? order by position", (cursor[0][0],)).then(limit))
    if not reader.is_sqlite:  # what no sealer has come to yet
        events += reader.rows(Sql(f"{read} is null").then(limit))
    if len(events) >= _MOST_EVENTS:
        return None
    tail = reader.keys(Sql("select run_pk from text_tail limit ?", (_MOST_CHANGED,)))
    if len(tail) >= _MOST_CHANGED:
        return None
    return {*tail, *_keys_of(reader, runs_in(events))}


def runs_in(events: Iterable[Sequence[str]]) -> set[str]:
    """Give the ids of runs whose values may have changed, of events as (type, subject)."""
    return {event[1].removeprefix("run:") for event in events if event[0] in CHANGES}


def _keys_of(reader: Reader, ids: set[str]) -> list[int]:
    if not ids:
        return []
    marks = ", ".join("?" * len(ids))
    return reader.keys(Sql(f"select pk as run_pk from runs where id in ({marks})", tuple(sorted(ids))))  # noqa: S608 - marks


def _named(reader: Reader, field: int, grams: Sequence[str], most: int) -> set[int] | None:
    """Give the runs that the index names, or None if they are more than is worth reading."""
    asked = [*grams[:_MOST_GRAMS], LONG]
    sizes = dict.fromkeys(asked, 0) | _sizes(reader, field, asked)
    n_long = sizes.pop(LONG)
    rarest = sorted(sizes, key=sizes.__getitem__)[:_MOST_READ]
    if sizes[rarest[0]] + n_long > most:
        return None
    found: set[int] | None = None
    for gram in rarest:
        # Beyond that, to look at those few runs costs less than to read another list.
        if found is not None and (len(found) < _ENOUGH or sizes[gram] > 2 * most):
            break
        some = _runs_with(reader, field, gram)
        found = set(some) if found is None else found.intersection(some)
    return (found or set()).union(_runs_with(reader, field, LONG) if n_long else ())


def _sizes(reader: Reader, field: int, grams: Sequence[str]) -> dict[str, int]:
    marks = ", ".join("?" * len(grams))
    query = f"select gram, sum(n_runs) from text_grams where field_pk = ? and gram in ({marks}) group by gram"  # noqa: S608 - marks
    return {gram: int(n) for gram, n in reader.rows(Sql(query, (field, *grams)))}


def _runs_with(reader: Reader, field: int, gram: str) -> array[int]:
    rows = reader.rows(Sql("select runs from text_grams where field_pk = ? and gram = ?", (field, gram)))
    return unpacked(b"".join([row[0] for row in rows]))


def _folded(text: str) -> str:
    # `lower` of bytes knows ASCII only, as the databases do.
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
