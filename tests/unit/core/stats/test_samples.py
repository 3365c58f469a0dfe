from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats import samples


def test_missing_values_are_dropped_and_counted() -> None:
    """NaN and None both count as missing; order is kept."""
    values, n_missing = samples.one_sample(np.array([2.0, None, 1, float("nan")], dtype=object), name="x")

    assert values.tolist() == [2.0, 1.0]
    assert n_missing == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "`x` has no values"),
        ([float("nan")], "`x` has no values"),
        ([1.0, float("inf")], "`x` holds `inf`"),
        ([1.0, -1e200], "`x` holds `-1e+200`"),
        (["1"], "`x` must hold numbers, not `<U1`"),
        ([[1.0]], "`x` must have one dimension, not shape `(1, 1)`"),
        (np.array([object()]), "`x` must hold numbers"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "`x` must hold numbers, not `datetime64[D]`"),
    ],
)
def test_a_bad_sample_is_named(values: Any, said: str) -> None:
    """The message names the argument and the value."""
    with pytest.raises(Invalid) as caught:
        samples.one_sample(values, name="x")

    assert said in caught.value.message


def test_rows_with_a_missing_value_are_told() -> None:
    """Incomplete rows are left out, and the mask says which stayed."""
    rows, kept = samples.complete_rows([[[1.0, 2.0]], [[3.0, float("nan")]]], name="x")

    assert rows.tolist() == [[1.0, 2.0]]
    assert kept.tolist() == [True, False]


@pytest.mark.parametrize("values", [[], 3.0, [[], []], [[float("nan")]], [[float("inf")]]])
def test_a_bad_matrix_is_refused(values: Any) -> None:
    """No rows, no columns, nothing complete, infinite."""
    with pytest.raises(Invalid, match="`x`"):
        samples.complete_rows(values, name="x")


@pytest.mark.parametrize(
    ("values", "expected", "n_missing"),
    [
        ([3, 1], ["3", "1"], 0),
        ([3.0, float("nan"), 1.5], ["3", "1.5"], 1),
        (["a", None, "b"], ["a", "b"], 1),
        ([True, False], ["True", "False"], 0),
        (np.array([b"a", b"\xff"], dtype=object), ["a", "\ufffd"], 0),
        (np.array([np.datetime64("NaT"), "x"], dtype=object), ["x"], 1),
        (np.array(["2020-01-02", "NaT"], dtype="M8[D]"), ["2020-01-02"], 1),
        (np.array([Decimal("NaN"), Decimal(2)], dtype=object), ["2"], 1),
    ],
)
def test_categories_become_texts(values: Any, expected: list[str], n_missing: int) -> None:
    """Equal numbers read the same whatever their type."""
    found, missing = samples.labels(values, name="x")

    assert found.tolist() == expected
    assert missing == n_missing


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_an_error_probability_lies_strictly_between_0_and_1(alpha: float) -> None:
    """Anything else is refused by value."""
    with pytest.raises(Invalid, match="alpha"):
        samples.check_alpha(alpha)
