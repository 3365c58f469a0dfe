"""What holds of identifiers whatever the clock does."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from noria.core.ids import IdFactory, is_id

INSTANTS_MS = st.integers(min_value=0, max_value=2**48 - 10_000)


@given(st.lists(INSTANTS_MS, min_size=1, max_size=200))
def test_identifiers_sort_by_making_even_if_the_clock_runs_backwards(instants_ms: list[int]) -> None:
    """Whatever the clock reads, each identifier is greater than the one before, and well-formed."""
    ticks = iter(instants_ms)
    factory = IdFactory(lambda: next(ticks) * 1_000_000)
    made = [factory() for _ in instants_ms]

    assert all(earlier < later for earlier, later in itertools.pairwise(made))
    assert all(is_id(text) and text[12] == "7" and text[16] in "89ab" for text in made)


@given(st.lists(INSTANTS_MS, min_size=1, max_size=50))
def test_an_identifier_carries_the_latest_time_seen(instants_ms: list[int]) -> None:
    """The time in an identifier is the greatest that the clock has read so far."""
    ticks = iter(instants_ms)
    factory = IdFactory(lambda: next(ticks) * 1_000_000 + 999_999)
    carried = [int(factory(), 16) >> 80 for _ in instants_ms]

    assert carried == [max(instants_ms[: i + 1]) for i in range(len(instants_ms))]
