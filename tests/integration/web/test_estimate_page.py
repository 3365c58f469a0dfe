"""Estimated quality on the page of an endpoint, over real HTTP."""

from __future__ import annotations

import msgspec

from noria.core.context import Context
from noria.monitoring.estimated.service import Estimates
from support.pages import Reader
from support.sights import estimate
from support.wheel import PROJECT, turn_once

DIGITS = f"/projects/{PROJECT}/endpoints/digits"


def test_an_estimate_is_called_one_and_says_what_it_supposes(reader: Reader, context: Context) -> None:
    """Value, interval, held-out figure and assumption, in both languages; or why there is none."""
    turn_once(context)
    assert "Estimated without labels" not in reader.text(DIGITS)
    standing = estimate(context)
    shown = reader.text(DIGITS)

    assert "Estimated without labels ROC AUC 0.912 (95% 0.874 to 0.938; held-out rows 0.951)" in shown
    assert (
        "Of 200 answers, learnt on 1,500 held-out rows. An estimate without labels, not a measurement"
        in shown
    )
    assert "Concept drift, a change of just that, cannot be seen." in shown
    missing = msgspec.structs.replace(
        standing, position=20, estimated=None, why="Quality is not estimated: <no rows>"
    )
    context.service(Estimates).record(PROJECT, "digits", missing)
    assert "Quality is not estimated: <no rows>" in reader.text(DIGITS)
    assert "Estimated without labels" not in reader.text(DIGITS)
