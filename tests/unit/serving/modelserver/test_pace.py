"""Shadows rest while a machine has no processor to spare."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock, SystemClock
from noria.serving.modelserver.pace import ROWS_PER_S, SPARE, Pace, Spare, own_group


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that moves when somebody waits."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


def _wait(clock: ManualClock, seconds: float) -> bool:
    clock.advance(seconds)
    return False


def test_without_a_processor_to_spare_so_many_rows_are_predicted_a_second(clock: ManualClock) -> None:
    """However they come: what is slower than that does not rest, and time without any row is not saved up."""
    pace = Pace(clock, lambda seconds: _wait(clock, seconds), lambda: SPARE - 0.1)
    began = clock.monotonic()
    for n_rows in (100, 400, 1, 999):
        pace.rest(n_rows)
    assert clock.monotonic() - began == pytest.approx(1500 / ROWS_PER_S)

    clock.advance(100)
    began = clock.monotonic()
    pace.rest(500)
    assert clock.monotonic() - began == pytest.approx(500 / ROWS_PER_S)

    clock.advance(100)
    began = clock.monotonic()
    for _ in range(5):
        clock.advance(1.0)  # the prediction
        pace.rest(100)
    assert clock.monotonic() - began == pytest.approx(5 * (1.0 + 100 / ROWS_PER_S))


def test_with_a_processor_to_spare_nothing_rests(clock: ManualClock) -> None:
    """It is looked at now and then, also while it rests."""
    found = [0.0, SPARE, SPARE, 0.2]
    pace = Pace(clock, lambda seconds: _wait(clock, seconds), lambda: found.pop(0))
    began = clock.monotonic()
    pace.rest(10_000)
    assert clock.monotonic() - began == pytest.approx(0.5)
    pace.rest(10_000)
    assert clock.monotonic() - began == pytest.approx(0.5)
    clock.advance(0.5)
    pace.rest(10_000)
    assert len(found) == 1
    clock.advance(0.5)
    began = clock.monotonic()
    found += [0.0] * 100
    pace.rest(1_000)
    assert clock.monotonic() - began == pytest.approx(1_000 / ROWS_PER_S)


def test_whoever_is_to_stop_rests_no_more(clock: ManualClock) -> None:
    """At once."""
    waits: list[float] = []

    def stops(seconds: float) -> bool:
        waits.append(seconds)
        return True

    Pace(clock, stops, lambda: 0.0).rest(100_000)
    assert len(waits) == 1


def test_what_this_process_uses_is_to_spare() -> None:
    """And what nobody does; nothing is known before it was asked twice."""
    spare = Spare(SystemClock())
    assert spare() == 0.0
    until = time.process_time() + 0.2
    began, used = time.monotonic(), time.process_time()
    while time.process_time() < until:
        pass
    least = (time.process_time() - used) / (time.monotonic() - began)
    assert spare() >= 0.9 * least


def test_a_control_group_bounds_what_is_to_spare(tmp_path: Path, clock: ManualClock) -> None:
    """As a container has one: what the others in it use of its processors cannot be spared."""
    (tmp_path / "box").mkdir()
    (tmp_path / "own").write_text("0::/box\n")
    (tmp_path / "box" / "cpu.max").write_text("150000 100000\n")
    stat = tmp_path / "box" / "cpu.stat"
    stat.write_text("usage_usec 0\nuser_usec 0\n")
    group = own_group(tmp_path / "own", tmp_path)
    assert group == tmp_path / "box"

    idle = [0.0]
    spare = Spare(clock, group, lambda: idle[0])
    spare()
    idle[0] += 20.0
    stat.write_text("usage_usec 14000000\n")
    clock.advance(10)
    assert spare() == pytest.approx(0.1, abs=0.05)

    idle[0] += 20.0
    (tmp_path / "box" / "cpu.max").write_text("max 100000\n")
    clock.advance(10)
    assert spare() == pytest.approx(2.0, abs=0.05)


def test_without_a_control_group_there_is_no_bound(tmp_path: Path) -> None:
    """Where none is listed, the root of all is, or this is no Linux."""
    assert own_group(tmp_path / "none", tmp_path) is None
    (tmp_path / "own").write_text("12:cpu:/old\n0::/\n")
    assert own_group(tmp_path / "own", tmp_path) is None
