"""Points between the call that logs them and the disk."""

from __future__ import annotations

import itertools
import math
import threading
from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.tracking.buffer import MAX_ROW_KEYS, PointBuffer
from noria.tracking.frames import Points
from noria.tracking.gathering import columns_of

ALL = (10_000, 1 << 30)


@pytest.fixture
def buffer() -> PointBuffer:
    moments = itertools.count(1_000_000_000, 1_000)
    return PointBuffer(lambda: next(moments))


def taken(buffer: PointBuffer) -> dict[str, list[tuple[int, float]]]:
    """Take all that waits: steps and values by metric."""
    pieces = buffer.waiting(*ALL)
    buffer.forget(pieces)
    columns = columns_of(Points(rows.keys, data) for rows, data in pieces)
    return {key: list(zip(each.steps, each.values, strict=True)) for key, each in columns.items()}


def test_points_come_back_as_they_were_logged(buffer: PointBuffer) -> None:
    """Numbers of every kind are kept as floats with their step and moment."""
    buffer.add({"a": 0.5, "b": 1}, 3)
    buffer.add({"b": np.float32(0.25), "a": math.inf}, np.int64(-4))  # type: ignore[arg-type]
    buffer.add({"a": True}, 2**63 - 1)

    assert taken(buffer) == {"a": [(3, 0.5), (-4, math.inf), (2**63 - 1, 1.0)], "b": [(3, 1.0), (-4, 0.25)]}
    assert taken(buffer) == {}


def test_moments_are_whole_microseconds_of_the_clock() -> None:
    """The moment is that of the call."""
    buffer = PointBuffer(lambda: 1_700_000_000_123_456_789)
    buffer.add({"a": 1.0}, 0)
    columns = columns_of(Points(rows.keys, data) for rows, data in buffer.waiting(*ALL))

    assert columns["a"].at == [1_700_000_000_123_456]


def test_steps_count_up_from_the_last(buffer: PointBuffer) -> None:
    """Without a step a metric takes the one after its last, whichever call that was in."""
    for call, step in [
        ({"a": 0.0}, None),
        ({"a": 1.0, "b": 1.0}, None),
        ({"a": 2.0}, 10),
        ({"b": 2.0, "a": 3.0}, None),
        ({"a": 4.0}, None),
        ({"a": 5.0}, 3),
        ({"a": 6.0, "b": 3.0}, None),
    ]:
        buffer.add(call, step)
    steps = {
        key: [step for step, _ in sorted(points, key=lambda point: point[1])]
        for key, points in taken(buffer).items()
    }

    assert steps == {"a": [0, 1, 10, 11, 12, 3, 4], "b": [0, 1, 2]}


def test_counting_goes_on_from_what_is_known() -> None:
    """A resumed run says where its metrics stand."""
    buffer = PointBuffer(lambda: 0, {"a": 7})
    buffer.add({"a": 1.0, "b": 1.0}, None)
    buffer.add({"a": 2.0, "b": 2.0}, None)

    assert taken(buffer) == {"a": [(7, 1.0), (8, 2.0)], "b": [(0, 1.0), (1, 2.0)]}


@pytest.mark.parametrize(
    ("metrics", "step", "named"),
    [
        ({"a": "0.5"}, 1, "`a`"),
        ({"a": 1.0, "b": None}, None, "`b`"),
        ({"a": [1.0, 2.0]}, 1, "`a`"),
        ({"a": 1.0}, 0.5, r"0\.5"),
        ({"a": 1.0}, 2**63, "64 bits"),
        ({"a": 1.0}, np.array([1, 2]), "array"),
        ({"../a": 1.0}, 1, r"`\.\./a`"),
        ([1.0], 1, r"\[1\.0\]"),
    ],
)
def test_a_wrong_call_adds_nothing(buffer: PointBuffer, metrics: Any, step: Any, named: str) -> None:
    """It is refused with its name, known metrics or not, and none of it is kept."""
    buffer.add({"a": 0.0}, 0)
    buffer.add({"a": 0.0, "b": 0.0}, 0)
    taken(buffer)
    with pytest.raises(Invalid, match=named):
        buffer.add(metrics, step)

    assert taken(buffer) == {}


