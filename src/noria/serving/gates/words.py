"""What gates say, and how they write figures."""

from __future__ import annotations

import math

from noria.serving.gate_rules import GateResult, Verdict
from noria.serving.gates.bounds import Bounds

Figures = dict[str, float | int | None]


def verdict(found: Bounds, limit: float) -> Verdict:
    """Pass below the limit, fail beyond it, wait while it is between the bounds."""
    if found.lower > limit:
        return Verdict.FAIL
    return Verdict.PASS if found.upper <= limit else Verdict.WAIT


def result(gate: str, said: Verdict, sentence: str, figures: Figures) -> GateResult:
    """Give what one gate says."""
    return GateResult(gate=gate, verdict=said, sentence=sentence, figures=figures)


def finite(value: float) -> float | None:
    """Give a number that JSON can hold."""
    return value if math.isfinite(value) else None


def hundredths(share: float) -> str:
    """Write a share or a difference of shares, for a sentence that says whether it is per cent or points."""
    return f"{100 * share:.1f}"
