"""What is true of every history, page and batch."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.database.schema import to_micros
from noria.core.workspace import InProcess, Workspace
from noria.tracking.chunks import (
    N_ENDS,
    Columns,
    Point,
    columns_of,
    ordered,
    outline_of,
    pack,
    points_of,
    unpack,
)
from noria.tracking.compaction import compact_run
from noria.tracking.curves import curve_of
from noria.tracking.entities import LogBatch, NewRun, Run, RunStatus
from noria.tracking.histories import merge
from noria.tracking.limits import MAX_STEP
from noria.tracking.point_entities import HistoryOrder, MetricPoint, PointColumns
from noria.tracking.sampling import kept_places, n_blocks
from noria.tracking.service import Runs
from noria.tracking.sparkline import sparkline
from support.conformance import open_test_context, workspace_settings

PROJECT = "default"

# Examples that write to a database cost a hundred times what others do.
fewer = settings(max_examples=max(1, settings().max_examples // 4))
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

floats = st.floats(allow_nan=True, allow_infinity=True)
points = st.builds(
    MetricPoint,
    key=st.sampled_from(["a", "b/c", "größe"]),
    value=floats,
    step=st.one_of(st.integers(-2, 3), st.integers(-MAX_STEP, MAX_STEP)),
    at=st.integers(0, 3).map(lambda s: EPOCH + timedelta(seconds=s)),
)


@st.composite
def points_in_columns(draw: st.DrawFn) -> Columns:
    """Draw columns: a few odd points, or a long stretch of steps with some of them moved."""
    odd = st.lists(
        st.tuples(st.integers(-MAX_STEP, MAX_STEP), st.integers(0, 3), floats), min_size=1, max_size=9
    )
    if draw(st.booleans()):
        chosen = draw(odd)
    else:
        begin, n_points, stride = (
            draw(st.integers(-50, 50)),
            draw(st.integers(60, 130)),
            draw(st.integers(0, 3)),
        )
        chosen = [(begin + stride * i, i % 7, i / 3) for i in range(n_points)] + draw(st.just([]) | odd)
    steps, at, values = (list(column) for column in zip(*chosen, strict=True))
    return Columns(steps, at, values)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """Give one SQLite workspace for all examples; each uses runs of its own."""
    folder: Path = tmp_path_factory.mktemp("workspace")
    with open_test_context(workspace_settings(folder), SystemClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
def runs(context: Context) -> Runs:
    """Give the service on that workspace."""
    return Workspace(context.settings, InProcess(context), context.clock).service(Runs)


def same(point: MetricPoint) -> tuple[object, ...]:
    """Give what makes a point the same as another: NaN is NaN, and nought has no sign."""
    value = "nan" if math.isnan(point.value) else point.value + 0.0
    return (point.step, point.at, value)


def whole_history(runs: Runs, run_id: str, key: str, limit: int) -> list[MetricPoint]:
    found: list[MetricPoint] = []
    after = None
    while True:
        page = runs.history(PROJECT, run_id, key, limit=limit, after=after)
        found += page.items
        after = page.next
        if after is None:
            return found


@fewer
@given(batches=st.lists(st.lists(points, max_size=8), max_size=5), limit=st.integers(1, 5))
def test_every_point_comes_back_once(runs: Runs, batches: list[list[MetricPoint]], limit: int) -> None:
    """Paged in any size, a history is the set of the points that were logged, in order; NaN and all."""
    run = runs.create(PROJECT, NewRun())
    for batch in batches:
        runs.log(PROJECT, run.id, LogBatch(metrics=batch))
    logged = [point for batch in batches for point in batch]
    for key in {point.key for point in logged}:
        history = whole_history(runs, run.id, key, limit)

        assert len(history) == len({same(p) for p in history})
        assert {same(p) for p in history} == {same(p) for p in logged if p.key == key}
        assert [(p.step, p.at) for p in history] == sorted((p.step, p.at) for p in history)


@fewer
@given(batches=st.lists(st.lists(points, max_size=8), max_size=5), data=st.data())
def test_the_latest_value_is_that_of_the_history(
    runs: Runs, batches: list[list[MetricPoint]], data: st.DataObject
) -> None:
    """However points arrive, the latest is the greatest by step, time, number before NaN, value."""
    run = runs.create(PROJECT, NewRun())
    for batch in data.draw(st.permutations(batches)):
        runs.log(PROJECT, run.id, LogBatch(metrics=batch))
    expected: dict[str, MetricPoint] = {}
    for point in (point for batch in batches for point in batch):
        held = expected.get(point.key)
        expected[point.key] = point if held is None else max(held, point, key=rank)

    latest = {point.key: point for point in runs.metrics(PROJECT, run.id).items}
    assert {key: same(point) for key, point in latest.items()} == {
        key: same(point) for key, point in expected.items()
    }


def rank(point: MetricPoint) -> tuple[int, datetime, bool, float]:
    is_nan = math.isnan(point.value)
    return (point.step, point.at, not is_nan, 0.0 if is_nan else point.value)


@given(points_in_columns())
def test_packed_points_come_back(columns: Columns) -> None:
    """Whatever the steps, times and values, what was put in order and packed comes back."""
    kept = ordered(columns)
    back = points_of(unpack(pack(kept).data))

    assert back == points_of(kept) == sorted(set(points_of(columns)))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1), st.just(0), st.sampled_from([0.0, 1.0])))
    )
)
def test_merging_is_a_union(parts: list[list[Point]]) -> None:
    """Merged parts hold each point once, in order, whether or not they overlap."""
    tidy = [sorted(set(part)) for part in parts]

    assert merge(tidy) == sorted({point for part in parts for point in part})


def check_shown(shown: list[Point], whole: list[Point], max_points: int) -> None:
    """Few of the points are shown, in order and once: the first, the last, the least and the greatest among them."""
    numbers = [point[3] for point in whole if not point[2]]

    assert len(shown) <= max_points
    assert set(shown) <= set(whole)
    assert all(before < after for before, after in pairwise(shown))
    assert (shown[0], shown[-1]) == (whole[0], whole[-1])
    if numbers:
        seen = [point[3] for point in shown if not point[2]]
        assert (min(seen), max(seen)) == (min(numbers), max(numbers))


@given(st.lists(floats, min_size=1, max_size=300), st.integers(4, 60))
def test_samples_keep_the_extremes(values: list[float], max_points: int) -> None:
    """The least and the greatest number of a history, its first and its last point are shown."""
    n_points = len(values)
    whole = points_of(Columns(list(range(n_points)), [0] * n_points, values))

    check_shown([whole[place] for place in kept_places(values, max_points)], whole, max_points)


@given(
    sizes=st.lists(st.integers(1, 1_300), min_size=1, max_size=5),
    odd=st.lists(st.tuples(st.integers(0, 6_500), floats), max_size=5),
    max_points=st.integers(4, 60),
)
def test_outlines_keep_the_extremes(sizes: list[int], odd: list[tuple[int, float]], max_points: int) -> None:
    """So does a curve that is drawn from the outlines of its parts, of whatever length."""
    values = [math.nan if place % 700 < 300 else math.sin(place / 90) for place in range(sum(sizes))]
    for place, value in odd:
        values[place % len(values)] = value
    whole = points_of(Columns(list(range(len(values))), [-place for place in range(len(values))], values))
    parts, begin = [], 0
    for size in sizes:
        parts.append(outline_of(columns_of(whole[begin : begin + size])))
        begin += size
    most = 2 * sum(n_blocks(size) for size in sizes) + 2  # of so many blocks no more can be shown
    drawn = curve_of(parts, len(whole), min(most, max_points))

    assert drawn.n_points == len(whole)
    check_shown(points_of(drawn.points), whole, max_points)
    if most <= max_points:
        of_blocks = {point for part in parts for point in points_of(part)[N_ENDS:]}
        assert points_of(drawn.points) == sorted({whole[0], whole[-1], *of_blocks})


@fewer
@given(batches=st.lists(points_in_columns(), max_size=4), compacted=st.booleans(), limit=st.integers(1, 40))
def test_every_point_of_columns_comes_back_once(
    context: Context, runs: Runs, batches: list[Columns], compacted: bool, limit: int
) -> None:
    """Rows, packed points and both together read as one history, whole, paged and by time."""
    run = runs.create(PROJECT, NewRun())
    for batch in batches:
        runs.log(PROJECT, run.id, LogBatch(points={"m": PointColumns(**batch._asdict())}))
    if compacted:
        compact_run(context, run.id)
    logged = sorted({point for batch in batches for point in points_of(batch)})
    if not logged:
        return
    by_time = sorted(logged, key=lambda p: (p[1], p[0], *p[2:]))
    whole, timed = (
        runs.points(PROJECT, run.id, "m", order=order).points
        for order in (HistoryOrder.STEP, HistoryOrder.TIME)
    )
    paged = whole_history(runs, run.id, "m", limit)

    assert points_of(Columns(whole.steps, whole.at, whole.values)) == logged
    assert points_of(Columns(timed.steps, timed.at, timed.values)) == by_time
    assert [(p.step, to_micros(p.at)) for p in paged] == [point[:2] for point in logged]


@fewer
@given(n_before=st.integers(1, 25), n_during=st.integers(0, 15), limit=st.integers(1, 7), data=st.data())
def test_pages_cover_all_runs_once_while_others_are_made(
    runs: Runs, n_before: int, n_during: int, limit: int, data: st.DataObject
) -> None:
    """Every run that was there at the start is listed exactly once, whatever is added between the pages."""
    experiment = msgspec.json.encode(data.draw(st.uuids())).decode().strip('"')
    start = st.integers(0, 3).map(lambda s: EPOCH + timedelta(seconds=s))

    def make() -> str:
        return runs.create(PROJECT, NewRun(experiment=experiment, started_at=data.draw(start))).id

    known = {make() for _ in range(n_before)}
    listed: list[str] = []
    before = None
    while True:
        page = runs.list(PROJECT, experiment=experiment, limit=limit, before=before)
        listed += [run.id for run in page.items]
        before = page.next
        if before is None:
            break
        for _ in range(data.draw(st.integers(0, n_during))):
            make()

    assert len(listed) == len(set(listed))
    assert known <= set(listed)


def test_pages_cover_all_points_while_a_thread_logs(runs: Runs) -> None:
    """A history read in pages while another thread appends to it has every earlier point once, in order."""
    run = runs.create(PROJECT, NewRun())
    first = [MetricPoint(key="m", value=float(step), step=step, at=EPOCH) for step in range(0, 400, 2)]
    runs.log(PROJECT, run.id, LogBatch(metrics=first))
    stop = threading.Event()

    def append() -> None:
        for step in range(1, 400, 2):
            if stop.is_set():
                return
            point = MetricPoint(key="m", value=float(step), step=step, at=EPOCH)
            runs.log(PROJECT, run.id, LogBatch(metrics=[point]))

    writer = threading.Thread(target=append)
    writer.start()
    try:
        read = [p.step for p in whole_history(runs, run.id, "m", 10)]
    finally:
        stop.set()
        writer.join()

    assert read == sorted(set(read))
    assert set(range(0, 400, 2)) <= set(read)


@given(points)
def test_a_point_survives_the_wire(point: MetricPoint) -> None:
    """JSON and back gives the same float, bit for bit where it is one."""
    back = msgspec.json.decode(msgspec.json.encode(point), type=MetricPoint)

    assert (back.key, back.step, back.at) == (point.key, point.step, point.at)
    if math.isnan(point.value):
        assert math.isnan(back.value)
    else:
        assert struct.pack("d", back.value) == struct.pack("d", point.value)


@given(st.dictionaries(st.text(max_size=5), floats, max_size=6))
def test_a_run_survives_the_wire(metrics: dict[str, float]) -> None:
    """All metrics of a run come back, whichever of them are finite."""
    run = Run(
        id="x",
        project="p",
        experiment="e",
        name="n",
        status=RunStatus.RUNNING,
        started_at=EPOCH,
        metrics=metrics,
    )
    back = msgspec.json.decode(msgspec.json.encode(run), type=Run)

    assert {key: repr(value) for key, value in back.metrics.items()} == {
        key: repr(value) for key, value in run.metrics.items()
    }


@given(st.lists(floats, max_size=100), st.integers(1, 40))
def test_a_sparkline_is_as_wide_as_it_may_be(values: list[float], width: int) -> None:
    """One character a value, at most the width, whatever the values."""
    assert len(sparkline(values, width=width)) == min(len(values), width)