def test_no_step_follows_the_highest(buffer: PointBuffer) -> None:
    """Where counting has come to the end it says so, whatever else the call logs; a given step still does."""
    buffer.add({"a": 0.5}, 2**63 - 1)
    for metrics in ({"a": 1.0}, {"b": 1.0, "a": 1.0}):
        with pytest.raises(
            Invalid, match="`a` stands at step 9223372036854775807, the highest there is"
        ) as caught:
            buffer.add(metrics, None)
        assert caught.value.hint == 'Give the step yourself: log({"a": …}, step=…)'
    with pytest.raises(Invalid, match="highest there is"):
        PointBuffer(lambda: 0, {"a": 2**63}).add({"a": 1.0}, None)
    buffer.add({"a": 2.0}, 0)

    assert [rows.keys for rows, _ in buffer.waiting(100, 10_000)] == [("a",)]
    assert buffer.n_bytes == 2 * 24


@pytest.mark.parametrize("logged_before", [False, True])
def test_the_number_below_all_steps_is_refused(buffer: PointBuffer, logged_before: bool) -> None:
    """-2**63 fits in 64 bits, but is no step: it is refused where it is logged, not when it is sent."""
    if logged_before:
        buffer.add({"a": 0.5}, 0)
    waiting = buffer.n_bytes
    with pytest.raises(Invalid, match="does not fit in 64 bits"):
        buffer.add({"a": 1.0}, -(2**63))

    assert buffer.n_bytes == waiting


def test_a_number_that_raises_of_its_own_is_refused(buffer: PointBuffer) -> None:
    """A tensor of several elements raises what it likes when it is asked for a number."""

    class Tensor:
        def __float__(self) -> float:
            raise RuntimeError("only one element tensors can be converted")

    with pytest.raises(Invalid, match="`a`"):
        buffer.add({"a": Tensor()}, 1)


def test_a_call_with_very_many_metrics_becomes_rows_that_fit(buffer: PointBuffer) -> None:
    """Ten thousand metrics at once are fine."""
    buffer.add({f"m{i}": float(i) for i in range(10_000)}, 1)
    pieces = buffer.waiting(*ALL)

    assert max(len(rows.keys) for rows, _ in pieces) == MAX_ROW_KEYS
    assert len(taken(buffer)) == 10_000


def test_pieces_are_bounded_and_given_again_until_they_are_forgotten(buffer: PointBuffer) -> None:
    """What could not be written is not lost."""
    for step in range(100):
        buffer.add({"a": float(step), "b": 0.0}, step)
    pieces = buffer.waiting(20, 40 * 32)

    assert [len(data) // 32 for _, data in pieces] == [10, 10, 10, 10]
    assert buffer.waiting(20, 40 * 32) == pieces
    buffer.forget(pieces)
    assert [step for step, _ in taken(buffer)["a"]] == list(range(40, 100))


def test_threads_lose_nothing(buffer: PointBuffer) -> None:
    """Many threads add while one takes."""
    n_threads, n_calls = 4, 3_000
    found: dict[str, list[tuple[int, float]]] = {}

    def work(number: int) -> None:
        for step in range(n_calls):
            buffer.add({"shared": 1.0}, None)
            buffer.add({f"own{number}": float(step)}, step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for key, points in taken(buffer).items():
            found.setdefault(key, []).extend(points)
    for key, points in taken(buffer).items():
        found.setdefault(key, []).extend(points)

    assert sorted(step for step, _ in found["shared"]) == list(range(n_threads * n_calls))
    for number in range(n_threads):
        assert found[f"own{number}"] == [(step, float(step)) for step in range(n_calls)]


def test_a_child_begins_with_nothing(buffer: PointBuffer) -> None:
    """What waits at a fork is the parent's; the child counts on."""
    buffer.add({"a": 1.0}, None)
    buffer.empty()
    buffer.add({"a": 2.0}, None)

    assert taken(buffer) == {"a": [(1, 2.0)]}
