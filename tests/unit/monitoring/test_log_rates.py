"""When errors that are logged are more than they should be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.monitoring.log_rates import CALM_WINDOWS, is_calm, rate_of
from noria.serving.service_logs import LogWindow

AT = datetime(2030, 1, 1, tzinfo=UTC)


def windows(counts: Iterable[int]) -> list[LogWindow]:
    """Give windows, newest first."""
    return [
        LogWindow(starts_at=AT - timedelta(minutes=5 * place), n_warnings=0, n_errors=int(n))
        for place, n in enumerate(counts)
    ]


def test_without_history_what_is_tolerated_decides() -> None:
    """It is not known what is usual before a hundred windows, the newest included."""
    few = windows([6, *[40] * 98])
    enough = windows([6, *[40] * 99])

    assert rate_of(few[0], few[1:], tolerated=5).alarms
    assert rate_of(few[0], few[1:], tolerated=5).usual is None
    assert not rate_of(enough[0], enough[1:], tolerated=5).alarms
    assert rate_of(enough[0], enough[1:], tolerated=5).usual == 40


@given(
    counts=st.lists(st.integers(0, 30), min_size=99, max_size=300),
    newest=st.integers(0, 40),
    seed=st.integers(0, 9),
)
def test_the_bound_is_what_all_but_one_in_a_hundred_had(counts: list[int], newest: int, seed: int) -> None:
    """Beside counting by hand: fewer than one in a hundred of all, the newest included, are above it."""
    found = rate_of(windows([newest])[0], windows(counts), tolerated=0)
    shuffled = np.random.default_rng(seed).permutation(counts).tolist()

    assert found.usual is not None
    assert sum(count > found.usual for count in counts) <= 0.01 * (len(counts) + 1)
    assert found.alarms == (newest > max(found.usual, 0))
    assert rate_of(windows([newest])[0], windows(shuffled), tolerated=0) == found


@pytest.mark.parametrize("bursts", [False, True], ids=["even", "bursts"])
def test_quiet_windows_alarm_no_oftener_than_stated(bursts: bool) -> None:
    """At most one in a hundred of 4,000, less two standard errors, however the errors are distributed."""
    generator = np.random.default_rng(5)
    counts = generator.negative_binomial(0.3, 0.05, 4300) if bursts else generator.poisson(3.0, 4300)
    alarms = sum(
        rate_of(one, before, tolerated=0).alarms
        for one, before in (
            (windows([counts[at]])[0], windows(counts[at - 300 : at].tolist())) for at in range(300, 4300)
        )
    )

    assert alarms / 4000 <= 0.01 + 2 * np.sqrt(0.01 * 0.99 / 4000)


def test_calm_is_a_few_windows_in_a_row() -> None:
    """Fewer of them do not say so."""
    assert is_calm(windows([5] * CALM_WINDOWS), 5)
    assert not is_calm(windows([5, 6, 5]), 5)
    assert not is_calm(windows([0] * (CALM_WINDOWS - 1)), 5)
