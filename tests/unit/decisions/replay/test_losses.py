"""Rises of the loss, against training rows and against what came before."""

from __future__ import annotations

import numpy as np
import pytest

from noria.decisions.replay.watch import Losses, Scored


def losses(mean: float = 0.36, *, between: float = 0.02) -> Losses:
    return Losses(mean=mean, variance=0.23, n_reference=2_500, between=between, allowance=0.014)


def played(watch: Losses, shares: list[float], seed: int, size: int = 250) -> list[int]:
    """Give the windows in which a rise was told."""
    rng = np.random.default_rng(seed)
    told = []
    for window, share in enumerate(shares):
        watch.add(Scored(window=window, rows=(rng.random(size) < share).astype(float)))
        rise = watch.rise()
        if rise is not None and rise.is_real:
            told.append(window)
    return told


def test_live_windows_that_lose_less_than_training_rows_did_make_a_rise_plain() -> None:
    """Held-out training rows lost 0.36, live ones 0.33, and now 0.47."""
    found = [played(losses(), [0.33] * 8 + [0.47] * 3, seed)[:1] for seed in range(10)]

    assert all(found)
    assert {first for (first,) in found} <= {8, 9, 10}


def test_calm_live_windows_tell_none() -> None:
    """However often one looks, hardly any stream tells of a rise that is none."""
    told = [bool(played(losses(0.33), [0.33] * 30, seed)) for seed in range(40)]

    assert sum(told) <= 1


def test_more_than_lately_is_no_rise_while_training_rows_lost_as_much() -> None:
    """After a season in which less was lost comes one like those of training."""
    told = [bool(played(losses(0.36), [0.28] * 8 + [0.36] * 8, seed)) for seed in range(15)]

    assert sum(told) <= 1


@pytest.mark.parametrize("rows", [0, 5])
def test_few_rows_tell_nothing(rows: int) -> None:
    """Fewer than ten labelled rows have no rise."""
    watch = losses()
    watch.add(Scored(window=0, rows=np.ones(rows)))

    assert watch.rise() is None
