"""Which rows teach."""

from __future__ import annotations

import numpy as np
import pytest

from noria.core.stats.columns import put_column
from noria.decisions.entities import FITTED, Cause, Scheme
from noria.decisions.schemes import schemes_for
from noria.decisions.teaching import kept_rows, taught_arrays

OLD = {"x": np.arange(20.0).reshape(10, 2), "y": np.arange(10), "note": np.array("text")}
NEW = {"x": -np.ones((4, 2))}


@pytest.mark.parametrize(("scheme", "n_old"), [(Scheme.ALL, 10), (Scheme.WEIGHTED, 4), (Scheme.RECENT, 0)])
def test_a_scheme_keeps_its_share_of_old_rows(scheme: Scheme, n_old: int) -> None:
    """Inputs and labels stay together, new rows follow, and what is no array of rows stays."""
    kept = kept_rows(OLD, scheme, 4, n_rows=10)
    taught = taught_arrays(kept, NEW, [99] * 4, target="y")

    assert len(taught["y"]) == len(taught["x"]) == n_old + 4
    assert (taught["x"][:n_old, 0] == 2 * taught["y"][:n_old]).all()
    assert (taught["y"][n_old:] == 99).all()
    assert taught["note"].item() == "text"


def test_more_new_rows_than_old_ones_keep_all_of_these() -> None:
    """Weighing the same takes no row twice."""
    assert len(kept_rows(OLD, Scheme.WEIGHTED, 50, n_rows=10)["y"]) == 10


def test_old_rows_are_left_out_only_where_they_may_mislead() -> None:
    """A likely change of labels given inputs tries new rows alone; what is cheap weighs them always."""
    assert schemes_for({Cause.CONCEPT_DRIFT: 0.3, Cause.UNKNOWN: 0.7}) == list(FITTED)
    assert schemes_for({Cause.COVARIATE_DRIFT: 0.3, Cause.UNKNOWN: 0.7}) == [Scheme.ALL, Scheme.WEIGHTED]
    for cause in (Cause.LABEL_DRIFT, Cause.NEW_CLASS):
        rest = {Cause.CONCEPT_DRIFT: 0.05, cause: 0.95}
        assert schemes_for(rest) == [Scheme.ALL]
        assert schemes_for(rest, cheap=True) == [Scheme.ALL, Scheme.WEIGHTED]


@pytest.mark.parametrize("name", ["a", "x[1]", "m[1,0]"])
def test_a_column_goes_back_where_it_was_taken_from(name: str) -> None:
    """Only the named column changes, in the type that it had."""
    arrays = {"a": np.arange(3), "x": np.zeros((3, 2)), "m": np.zeros((3, 2, 2))}
    before = {key: value.copy() for key, value in arrays.items()}
    put_column(arrays, name, np.array([7.0, 8.0, 9.0]))
    found = {"a": arrays["a"], "x[1]": arrays["x"][:, 1], "m[1,0]": arrays["m"][:, 1, 0]}

    assert found[name].tolist() == [7, 8, 9]
    assert sum(int((arrays[key] != before[key]).sum()) for key in arrays) == 3
    assert arrays["a"].dtype == before["a"].dtype
