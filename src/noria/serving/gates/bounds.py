"""Bounds that gates judge by: always valid, so that a rollout may be looked at at any time and however often.

The upper bound is taken at the confidence that a gate passes with, the lower one at that it fails with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from noria.core.stats.sequential_search import Stream, upper_difference
from noria.serving.gate_rules import Gates

Interval = tuple[float, float]


class Bounds(NamedTuple):
    """A lower bound, which holds at the confidence to fail with, and an upper one at that to pass with."""

    lower: float
    upper: float


def bounds(gates: Gates, interval: Callable[[float], Interval]) -> Bounds:
    """Give the bounds of a figure.

    Parameters
    ----------
    interval
        Chance to be wrong at any time → always-valid interval.
    """
    return Bounds(interval(1 - gates.abort_confidence)[0], interval(1 - gates.confidence)[1])


def difference(gates: Gates, first: Stream, second: Stream) -> Bounds:
    """Give the bounds of the difference of two means within [0, 1], first minus second."""
    return Bounds(
        -upper_difference(second, first, 1 - gates.abort_confidence, low=0.0, high=1.0),
        upper_difference(first, second, 1 - gates.confidence, low=0.0, high=1.0),
    )
