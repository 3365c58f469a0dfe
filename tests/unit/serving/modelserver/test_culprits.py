"""The value that a model raises on is found by trying parts of the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from noria.serving.modelserver.culprits import Culprit, find_culprit, n_tries
from noria.serving.modelserver.lanes import CULPRIT_S, Lane

Arrays = Mapping[str, NDArray[Any]]
KNOWN = {"x": np.zeros((1, 2, 3)), "colour": np.array(["red"]), "size": np.ones((1, 1))}


class Picky:
    """A model that raises on numbers below 0 and on colours that it does not know, and counts its calls."""

    def __init__(self) -> None:
        self.n_calls = 0

    def raises(self, inputs: Arrays) -> bool:
        """Tell so."""
        self.n_calls += 1
        return bool(
            (inputs["x"] < 0).any() or (inputs["size"] < 0).any() or (inputs["colour"] == "mauve").any()
        )

    def predict(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Raise, or give sums."""
        if self.raises(inputs):
            raise ValueError("no")
        return {"predictions": inputs["x"].sum(axis=(1, 2))}


def request(n_rows: int) -> dict[str, NDArray[Any]]:
    """Give rows that the model answers."""
    return {
        "x": np.full((n_rows, 2, 3), 7.0),
        "colour": np.array(["blue "] * n_rows),
        "size": np.full((n_rows, 1), 3.0),
    }


@given(n_rows=st.integers(1, 300), row=st.integers(0, 299), place=st.integers(0, 7))
def test_a_single_bad_value_is_found(n_rows: int, row: int, place: int) -> None:
    """Its row, its input with the place in it, and the value, in no more calls than are stated."""
    row %= n_rows
    inputs = request(n_rows)
    if place < 6:
        inputs["x"].reshape(n_rows, 6)[row, place] = -2.0
        wanted = Culprit(row, f"x[{place // 3}, {place % 3}]", -2.0)
    elif place == 6:
        inputs["colour"][row] = "mauve"
        wanted = Culprit(row, "colour", "mauve")
    else:
        inputs["size"][row] = -1.0
        wanted = Culprit(row, "size", -1.0)
    model = Picky()

    assert find_culprit(model.raises, inputs, n_rows, KNOWN) == wanted
    assert model.n_calls <= n_tries(inputs, n_rows)


@given(bad=st.sets(st.tuples(st.integers(0, 19), st.integers(0, 5)), min_size=1))
def test_of_many_bad_values_one_that_is_bad_is_named(bad: set[tuple[int, int]]) -> None:
    """Whichever it is, the model raises on it."""
    inputs = request(20)
    for row, place in bad:
        inputs["x"].reshape(20, 6)[row, place] = -1.0 - place
    found = find_culprit(Picky().raises, inputs, 20, KNOWN)

    assert found is not None
    row, column = (int(each) for each in found.field[2:-1].split(", "))
    assert (found.row, row * 3 + column) in bad
    assert found.value == -1.0 - (row * 3 + column)


def test_what_cannot_be_told_is_not_told() -> None:
    """A model that raises no more, one that raises on what it is known to answer, and inputs of other shapes."""
    inputs = request(4)

    assert find_culprit(Picky().raises, inputs, 4, KNOWN) is None
    assert find_culprit(lambda _: True, inputs, 4, KNOWN) is None
    assert find_culprit(Picky().raises, inputs, 4, {**KNOWN, "size": np.ones((1, 2))}) is None
    assert find_culprit(Picky().raises, {}, 0, {}) is None


def test_a_lane_looks_only_where_it_knows_a_row_and_has_the_time() -> None:
    """It is the row that it was warmed with; a model that takes long is not asked again and again."""
    inputs = request(3)
    inputs["colour"][1] = "mauve"
    lane = Lane(Picky())  # type: ignore[arg-type]  # what is used of it
    cold = lane.culprit(inputs, 3)
    lane.measure(KNOWN, 1)
    warm = lane.culprit(inputs, 3)
    lane._base_s = CULPRIT_S
    slow = lane.culprit(inputs, 3)

    assert (cold, warm, slow) == (None, Culprit(1, "colour", "mauve"), None)
