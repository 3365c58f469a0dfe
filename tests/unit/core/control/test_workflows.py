from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.control.workflows import (
    JSON,
    Chore,
    Steps,
    Tick,
    Workflow,
    interval_id,
    interval_start,
    workflow,
)
from noria.core.errors import Invalid

INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
LENGTHS_MS = st.integers(1, 10 * 86_400_000)


@given(INSTANTS, LENGTHS_MS)
def test_an_instant_lies_in_its_interval(now: datetime, length_ms: int) -> None:
    """The interval of an instant holds it, and begins a whole number of lengths after 1970."""
    length = timedelta(milliseconds=length_ms)
    start = interval_start(now, length_ms / 1000)

    assert start <= now < start + length
    assert (start - datetime(1970, 1, 1, tzinfo=UTC)) % length == timedelta()


@given(INSTANTS, LENGTHS_MS)
def test_a_later_instant_of_the_interval_has_the_same_name(now: datetime, length_ms: int) -> None:
    """All instants of an interval, its first and its last among them, give the same start."""
    start = interval_start(now, length_ms / 1000)
    last = start + timedelta(milliseconds=length_ms) - timedelta(microseconds=1)

    assert interval_start(start, length_ms / 1000) == start
    assert interval_start(last, length_ms / 1000) == start


def test_the_name_does_not_depend_on_the_time_zone() -> None:
    """The same instant told in another zone has the same interval, named in UTC."""
    madrid = datetime(2030, 7, 1, 12, 7, 31, tzinfo=timezone(timedelta(hours=2)))
    names = {interval_id("m", interval_start(told, 60)) for told in (madrid, madrid.astimezone(UTC))}

    assert names == {"m:2030-07-01T10:07:00+00:00"}


@pytest.mark.parametrize("every_s", [0.0, -1.0, 0.0005, float("nan"), float("inf")])
def test_an_interval_without_a_length_is_refused(every_s: float) -> None:
    """A tick or a chore that cannot happen at its interval is refused at its declaration."""
    with pytest.raises(Invalid, match=r"^`t` cannot happen every"):
        Tick("t", every_s, lambda *_: None)
    with pytest.raises(Invalid, match=r"^`c` cannot happen every"):
        Chore("c", every_s, lambda _: None)


def test_a_declaration_keeps_its_function() -> None:
    """The decorator gives the name and the function, which can be called as it is."""

    @workflow("serving.rollout")
    def rollout(steps: Steps, app: object, rollout_id: str) -> JSON:
        return rollout_id

    assert rollout == Workflow("serving.rollout", rollout.fn)


def test_declaring_loads_no_engine() -> None:
    """Importing the declarations loads neither the engine nor a database driver."""
    program = (
        "import sys, noria.core.control.workflows, noria.core.control.lock, noria.core.control.testing\n"
        "print(sorted({'dbos', 'sqlalchemy', 'psycopg', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
