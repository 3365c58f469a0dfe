"""Repairs applied to arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.serving.repairs.applying import Repairer, changed
from noria.serving.repairs.entities import (
    Bad,
    ByEstimate,
    ByExchange,
    ByFactor,
    ByLine,
    ByTable,
    Change,
    ColumnRepair,
)


def mended(change: Change, sent: Any, **others: Any) -> list[Any]:
    arrays = {"a": np.asarray(sent), **{name: np.asarray(values) for name, values in others.items()}}
    found, received = Repairer([ColumnRepair(column="a", change=change)])(arrays)
    assert received["received:a"] is arrays["a"]
    result: list[Any] = found["a"].tolist()
    return result


def test_a_unit_is_taken_back() -> None:
    """What was sent is slope times what is meant, and an offset; whole numbers stay whole."""
    assert mended(ByLine(slope=1.8, offset=32.0), [32.0, 50.0]) == pytest.approx([0.0, 10.0])
    assert mended(ByLine(slope=1000.0), [1500, 2000]) == [2, 2]


def test_what_is_right_already_stays() -> None:
    """A row of a sender that is right again lies where rows always lay, and would not once it was changed."""
    line = ByLine(slope=0.01, low=0.0, high=100.0)

    assert mended(line, [0.5, 80.0, 300.0]) == pytest.approx([50.0, 80.0, 30_000.0])
    assert changed(
        ColumnRepair(column="a", change=line), np.array([80.0]), {}, whole=True
    ).tolist() == pytest.approx([8_000.0])


def test_values_of_few_steps_come_back_exactly() -> None:
    """Code that asks for equality finds the value that it knows."""
    line = ByLine(slope=0.3048, points=[1.0, 2.0, 3.0])
    assert mended(line, [2 * 0.3048 * (1 + 1e-9)]) == [2.0]


def test_rows_outside_alone_are_divided() -> None:
    """A missing value is no value outside."""
    found = mended(ByFactor(factor=1000.0, low=0.0, high=10.0), [5.0, 5000.0, np.nan])
    assert found[:2] == [5.0, 5.0]
    assert np.isnan(found[2])


def test_codes_are_taken_back() -> None:
    """Texts and numbers; longer texts than any that was sent are not cut off."""
    assert mended(ByTable(codes={"NY": "New York"}), ["NY", "LA"]) == ["New York", "LA"]
    assert mended(ByTable(codes={"1.0": "2.0", "2.0": "1.0"}), [1, 2, 3]) == [2, 1, 3]


def test_two_columns_get_their_own_values_again() -> None:
    """Numbers keep the type of their column, texts their length, places of one input too; what was sent is told."""
    rows = {"rooms": np.array([70, 81]), "area": np.array([2.0, 3.0]), "city": np.array(["no", "so"])}
    change = ColumnRepair(column="rooms", change=ByExchange(other="area"))
    found, received = Repairer([change])(rows)

    assert (found["rooms"].tolist(), found["area"].tolist()) == ([2, 3], [70.0, 81.0])
    assert found["rooms"].dtype == rows["rooms"].dtype
    assert {name: array.tolist() for name, array in received.items()} == {
        "received:rooms": [70, 81],
        "received:area": [2.0, 3.0],
    }
    assert rows["rooms"].tolist() == [70, 81]

    texts = {"a": np.array(["x"]), "b": np.array(["longer"])}
    found, _ = Repairer([ColumnRepair(column="a", change=ByExchange(other="b"))])(texts)
    assert (found["a"].tolist(), found["b"].tolist()) == (["longer"], ["x"])

    wide = {"x": np.array([[1.0, 2.0, 3.0]])}
    found, _ = Repairer([ColumnRepair(column="x[0]", change=ByExchange(other="x[2]"))])(wide)
    assert found["x"].tolist() == [[3.0, 2.0, 1.0]]
    assert wide["x"].tolist() == [[1.0, 2.0, 3.0]]


def test_what_is_lost_is_estimated_of_the_others() -> None:
    """By a sum that is held to where values lay; what the others lack counts as their middle."""
    change = ByEstimate(
        bad=Bad.MISSING, middle=1.0, low=0.0, high=5.0, weights={"b": 2.0}, middles={"b": 1.0}
    )
    b = [2.0, np.nan, 100.0, 7.0]

    assert mended(change, [np.nan, np.nan, np.nan, 4.0], b=b) == [3.0, 1.0, 5.0, 4.0]


@pytest.mark.parametrize(
    ("change", "sent", "expected"),
    [
        (ByEstimate(bad=Bad.VALUE, value="-1", middle=3.0), [-1.0, 2.0], [3.0, 2.0]),
        (ByEstimate(bad=Bad.OUTSIDE, middle=3.0, low=0.0, high=9.0), [-1.0, 2.0], [3.0, 2.0]),
        (ByEstimate(bad=Bad.ALL, middle=3.0), [1.0, 2.0], [3.0, 3.0]),
        (ByEstimate(bad=Bad.UNSEEN, known=["a", "b"], code="a"), ["zz", "b"], ["a", "b"]),
        (ByEstimate(bad=Bad.VALUE, value="?", code="a"), ["?", "b", ""], ["a", "b", "a"]),
    ],
)
def test_which_values_are_lost(change: ByEstimate, sent: list[Any], expected: list[Any]) -> None:
    """Those that stand for none, lie outside, or were never seen; or all of them."""
    assert mended(change, sent) == expected


def test_a_place_in_an_array_is_put_right_alone() -> None:
    """The rest of the array stays, what was sent is kept whole, and the caller's array is not touched."""
    sent = np.array([[1.0, 20.0], [3.0, 40.0]])
    arrays = {"x": sent, "y": np.array([1.0, 1.0])}
    found, received = Repairer([ColumnRepair(column="x[1]", change=ByLine(slope=10.0))])(arrays)

    assert found["x"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert received["received:x"].tolist() == sent.tolist() == [[1.0, 20.0], [3.0, 40.0]]
    assert found["y"] is arrays["y"]


def test_a_repair_builds_on_those_before_it() -> None:
    """An estimate takes a column that was scaled back as it is meant."""
    repairs = [
        ColumnRepair(column="b", change=ByLine(slope=10.0)),
        ColumnRepair(column="a", change=ByEstimate(bad=Bad.ALL, weights={"b": 1.0})),
    ]
    found, _ = Repairer(repairs)({"a": np.array([9.0]), "b": np.array([70.0])})

    assert (found["a"].tolist(), found["b"].tolist()) == ([7.0], [7.0])


def test_a_column_that_a_version_does_not_take_is_left_out() -> None:
    """A repair outlives a change of the version."""
    found, received = Repairer([ColumnRepair(column="gone", change=ByLine(slope=2.0))])({"a": np.ones(1)})
    assert (found["a"].tolist(), received) == ([1.0], {})
