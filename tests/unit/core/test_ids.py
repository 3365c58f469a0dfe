"""Identifiers: form, order, uniqueness."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid

import pytest

from noria.core.ids import IdFactory, is_id, new_id


def test_an_identifier_is_a_version_7_uuid_without_dashes() -> None:
    """Version, variant and time stand where RFC 9562 puts them."""
    before_ms = time.time_ns() // 1_000_000
    made = new_id()
    parsed = uuid.UUID(hex=made)

    assert parsed.hex == made
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert before_ms <= parsed.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_identifiers_sort_by_their_making() -> None:
    """Within one millisecond too."""
    factory = IdFactory(lambda: 1_700_000_000_000_000_000)
    made = [factory() for _ in range(10_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_full_millisecond_flows_over_into_the_next() -> None:
    """More than fit in one millisecond still sort and differ."""
    factory = IdFactory(lambda: 5_000_000)
    first = factory()
    factory._counter = (1 << 26) - 2
    made = [factory() for _ in range(4)]

    assert [first, *made] == sorted([first, *made])
    assert len(set(made)) == 4
    assert [int(text, 16) >> 80 for text in made] == [5, 6, 6, 6]


def test_threads_share_one_order() -> None:
    """No two threads get the same, and each sees its own in order."""
    factory = IdFactory()
    found: list[list[str]] = [[] for _ in range(8)]

    def make(mine: list[str]) -> None:
        mine.extend(factory() for _ in range(2_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    everything = [text for mine in found for text in mine]
    assert len(set(everything)) == 16_000
    assert all(mine == sorted(mine) for mine in found)


@pytest.mark.parametrize(
    "text",
    ["", "0" * 31, "0" * 33, "0" * 32 + "\n", "G" * 32, "A" * 32, "3546f5cc-492b-4f41-8b24-8bacf41458d4"],
)
def test_what_is_no_identifier(text: str) -> None:
    """Only 32 lower-case hex digits are one."""
    assert not is_id(text)


def test_what_is_one() -> None:
    """What the factory makes has the form."""
    assert is_id(new_id())


FORKING = """
import os, sys
from noria.core.ids import new_id
new_id()
child = os.fork()
sys.stdout.write(new_id() + "\\n")
sys.stdout.flush()
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_makes_other_identifiers() -> None:
    """The random bytes that a process drew ahead are not given out again by its child."""
    told = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    first, second = told.stdout.split()

    assert is_id(first)
    assert first[-12:] != second[-12:]
