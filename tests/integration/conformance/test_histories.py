"""What histories promise: points as columns, in either order, sampled, whichever way they were stored."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from noria.core.errors import Invalid, NotFound
from noria.core.ids import new_id
from noria.tracking.entities import LogBatch, NewRun
from noria.tracking.point_entities import HistoryOrder, MetricPoint, PointColumns
from noria.tracking.points import MIN_PACKED
from noria.tracking.run_keys import RunNotFound
from noria.tracking.service import Runs
from support.conformance import Services

PROJECT = "default"
START = 1_767_268_800_000_000
MICROSECOND = timedelta(microseconds=1)


def columns(steps: list[int], values: list[float] | None = None, at: list[int] | None = None) -> PointColumns:
    return PointColumns(
        steps=steps, at=at or [START + step for step in steps], values=values or [step / 4 for step in steps]
    )


def made(services: Services) -> str:
    return services(Runs).create(PROJECT, NewRun()).id


def as_tuples(points: PointColumns) -> list[tuple[int, int, float]]:
    return list(zip(points.steps, points.at, points.values, strict=True))


@pytest.mark.parametrize("n_points", [1, MIN_PACKED - 1, MIN_PACKED, 1_000])
def test_columns_and_points_are_the_same(services: Services, n_points: int) -> None:
    """Points logged as columns come back one by one, and the other way round."""
    runs, run = services(Runs), made(services)
    steps = list(range(n_points))
    runs.log(PROJECT, run, LogBatch(points={"a": columns(steps)}))
    one_by_one = [
        MetricPoint(
            key="b", value=s / 4, step=s, at=datetime.fromtimestamp(0, UTC) + (START + s) * MICROSECOND
        )
        for s in steps
    ]
    runs.log(PROJECT, run, LogBatch(metrics=one_by_one))

    assert as_tuples(runs.points(PROJECT, run, "a").points) == as_tuples(columns(steps))
    assert as_tuples(runs.points(PROJECT, run, "b").points) == as_tuples(columns(steps))
    assert runs.history(PROJECT, run, "b", limit=10_000).items == one_by_one
    latest = {p.key: (p.step, p.value) for p in runs.metrics(PROJECT, run).items}
    assert latest == {"a": (steps[-1], steps[-1] / 4), "b": (steps[-1], steps[-1] / 4)}


def test_columns_sent_again_change_nothing(services: Services) -> None:
    """Neither the same batch, nor one that overlaps it, nor single points of it are counted twice."""
    runs, run = services(Runs), made(services)
    for batch in (range(200), range(200), range(100, 300), range(5), range(150, 152)):
        runs.log(PROJECT, run, LogBatch(points={"m": columns(list(batch))}))
        runs.log(PROJECT, run, LogBatch(points={"m": columns(list(batch)[::-1])}))

    assert as_tuples(runs.points(PROJECT, run, "m").points) == as_tuples(columns(list(range(300))))
    pages, after = [], None
    while True:
        page = runs.history(PROJECT, run, "m", limit=17, after=after)
        pages += [(p.step, p.value) for p in page.items]
        after = page.next
        if after is None:
            break
    assert pages == [(step, step / 4) for step in range(300)]


def test_columns_keep_nan_and_infinities(services: Services) -> None:
    """Values that JSON has no word for come back, also out of packed points."""
    runs, run = services(Runs), made(services)
    values = [math.nan, math.inf, -math.inf, 1e308, -0.5, 5e-324] * 20
    runs.log(PROJECT, run, LogBatch(points={"m": columns(list(range(120)), values)}))
    kept = runs.points(PROJECT, run, "m").points

    assert repr(kept.values) == repr(values)
    assert runs.get(PROJECT, run).metrics == {"m": 5e-324}


def test_the_latest_of_columns_is_a_number_before_nan(services: Services) -> None:
    """Of the points of the greatest step and time the greatest number counts, NaN only where there is no other."""
    runs, run = services(Runs), made(services)
    steps = [*range(100), 99, 99]
    at = [START] * 102
    runs.log(PROJECT, run, LogBatch(points={"m": columns(steps, [*[0.0] * 100, 7.0, math.nan], at)}))
    runs.log(PROJECT, run, LogBatch(points={"n": columns([1, 1], [math.nan, math.nan], [START, START])}))

    latest = {p.key: p for p in runs.metrics(PROJECT, run).items}
    assert (latest["m"].step, latest["m"].value) == (99, 7.0)
    assert math.isnan(latest["n"].value)
    assert len(runs.points(PROJECT, run, "n").points.steps) == 1


def test_a_history_comes_in_the_order_of_time(services: Services) -> None:
    """By time, then step, then value; in pages too; rows and packed points alike."""
    runs, run = services(Runs), made(services)
    rnd = random.Random(7)
    points = [(step, START + rnd.randrange(5), rnd.random()) for step in rnd.sample(range(1000), 300)]
    for part in (points[:200], points[200:250], points[250:]):
        steps, at, values = (list(column) for column in zip(*part, strict=True))
        runs.log(PROJECT, run, LogBatch(points={"m": PointColumns(steps=steps, at=at, values=values)}))
    by_time = sorted(points, key=lambda p: (p[1], p[0], p[2]))

    assert as_tuples(runs.points(PROJECT, run, "m").points) == sorted(points)
    assert as_tuples(runs.points(PROJECT, run, "m", order=HistoryOrder.TIME).points) == by_time
    paged, after = [], None
    while True:
        page = runs.history(PROJECT, run, "m", limit=64, after=after, order=HistoryOrder.TIME)
        paged += [(p.step, p.value) for p in page.items]
        after = page.next
        if after is None:
            break
    assert paged == [(step, value) for step, _, value in by_time]


def test_a_long_history_is_sampled_with_its_extremes(services: Services) -> None:
    """Few points are given, among them the first, the last, the least and the greatest; NaN hides no number."""
    runs, run = services(Runs), made(services)
    values = [math.sin(step / 50) for step in range(5_000)]
    values[1_234], values[4_321], values[2_000] = 99.0, -99.0, math.nan
    runs.log(PROJECT, run, LogBatch(points={"m": columns(list(range(5_000)), values), "n": columns([3])}))
    m, n = runs.histories(PROJECT, [run], ["m", "n", "none"], max_points=100).items

    assert (m.run_id, m.key, m.n_points, n.n_points) == (run, "m", 5_000, 1)
    assert 50 < len(m.points.steps) <= 100
    assert m.points.steps == sorted(m.points.steps)
    assert (m.points.steps[0], m.points.steps[-1]) == (0, 4_999)
    assert {99.0, -99.0} <= set(m.points.values)
    assert as_tuples(n.points) == as_tuples(columns([3]))


def test_a_very_long_history_is_sampled_wherever_its_points_are(services: Services) -> None:
    """Packed in long rows and in short ones, and not packed at all: the ends and every extreme of each are shown."""
    runs, run = services(Runs), made(services)
    values = [math.sin(step / 700) + (step % 13) / 100 for step in range(60_000)]
    for place in (0, 11_111, 29_999, 30_050, 33_333, 59_998):
        values[place] = 9.0 + place
        values[place + 1] = -9.0 - place
    values[500:1_500] = [math.nan] * 1_000
    edges = [0, 10_000, 20_000, 30_000, 30_100, 30_300, 40_000, 50_000, 59_950, 59_990, 60_000]
    for begin, end in pairwise(edges):
        points = columns(list(range(begin, end)), values[begin:end])
        runs.log(PROJECT, run, LogBatch(points={"m": points}))
    (found,) = runs.histories(PROJECT, [run], ["m"], max_points=200).items
    (part,) = runs.histories(PROJECT, [run], ["m"], max_points=200, start_step=20_000).items
    whole = dict(enumerate(values))

    assert (found.n_points, part.n_points) == (60_000, 40_000)
    for shown, first in ((found.points, 0), (part.points, 20_000)):
        numbers = [value for value in values[first:] if not math.isnan(value)]
        seen = [value for value in shown.values if not math.isnan(value)]
        assert 150 < len(shown.steps) <= 200
        assert shown.steps == sorted(set(shown.steps))
        assert (shown.steps[0], shown.steps[-1]) == (first, 59_999)
        assert (min(seen), max(seen)) == (min(numbers), max(numbers))
        assert repr([whole[step] for step in shown.steps]) == repr(shown.values)
        assert shown.at == [START + step for step in shown.steps]


def test_histories_are_cut_to_a_range_of_steps(services: Services) -> None:
    """Only steps between the two given ones count, both included, of each run."""
    runs, first, second = services(Runs), made(services), made(services)
    for run, shift in ((first, 0), (second, 1)):
        runs.log(PROJECT, run, LogBatch(points={"m": columns(list(range(shift, 400, 2)))}))
        runs.log(PROJECT, run, LogBatch(points={"m": columns([10_000 + shift])}))
    cut = runs.histories(PROJECT, [second, first], ["m"], start_step=100, end_step=104).items
    open_end = runs.histories(PROJECT, [first], ["m"], start_step=399).items
    nothing = runs.histories(PROJECT, [first], ["m"], start_step=401, end_step=500).items

    assert [(h.run_id, h.points.steps) for h in cut] == [(second, [101, 103]), (first, [100, 102, 104])]
    assert [h.points.steps for h in open_end] == [[10_000]]
    assert nothing == []


def test_histories_of_what_is_not_there(services: Services) -> None:
    """A run that is not there is an error; so is asking for nothing, or for too much at once."""
    runs, run = services(Runs), made(services)

    with pytest.raises(RunNotFound):
        runs.histories(PROJECT, [run, new_id()], ["m"])
    with pytest.raises(NotFound, match="`m`"):
        runs.points(PROJECT, run, "m")
    many = [f"m{i}" for i in range(40)]
    for ids, keys in ((None, ["m"]), ([run], None), ([new_id() for _ in range(30)], many)):
        with pytest.raises(Invalid, match="histories"):
            runs.histories(PROJECT, ids, keys)


BAD_COLUMNS = {
    "step": columns([2**70]),
    "negative step": columns([-(2**63)]),
    "time": PointColumns(steps=[0], at=[2**62], values=[1.0]),
    "too many": columns(list(range(10_001))),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_columns_that_pass_a_limit_are_refused(services: Services, case: str) -> None:
    """Steps of 64 bits, times that a clock can show, at most 10,000 points."""
    runs, run = services(Runs), made(services)

    with pytest.raises(Invalid):
        runs.log(PROJECT, run, LogBatch(points={"m": BAD_COLUMNS[case]}))
    assert runs.metrics(PROJECT, run).items == []


def test_columns_of_different_length_are_refused(services: Services) -> None:
    """What does not say for each point its step, time and value cannot be kept."""
    with pytest.raises(ValueError, match="length"):
        PointColumns(steps=[1, 2], at=[START], values=[1.0])
