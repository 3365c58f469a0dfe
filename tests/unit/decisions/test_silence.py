"""Columns that keep their looks and tell nothing any more."""

from __future__ import annotations

import numpy as np
import pytest

from noria.decisions.stages.silence import Side, silent_column

DIMENSIONS = {"a": np.array([0]), "b": np.array([1]), "c": np.array([2])}


def side(n: int, seed: int, *, effect: float = 2.0) -> Side:
    """Draw rows whose target follows all three columns."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3))
    return Side(
        rows=rows, targets=rows[:, 0] + effect * rows[:, 1] + 0.5 * rows[:, 2] + rng.normal(0, 0.3, n)
    )


def shuffled(of: Side) -> Side:
    """Give the second column the values of other rows."""
    rows = of.rows.copy()
    rows[:, 1] = np.random.default_rng(9).permutation(rows[:, 1])
    return Side(rows=rows, targets=of.targets)


def as_classes(of: Side) -> Side:
    return Side(rows=of.rows, targets=np.where(of.targets > 0, "yes", "no"))


@pytest.mark.parametrize("classes", [False, True])
def test_a_shuffled_column_is_named(classes: bool) -> None:
    """It is of no use any more, and the others are of the use that they were."""
    known, live = side(1_500, 1), shuffled(side(500, 2))
    if classes:
        known, live = as_classes(known), as_classes(live)

    found = silent_column(known, live, DIMENSIONS, ["a", "b"])

    assert found is not None
    name, then, now = found
    assert name == "b"
    assert then.is_sure
    assert not now.is_sure


def test_what_still_tells_something_is_not_silent() -> None:
    """In a world where a column matters a fifth of what it did, it was not shuffled."""
    known, live = side(1_500, 1), side(500, 2, effect=0.4)

    assert silent_column(known, live, DIMENSIONS, ["a", "b"]) is None


def test_a_rule_that_turned_for_half_of_the_rows_silences_no_single_column() -> None:
    """Old and new effect cancel, but what the others say is wrong as well."""
    known, live = as_classes(side(1_500, 1)), as_classes(side(500, 2))
    turned = np.random.default_rng(3).random(500) < 0.5
    live = Side(rows=live.rows, targets=np.where(turned == (live.targets == "yes"), "no", "yes"))

    assert silent_column(known, live, DIMENSIONS, ["b"]) is None


def test_few_rows_say_nothing() -> None:
    """Below eighty labelled rows no column is called silent."""
    assert silent_column(side(1_500, 1), shuffled(side(60, 2)), DIMENSIONS, ["a", "b"]) is None
