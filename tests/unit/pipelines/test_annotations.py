"""Whether a value fits an annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from noria.pipelines.annotations import conforms

T = TypeVar("T")


class Sized(Protocol):
    def size(self) -> int: ...


class Pair(NamedTuple):
    a: int
    b: int


@pytest.mark.parametrize(
    ("value", "annotation", "fits"),
    [
        (1, int, True),
        (np.int64(1), int, True),
        (True, int, False),
        (1.0, int, False),
        (1, float, True),
        (np.float32(1), float, True),
        (True, float, False),
        ("1", float, False),
        (True, bool, True),
        (None, None, True),
        (1, None, False),
        (1, Any, True),
        (1, object, True),
        (1, T, True),
        ([1], list[str], True),
        ((1,), list[int], False),
        ((1, "a"), tuple[int, str], True),
        ((1, 2), tuple[int, str], False),
        ((1, 2, 3), tuple[int, ...], True),
        (Pair(1, 2), Pair, True),
        ((1, 2), Pair, False),
        ({}, Mapping[str, int], True),
        (np.zeros(1), np.ndarray, True),
        (np.zeros(1), npt.NDArray[np.float64], True),
        ([0.0], npt.NDArray[np.float64], False),
        (len, Callable[[Any], int], True),
        (1, Callable[..., int], False),
        (None, int | None, True),
        ("a", int | None, False),
        ("a", Literal["a", "b"], True),
        (1, Literal[True], False),
        (1, Sized, True),
        (int, type[int], True),
    ],
)
def test_a_value_fits_by_its_outermost_type(value: Any, annotation: Any, fits: bool) -> None:
    """Numbers of NumPy are numbers, a bool is none, and what cannot be told at run time fits."""
    assert conforms(value, annotation) is fits
