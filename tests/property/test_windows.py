"""Stored windows are the same however a stream was split into looks and batches, and in whatever order it came."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from noria.core.stats.counters import TableCounter
from noria.monitoring.entities import MonitorSection
from noria.monitoring.windows.packing import unpack_counts
from noria.serving.captured_blocks import blocks_of_rows
from noria.serving.predictions import CapturedRow
from support.windows import BEGIN, Kept, layout_of, reference_of, row

LAYOUTS = {
    number: layout_of(reference_of(seed=number, number=number), segment_columns=["region"])
    for number in (1, 2)
}
VALUES = st.lists(
    st.tuples(
        st.one_of(st.floats(), st.none(), st.floats(-3, 3)),
        st.sampled_from(["north", "south", "elsewhere", None]),
        st.integers(0, 5 * 3600),
        st.sampled_from([1, 1, 1, 2, 3]),  # no reference is known of the third
        st.sampled_from([0, 1, None]),
    ),
    min_size=1,
    max_size=120,
)
CUTS = st.lists(st.integers(0, 120), max_size=6)


def rows_of(values: list[Any]) -> list[CapturedRow]:
    """Give rows; one without an answer failed."""
    return [
        row(
            place + 1,
            x=x,
            region=region,
            at=BEGIN + timedelta(seconds=second),
            version=version,
            answer=answer,
            error="it broke" if answer is None else None,
        )
        for place, (x, region, second, version, answer) in enumerate(values)
    ]


def folded(rows: list[CapturedRow], looks: list[int], batches: list[int], **how: Any) -> Kept:
    """Fold rows in some looks, each of some batches; the last one comes when every window is over."""
    kept = Kept(MonitorSection(segments={"prices": ["region"]}, **how), LAYOUTS.get)
    kept.look(now=BEGIN)  # windows by time begin with the first look
    for begin, end in itertools.pairwise(sorted({0, *looks, len(rows)})):
        some = rows[begin:end]
        parts = [some[a:b] for a, b in itertools.pairwise(sorted({0, *batches, len(some)}))]
        kept.look(*parts, now=BEGIN + timedelta(hours=5, minutes=59))
    kept.look(now=BEGIN + timedelta(days=2))
    return kept


def told(kept: Kept) -> dict[Any, Any]:
    return {place: unpack_counts(each.body) for place, each in sorted(kept.bodies.items())}


@settings(max_examples=60, deadline=None)
@given(values=VALUES, looks=CUTS, batches=CUTS, data=st.data())
def test_windows_by_time_do_not_depend_on_batches_or_order(
    values: list[Any], looks: list[int], batches: list[int], data: st.DataObject
) -> None:
    """Counters and verdicts, digit for digit, also of rows that come when their window was judged already."""
    rows = rows_of(values)
    whole = folded(rows, [], [], window_s=3600)
    parted = folded(data.draw(st.permutations(rows)), looks, batches, window_s=3600)

    assert told(parted) == told(whole)
    assert parted.windows == whole.windows


@settings(max_examples=60, deadline=None)
@given(values=VALUES, looks=CUTS, batches=CUTS)
def test_windows_by_count_do_not_depend_on_batches(
    values: list[Any], looks: list[int], batches: list[int]
) -> None:
    """Every window but the last has its number of rows, and all rows are in one."""
    rows = rows_of(values)
    whole = folded(rows, [], [], window_rows=20)
    parted = folded(rows, looks, batches, window_rows=20)
    open_rows = sum(window.n_rows for window in parted.cutting.open) if parted.cutting else 0

    assert told(parted) == told(whole)
    assert parted.windows == whole.windows
    assert {window.n_rows for window in parted.windows.values()} <= {20}
    assert sum(window.n_rows for window in parted.windows.values()) + open_rows == len(rows)


@settings(max_examples=40, deadline=None)
@given(values=VALUES, looks=CUTS)
def test_counters_are_a_recount_of_all_rows(values: list[Any], looks: list[int]) -> None:
    """By window and version; and the segments of each add up to it."""
    rows = rows_of(values)
    kept = folded(rows, looks, [], window_s=3600)
    found = told(kept)
    by_place: dict[tuple[int, int], list[CapturedRow]] = {}
    for each in rows:
        hour = (each.prediction.at - BEGIN) // timedelta(hours=1)
        by_place.setdefault((hour + 1, each.prediction.version), []).append(each)

    assert {place[:2] for place in found} == set(by_place)
    for (index, version), some in by_place.items():
        layout, stored = LAYOUTS.get(version), found[index, version, ""].counts
        parts = [
            each.counts.n_rows for place, each in found.items() if place[:2] == (index, version) and place[2]
        ]
        assert stored.n_rows == len(some)
        if layout is None:
            assert not parts
            continue
        counter = TableCounter(layout.profile)
        counter.update(layout.columns(*blocks_of_rows(some)))
        assert stored == counter.counts
        assert sum(parts) == len(some)
