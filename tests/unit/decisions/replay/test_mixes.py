"""Columns that look otherwise because targets come in another mix."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from noria.decisions.replay.mixes import of_the_mix
from noria.decisions.replay.rows import Window
from noria.decisions.stages.guards import Sign

Columns = dict[str, NDArray[Any]]


def draw(n: int, share: float, rng: np.random.Generator, *, classes: bool) -> tuple[Columns, NDArray[Any]]:
    """Draw rows whose debt is a third more in one class; a target of numbers lies higher in it."""
    late = rng.random(n) < share
    debt = np.exp(rng.normal(8.5, 0.5, n) + 0.6 * late)
    other = rng.gamma(2.0, 3.0, n)
    targets = np.where(late, "late", "paid").astype(object) if classes else late * 4 + rng.normal(0, 1, n)
    return {"debt": debt, "other": other}, targets


def sign(column: str, kind: str = "rescaled", size: float = 0.3) -> Sign:
    return Sign(column=column, kind=kind, size=size, natural=0.0, sentence="", values={"slope": 1.3})


def judged(live: Columns, targets: NDArray[Any], signs: list[Sign], *, classes: bool) -> frozenset[str]:
    known, then = draw(3000, 0.3, np.random.default_rng(0), classes=classes)
    frame = pl.DataFrame({name: values.tolist() for name, values in live.items()})
    window = Window(
        number=0,
        raw=frame,
        target=pl.Series("y", targets.tolist()),
        actual=targets,
        known_at=np.zeros(len(targets), dtype=np.int64),
    )
    state: Any = SimpleNamespace(
        world=SimpleNamespace(actual=then, classifies=classes),
        inputs=SimpleNamespace(reference=known),
        scenes={0: SimpleNamespace(columns=live)},
    )
    return of_the_mix(state, [(window, np.arange(len(targets)))], signs)


@pytest.mark.parametrize("classes", [True, False])
def test_a_mix_of_targets_explains_what_follows_it(classes: bool) -> None:
    """Three times as many late payers have more debt, as late payers ever had."""
    live, targets = draw(400, 0.9, np.random.default_rng(1), classes=classes)

    assert judged(live, targets, [sign("debt"), sign("other")], classes=classes) == {"debt"}


@pytest.mark.parametrize("classes", [True, False])
def test_another_unit_is_not_explained_by_the_mix(classes: bool) -> None:
    """Neither in the mix of training nor in another one, nor where no world gives the sign."""
    rng = np.random.default_rng(2)
    for share in (0.3, 0.9):
        live, targets = draw(400, share, rng, classes=classes)
        other = {**live, "debt": live["debt"] * 1.6, "other": live["other"] * 1.6}
        assert judged(other, targets, [sign("debt"), sign("other")], classes=classes) == frozenset()
    live, targets = draw(400, 0.9, rng, classes=classes)
    hard = sign("debt", kind="missing")
    assert judged(live, targets, [hard], classes=classes) == frozenset()
    assert (
        judged({n: v[:20] for n, v in live.items()}, targets[:20], [sign("debt")], classes=classes)
        == frozenset()
    )
