"""Windows that are not as one wishes: each is counted, and says what it lacks."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.monitoring.entities import ColumnDrift, MonitorSection, Window
from noria.monitoring.reference import Reference
from noria.monitoring.windows.packing import unpack_counts
from support.windows import BEGIN, Kept, layout_of, quiet, reference_of, row

BY_HOUR = MonitorSection(window_s=3600)
BY_COUNT = MonitorSection(window_rows=100)


def judged(
    rows: list[Any], settings: MonitorSection = BY_COUNT, reference: Reference | None = None
) -> Window:
    """Give the one window that the rows make, as it comes back from JSON."""
    layout = layout_of(reference)
    kept = Kept(settings, lambda _: layout)
    kept.look(rows)
    (window,) = kept.windows.values()
    told = msgspec.json.decode(msgspec.json.encode(window), type=Window)
    assert told == window
    return told


def column(window: Window, name: str) -> ColumnDrift:
    assert window.drift is not None
    return next(each for each in window.drift.columns if each.name == name)


def test_one_row_is_counted_and_not_judged() -> None:
    """It says how many rows a comparison needs."""
    window = judged([row(1)], BY_HOUR)

    assert (window.n_rows, window.drift, window.lacks) == (1, None, ["1 rows; a comparison needs 20"])


def test_one_class() -> None:
    """Answers that are all of one class are compared like others."""
    window = judged([row(each.position, answer=1, **each.prediction.inputs) for each in quiet(100)])

    assert window.predictions is not None
    assert window.predictions.drifted


@pytest.mark.parametrize("nothing", [None, math.nan, "text", [1.0, 2.0]])
def test_all_missing(nothing: Any) -> None:
    """A column without any value, or without one that fits, has drifted by its missing values."""
    found = column(judged([row(i, x=nothing) for i in range(1, 101)]), "x")

    assert (found.test, found.drifted) == ("missing", True)


def test_constants_on_both_sides() -> None:
    """There is nothing to compare, and that is what is told."""
    reference = reference_of()
    constant = Reference(
        version=reference.version, columns={"x": np.full(300, 2.0)}, predictions=None, baseline=None
    )
    window = judged([row(i, x=2.0) for i in range(1, 101)], reference=constant)

    assert window.drift is None
    assert window.lacks[-1] == (
        "Every input is one and the same value here and in the reference: there is nothing to compare"
    )


@pytest.mark.parametrize("far", [math.inf, -math.inf, 1e300])
def test_infinities_and_huge_values(far: float) -> None:
    """They lie beyond the reference; every figure stays finite."""
    found = column(judged([row(i, x=far if i % 2 else 0.1) for i in range(1, 101)]), "x")

    assert found.drifted
    assert all(math.isfinite(value) for value in (found.statistic, found.p_value, found.psi))


def test_new_and_vanished_columns() -> None:
    """A new one is named, and one that vanished is missing."""
    rows = [row(i, region=None, colour="red", size=1) for i in range(1, 101)]
    window = judged(rows)

    assert window.lacks == [
        "Rows have inputs that the model does not take, which are not looked at: `colour`, `size`"
    ]
    assert (column(window, "region").test, column(window, "region").drifted) == ("missing", True)


def test_a_clock_that_is_ahead() -> None:
    """Such rows count as answered when they are seen, and the window says so; they open no window of the future."""
    now = BEGIN + timedelta(hours=1, minutes=30)
    kept = Kept(BY_HOUR)
    kept.look([*quiet(50), *quiet(30, first=51, at=BEGIN + timedelta(days=400))], now=now)
    first, second = kept.windows[1], kept.cutting.open[0] if kept.cutting else None
    kept.look(now=now + timedelta(hours=1))

    assert (first.n_rows, first.lacks) == (50, [])
    assert second is not None
    assert (second.index, second.n_rows) == (2, 30)
    assert kept.windows[2].lacks == [
        "30 rows are dated ahead of the clock, and counted as answered when they were seen"
    ]
    assert kept.cutting is not None
    assert kept.cutting.open == []


def test_a_row_of_before_the_first_window_belongs_to_it() -> None:
    """A clock that is behind loses no row."""
    kept = Kept(BY_HOUR)
    kept.look(quiet(30))
    kept.look([row(31, at=BEGIN - timedelta(days=3))])

    assert kept.windows[1].n_rows == 31


def test_a_reference_smaller_than_a_window() -> None:
    """Thirty rows tell little: quiet windows raise nothing, a large shift is still seen."""
    small = reference_of(30)
    calm = [judged(quiet(100, seed=seed), reference=small) for seed in range(2, 12)]
    moved = judged(quiet(100, shift=3.0), reference=small)

    assert sum(window.drifted for window in calm) <= 1
    assert column(moved, "x").drifted


def test_a_reference_without_rows() -> None:
    """It says so, and rows are counted."""
    empty = Reference(
        version=reference_of().version,
        columns={"x": np.array([]), "region": np.array([], dtype=str)},
        predictions=None,
        baseline=None,
    )
    window = judged(quiet(100), reference=empty)

    assert (window.n_rows, window.drift) == (100, None)
    assert window.lacks[0] == "The reference has no column that the model takes, or no rows"


def test_a_reference_of_texts_for_a_number() -> None:
    """The other columns are compared."""
    reference = reference_of()
    assert reference.columns is not None
    odd = Reference(
        version=reference.version,
        columns={**reference.columns, "x": np.array(["a", "b"] * 200)},
        predictions=reference.predictions,
        baseline=None,
    )
    window = judged(quiet(100), reference=odd)

    assert window.lacks == ["The reference of `x` holds no numbers, and the model takes numbers"]
    assert window.drift is not None
    assert [each.name for each in window.drift.columns] == ["region"]


def test_a_version_without_signature_or_files() -> None:
    """Its rows and errors are counted, and every window says what is lacking."""
    kept = Kept(BY_COUNT, lambda _: None)
    kept.look([row(i, error="it broke" if i % 4 == 0 else None) for i in range(1, 101)])
    (window,) = kept.windows.values()
    (counts,) = kept.bodies.values()

    assert (window.n_rows, window.n_errors, window.drift) == (100, 25, None)
    assert window.lacks == ["The files of version 1 are gone, or it lacks its task or signature"]
    assert unpack_counts(counts.body).counts.n_rows == 100


def test_a_reference_that_changes_within_a_window() -> None:
    """Rows stay counted; what was counted in other cells is not compared."""
    kept = Kept(BY_COUNT)
    kept.look(quiet(40))
    other = layout_of(reference_of(seed=9))
    kept.layouts = lambda _: other
    kept.look(quiet(60, first=41))
    (window,) = kept.windows.values()

    assert (window.n_rows, window.drift) == (100, None)
    assert window.lacks[0] == "What version 1 is compared with changed within this window"
    assert [unpack_counts(each.body).counts.n_rows for each in kept.bodies.values()] == [100]


def test_windows_that_are_cut_another_way_begin_anew() -> None:
    """What was open is judged as it is, and no row is lost."""
    kept = Kept(BY_COUNT)
    kept.look(quiet(130))
    kept.settings = BY_HOUR
    kept.look(quiet(20, first=131))
    kept.settings = MonitorSection(window_rows=20)
    kept.look(quiet(20, first=151))

    assert [(index, window.n_rows) for index, window in sorted(kept.windows.items())] == [
        (1, 100),
        (2, 30),
        (3, 20),
        (4, 20),
    ]
