"""What people log becomes floats and texts."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.tracking.values import as_float, as_step, as_text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(2.5), 2.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (math.inf, math.inf),
    ],
)
def test_numbers_of_every_kind_are_floats(value: Any, number: float) -> None:
    """Whatever stands for one number is taken."""
    assert as_float("m", value) == number


@pytest.mark.parametrize("value", ["1", b"1", None, [1.0], (1,), {}, 1j, 10**400, np.array([1.0, 2.0])])
def test_what_is_no_single_number_is_refused(value: Any) -> None:
    """The error names the metric and the type."""
    with pytest.raises(Invalid, match=rf"`m` is {type(value).__name__}"):
        as_float("m", value)


@pytest.mark.parametrize(("value", "step"), [(0, 0), (np.int32(5), 5), (-3, -3), (2**63 - 1, 2**63 - 1)])
def test_integers_are_steps(value: Any, step: int) -> None:
    """A step is an integer of any kind."""
    assert as_step(value) == step


@pytest.mark.parametrize("value", [0.5, 1.0, "1", None, 2**63])
def test_other_steps_are_refused(value: Any) -> None:
    """A step that is no integer, or no database's, is named."""
    with pytest.raises(Invalid, match="step"):
        as_step(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (1, "1"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (True, "true"),
        (None, "null"),
        ([1, "a", None], '[1,"a",null]'),
        ({"a": {"b": 1}}, '{"a":{"b":1}}'),
        (np.float64(0.5), "0.5"),
        (np.int64(7), "7"),
        (np.bool_(True), "true"),
    ],
)
def test_params_become_text(value: Any, text: str) -> None:
    """Text stays, numbers are as Python writes them, the rest is JSON."""
    assert as_text("p", value) == text


@pytest.mark.parametrize("value", [object(), lambda: None, np.arange(3)])
def test_what_has_no_text_form_is_refused(value: Any) -> None:
    """The error names the key and the type: a memory address would be no param."""
    with pytest.raises(Invalid, match="`p`"):
        as_text("p", value)
