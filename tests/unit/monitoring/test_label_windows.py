"""Whole windows of labels against a held-out score."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from noria.monitoring.entities import ScoredRow
from noria.monitoring.label_windows import BLOCK, DropRule, LabelWindows, find_drop, take_in_windows

RULE = DropRule(size=200, level=0.02, margin=0.01)


def taken(
    scores: object, first: int = 1, state: LabelWindows | None = None
) -> tuple[LabelWindows, list[LabelWindows]]:
    rows = [ScoredRow(first + i, float(score)) for i, score in enumerate(np.asarray(scores).tolist())]
    return take_in_windows(state or LabelWindows(), rows, size=RULE.size)


def test_labels_may_come_in_any_pieces() -> None:
    """Windows are the same; the newest three are kept, and each that was filled is judged."""
    scores = np.random.default_rng(0).integers(0, 2, 950)
    whole, filled = taken(scores)
    state, n_filled = LabelWindows(), 0
    for start in range(0, 950, 130):
        state, found = taken(scores[start : start + 130], start + 1, state)
        n_filled += len(found)

    assert state == whole
    assert len(filled) == n_filled == 4
    assert [(w.first_position, w.last_position, w.n) for w in whole.whole] == [
        (201, 400, 200),
        (401, 600, 200),
        (601, 800, 200),
    ]
    assert whole.open is not None
    assert whole.open.n == 150
    assert [sum(w.blocks) for w in whole.whole] == [scores[a : a + 200].sum() for a in (200, 400, 600)]
    assert msgspec.json.decode(msgspec.json.encode(whole), type=LabelWindows) == whole


@pytest.mark.parametrize("dependent", [False, True])
def test_the_p_value_is_that_of_scipy(dependent: bool) -> None:
    """The normal test of a mean, times 2.57; of the means of blocks where labels resemble their neighbours."""
    rng = np.random.default_rng(1)
    scores = rng.beta(8, 2, 200)
    if dependent:
        scores = np.repeat(rng.beta(8, 2, 200 // BLOCK), BLOCK)
        scores = np.concatenate([scores, np.repeat(rng.beta(8, 2, 200 // BLOCK), BLOCK)])
    (*_, state), reference, n = taken(scores)[1], 0.9, 700
    used = scores[-200 * len(state.whole) :]
    blocks = used.reshape(-1, BLOCK).mean(axis=1)
    spread = blocks.var(ddof=1) * BLOCK if dependent else used.var()
    error = np.sqrt(spread / used.size + used.var() / n)
    expected = min(1.0, 2.57 * stats.norm.sf((reference - used.mean()) / error))
    found = find_drop(
        LabelWindows(whole=state.whole), DropRule(level=0.999, margin=-1), reference=reference, reference_n=n
    )

    assert found is not None
    if len(state.whole) == 1 or found.n == used.size:
        assert found.p_value == pytest.approx(expected)
    assert found.p_value <= expected * (1 + 1e-9)


def test_quiet_windows_raise_false_alarms_at_most_at_the_level() -> None:
    """Held-out rows and windows of the same quality, 1,500 windows, classes and numbers."""
    rng = np.random.default_rng(2)
    n_alarms = n_windows = 0
    for turn in range(100):
        scores = rng.random(3_400) < 0.85 if turn % 2 else rng.beta(5, 1, 3_400)
        held = float(np.mean(scores[:400]))
        for state in taken(scores[400:])[1]:
            n_windows += 1
            n_alarms += find_drop(state, RULE, reference=held, reference_n=400) is not None

    assert n_windows == 1_500
    assert n_alarms <= 1.5 * RULE.level * n_windows


def test_a_drop_is_dated_and_measured() -> None:
    """By the windows that show it best; one that is tolerated is none."""
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.random(400) < 0.9, rng.random(400) < 0.6])
    state = taken(scores)[0]
    found = find_drop(state, RULE, reference=0.9, reference_n=500)

    assert found is not None
    assert (found.n, found.first_position, found.last_position) == (400, 401, 800)
    assert found.mean == pytest.approx(scores[400:].mean())
    assert find_drop(state, DropRule(level=0.02, margin=0.5), reference=0.9, reference_n=500) is None


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_window_of_one_outcome_is_judged(score: float) -> None:
    """Always wrong is a drop, always right is none, whatever was held out."""
    state = taken(np.full(200, score))[0]

    assert (find_drop(state, RULE, reference=0.95, reference_n=1) is not None) == (score == 0.0)
    assert find_drop(LabelWindows(), RULE, reference=0.95, reference_n=100) is None
