"""Clauses on what runs are, rather than on what they logged, as conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from noria.tracking.entities import RunStatus
from noria.tracking.search.conditions import (
    NOTHING,
    Condition,
    Interval,
    Place,
    compared,
    like_test,
    listed_condition,
    members_of,
    present_condition,
    ranged_rows,
    row_condition,
    text_condition,
)
from noria.tracking.search.evaluate import Facts, matches
from noria.tracking.search.fields import CONTEXT_TAG
from noria.tracking.search.grammar import ATTRIBUTE, Clause
from noria.tracking.search.scope import Scope
from noria.tracking.search.statement import Reader, Sql, all_of, either_of, joined

NAME = Place(table="runs", run="pk", column="name", whole="name", index="runs_by_name")
AUTHOR = Place(table="runs", run="pk", column="author", whole="author", index="runs_by_author")
STATUS = Place(table="runs", run="pk", column="status", whole="status", index="runs_by_experiment_status")
STARTED = Place(table="runs", run="pk", column="started_at", whole="started_at", index="runs_by_experiment")
ENDED = Place(table="runs", run="pk", column="ended_at", whole="ended_at", index="runs_by_end")
ID = Place(table="runs", run="pk", column="id", whole="id")
"""In order only among runs of one start; otherwise the database sorts them."""
TIMES = {"start_time": STARTED, "end_time": ENDED}

_MICROS_IN_MS = 1_000
_FAR_MS = 9_000_000_000_000_000
"""Beyond every time that a run can have, and its microseconds still fit in 64 bits."""

_IDS_AT_ONCE = 500

ARTIFACT_URI = (
    "coalesce(x.artifact_location, 'mlflow-artifacts:/' || x.number) || '/' || r.id || '/artifacts'"
)
"""Where clients that ask for `artifact_uri` believe a run's artifacts to be, of `runs as r`, `experiments as x`."""


def attribute_condition(clause: Clause, reader: Reader, scope: Scope) -> Condition:
    """Give the condition of a clause on an attribute."""
    if clause.key in TIMES:
        return time_condition(TIMES[clause.key], clause.comparator, float(clause.value))  # type: ignore[arg-type]
    if clause.key == "status":
        return _status_condition(clause, scope)
    if clause.key == "run_id":
        return _id_condition(clause, reader, scope)
    if clause.key == "artifact_uri":
        return _artifact_condition(clause, reader, scope)
    place = NAME if clause.key == "run_name" else AUTHOR
    return text_condition(place, clause.comparator, str(clause.value), is_sqlite=reader.is_sqlite)


def time_condition(place: Place, comparator: str, at_ms: float) -> Condition:
    """Compare a time, kept in microseconds, by its whole milliseconds."""
    at_ms = max(-_FAR_MS, min(at_ms, _FAR_MS))
    low, next_low = math.ceil(at_ms), math.floor(at_ms) + 1  # the least that is >= at_ms, and > at_ms
    if comparator in ("=", "!=") and low != at_ms:
        return NOTHING if comparator == "=" else present_condition(place)
    return _micros_condition(place, comparator, low * _MICROS_IN_MS, next_low * _MICROS_IN_MS)


def _micros_condition(place: Place, comparator: str, low: int, next_low: int) -> Condition:
    if comparator in (">", "<="):
        return compared(place, ">=" if comparator == ">" else "<", next_low)
    if comparator in (">=", "<"):
        return compared(place, comparator, low)
    inside = Interval(low, high=next_low, high_open=True)
    outside = (Interval(high=low, high_open=True), Interval(next_low))
    return ranged_rows(
        place, [one.sql(place.column) for one in ((inside,) if comparator == "=" else outside)]
    )


def lifecycle_condition(scope: Scope) -> Condition:
    """Find the runs of the lifecycle asked for."""
    test = either_of(scope.of_runs)
    probe = Sql(f"(select {test.text} from runs as c where c.pk = o.run_pk)", test.values)  # noqa: S608 - own words
    ranges = (Sql("started_at is not null"),)
    return Condition(row=test, probe=probe, place=STARTED, ranges=ranges, size=scope.n_runs)


def statuses_condition(statuses: Sequence[str], scope: Scope) -> Condition:
    """Find the runs of one of some statuses."""
    if not statuses:
        return NOTHING
    ranges = [Sql("status = ?", (status,)) for status in sorted(statuses)]
    return ranged_rows(STATUS, ranges, size=sum(scope.with_status.get(status, 0) for status in statuses))


def _status_condition(clause: Clause, scope: Scope) -> Condition:
    found = [
        status.value
        for status in RunStatus
        if matches([clause], Facts(of={ATTRIBUTE: {"status": status.value.upper()}}))
    ]
    return statuses_condition(found, scope)


def _id_condition(clause: Clause, reader: Reader, scope: Scope) -> Condition:
    ids = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
    if clause.comparator in ("=", "IN"):
        return listed_condition(_keys_of(reader, ids, scope))
    if clause.comparator in ("!=", "NOT IN"):
        return row_condition(Sql("not (").then(reader.among("pk", _keys_of(reader, ids, scope)), Sql(")")))
    any_case = clause.comparator == "ILIKE"
    return row_condition(like_test("id", str(clause.value), is_sqlite=reader.is_sqlite, any_case=any_case))


def _keys_of(reader: Reader, ids: Sequence[str], scope: Scope) -> list[int]:
    """Give the integer keys of those runs that stand in the experiments."""
    found: list[int] = []
    where = reader.among("experiment_pk", scope.experiments)
    for at in range(0, len(ids), _IDS_AT_ONCE):
        some = tuple(ids[at : at + _IDS_AT_ONCE])
        marks = ", ".join("?" * len(some))
        query = Sql(f"select pk as run_pk from runs where id in ({marks}) and", some)  # noqa: S608 - own words
        found += reader.keys(query.then(where))
    return found


