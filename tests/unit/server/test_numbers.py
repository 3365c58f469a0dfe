"""Whole numbers of a request fit in 64 bits, wherever they stand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from noria.core.errors import Invalid
from noria.server.requests import check_numbers


class Reading(msgspec.Struct):
    """A request with columns."""

    steps: list[int] = []
    marks: dict[int, str] = {}
    more: Any = None


@pytest.mark.parametrize(
    "held",
    [
        2**63 - 1,
        -(2**63),
        Reading(steps=[2**63 - 1, -(2**63)], marks={7: "9" * 40}, more=[1, 0.5, True, None, 1e300]),
        [],
        {},
    ],
)
def test_numbers_of_64_bits_and_whatever_is_no_whole_number_arrive(held: Any) -> None:
    """The extremes fit; texts, truths and fractions are no whole numbers."""
    check_numbers(held)


@pytest.mark.parametrize(
    "held",
    [
        2**63,
        -(2**63) - 1,
        Reading(steps=[1, 2, 2**63]),
        Reading(marks={10**30: "key"}),
        Reading(more=[1, 0.5, {"deep": [Reading(steps=[-(10**19)])]}]),
        {"set": {1, 2**64}},
    ],
)
def test_a_larger_number_is_refused_wherever_it_stands(held: Any) -> None:
    """In a column, as a key, between fractions, and deep inside."""
    with pytest.raises(Invalid, match="64 bits"):
        check_numbers(held)