def _artifact_condition(clause: Clause, reader: Reader, scope: Scope) -> Condition:
    test = _text_test("u", clause, reader)
    inner = (
        f"select {ARTIFACT_URI} as u from runs as r join experiments as x on x.pk = r.experiment_pk"  # noqa: S608
        " where r.pk = o.run_pk"
    )
    probe = Sql(f"(select {test.text} from ({inner}) as a)", test.values)  # noqa: S608 - own words
    if clause.comparator != "=":
        return Condition(probe=probe)
    run_id = str(clause.value).removesuffix("/artifacts").rpartition("/")[2]
    keys = _keys_of(reader, [run_id], scope)
    return listed_condition(
        reader.keys(Sql("select o.run_pk from").then(reader.listed(keys), Sql("where"), probe))
    )


def parent_condition(clause: Clause, key: int | None, reader: Reader, scope: Scope) -> Condition:
    """Give the condition of a clause on the tag that names the run inside which a run was started.

    Runs that MLflow's clients started have the tag, whatever it names; of others it is their parent's id.

    Parameters
    ----------
    key
        Integer of the tag; None if no run has it.
    """
    if clause.comparator in ("IS NULL", "IS NOT NULL"):
        named = _child_condition("IS NOT NULL", "", reader, scope)
        if key is not None:
            named = Condition(probe=_first_known(present_condition(_parent_place(key)), named))
        return named if clause.comparator == "IS NOT NULL" else _opposite(named)
    value = str(clause.value)
    derived = _child_condition(clause.comparator, value, reader, scope)
    if key is None:
        return derived
    tagged = text_condition(_parent_place(key), clause.comparator, value, is_sqlite=reader.is_sqlite)
    if derived is NOTHING:
        return tagged
    members = None
    if derived.members is not None:
        untagged = Sql(
            "and not exists (select 1 from run_tags as t where t.run_pk = runs.pk and t.key_pk = ?)", (key,)
        )
        members = joined(" union all ", [members_of(tagged, reader, scope), derived.members.then(untagged)])
    return Condition(probe=_first_known(tagged, derived), members=members)


def _parent_place(key: int) -> Place:
    return Place(table="run_tags", run="run_pk", column="head", key=key)


def _first_known(one: Condition, other: Condition) -> Sql:
    """Ask the first of two conditions that is not null."""
    probes = [probe for probe in (one.probe, other.probe) if probe is not None]
    return Sql("coalesce(").then(joined(", ", probes), Sql(")"))


def _opposite(condition: Condition) -> Condition:
    return Condition(probe=Sql("(not").then(condition.probe or Sql("true"), Sql(")")))


def _child_condition(comparator: str, value: str, reader: Reader, scope: Scope) -> Condition:
    """Give the condition on the id of a run's parent."""
    if comparator == "IS NOT NULL":
        return row_condition(Sql("parent_pk is not null"))
    if comparator in ("LIKE", "ILIKE"):
        any_case = comparator == "ILIKE"
        test = like_test("p.id", value, is_sqlite=reader.is_sqlite, any_case=any_case)
        inner = "from runs as r join runs as p on p.pk = r.parent_pk where r.pk = o.run_pk"
        return Condition(probe=Sql(f"(select {test.text} {inner})", test.values))
    parent = reader.keys(Sql("select pk as run_pk from runs where id = ?", (value,)))
    if comparator == "!=":
        return row_condition(Sql("parent_pk <> ?", (parent[0],)) if parent else Sql("parent_pk is not null"))
    if not parent:
        return NOTHING
    children = Sql("select pk as run_pk from runs where parent_pk = ? and", (parent[0],))
    child = row_condition(Sql("parent_pk = ?", (parent[0],)))
    return replace(child, members=children.then(reader.among("experiment_pk", scope.experiments)))


def dataset_condition(clause: Clause, reader: Reader, scope: Scope) -> Condition:
    """Give the condition of a clause on the data sets that a run read: one that fits is enough."""
    if clause.key == "context":
        test = all_of([Sql("t.key = ?", (CONTEXT_TAG,)), _text_test("t.value", clause, reader)])
        members = Sql("select t.run_pk from run_dataset_tags as t where").then(
            reader.among("t.experiment_pk", scope.experiments), Sql("and"), test
        )
        found = Sql("select 1 from run_dataset_tags as t where t.run_pk = o.run_pk and").then(test)
    else:
        test = _text_test(f"d.{clause.key}", clause, reader)
        members = Sql(
            "select t.run_pk from run_datasets as d cross join run_dataset_uses as t where t.dataset_pk = d.pk and"
        ).then(reader.among("d.experiment_pk", scope.experiments), Sql("and"), test)
        found = Sql(
            "select 1 from run_dataset_uses as t cross join run_datasets as d"
            " where d.pk = t.dataset_pk and t.run_pk = o.run_pk and"
        ).then(test)
    return Condition(probe=Sql(f"(({found.text} limit 1) is not null)", found.values), members=members)


def _text_test(column: str, clause: Clause, reader: Reader) -> Sql:
    if clause.comparator in ("LIKE", "ILIKE"):
        any_case = clause.comparator == "ILIKE"
        return like_test(column, str(clause.value), is_sqlite=reader.is_sqlite, any_case=any_case)
    if isinstance(clause.value, tuple):
        marks = ", ".join("?" * len(clause.value))
        return Sql(f"{column} {clause.comparator.lower()} ({marks})", clause.value)
    return Sql(f"{column} {'=' if clause.comparator == '=' else '<>'} ?", (clause.value,))
