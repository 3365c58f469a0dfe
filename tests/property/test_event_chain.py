"""Properties of the event chain: whatever is changed in a sealed log is found."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from noria.core.events.chain import GENESIS, Walk, link, seal, verify
from noria.core.events.log import Event

words = st.text('abü"\\\0', max_size=3)
events = st.builds(
    Event,
    position=st.just(0),
    at=st.datetimes(timezones=st.just(UTC)),
    actor=words,
    project=st.none() | words,
    type=words,
    subject=words,
    payload=st.dictionaries(
        words, st.none() | st.integers(-(2**53), 2**53) | st.lists(words, max_size=2), max_size=2
    ),
)


def logs(min_size: int = 1) -> st.SearchStrategy[list[Event]]:
    """Draw a log whose positions count up from 1, sealed."""
    return st.lists(events, min_size=min_size, max_size=6).map(sealed)


def sealed(bare: list[Event]) -> list[Event]:
    """Number and seal events."""
    numbered = [msgspec.structs.replace(event, position=n) for n, event in enumerate(bare, start=1)]
    hashes = seal(GENESIS, numbered)
    return [msgspec.structs.replace(event, hash=hash_) for event, hash_ in zip(numbered, hashes, strict=True)]


@given(logs())
def test_an_untouched_log_holds(log: list[Event]) -> None:
    """A sealed log verifies, and so does each of its beginnings."""
    assert verify(log) is None
    assert verify(log[:-1]) is None


@given(logs(), st.data())
def test_an_edit_is_found_where_it_was_made(log: list[Event], data: st.DataObject) -> None:
    """Changing any field of any event breaks the chain at that event."""
    index = data.draw(st.integers(0, len(log) - 1))
    other = data.draw(logs())[0]
    field = data.draw(st.sampled_from(["at", "actor", "project", "type", "subject", "payload", "hash"]))
    assume(getattr(other, field) != getattr(log[index], field))
    edited = list(log)
    edited[index] = msgspec.structs.replace(log[index], **{field: getattr(other, field)})
    found = verify(edited)

    assert found is not None
    assert found.position == index + 1


@given(logs(min_size=2), st.data())
def test_a_deletion_is_found(log: list[Event], data: st.DataObject) -> None:
    """Taking an event out, other than the last, breaks the chain at its place, also when the rest is renumbered."""
    index = data.draw(st.integers(0, len(log) - 2))
    without = [*log[:index], *log[index + 1 :]]
    renumbered = [msgspec.structs.replace(event, position=n) for n, event in enumerate(without, start=1)]

    for changed in (without, renumbered):
        found = verify(changed)
        assert found is not None
        assert found.position == index + 1


@given(logs(), logs(), st.data())
def test_an_insertion_is_found(log: list[Event], other: list[Event], data: st.DataObject) -> None:
    """Putting an event in, with the rest renumbered, breaks the chain there, or next if its own link fits."""
    index = data.draw(st.integers(0, len(log) - 1))
    longer = [*log[:index], other[0], *log[index:]]
    renumbered = [msgspec.structs.replace(event, position=n) for n, event in enumerate(longer, start=1)]
    assume(renumbered[index] != log[index])
    found = verify(renumbered)

    assert found is not None
    assert found.position in (index + 1, index + 2)


@given(logs(min_size=2), st.data())
def test_a_change_of_order_is_found(log: list[Event], data: st.DataObject) -> None:
    """Exchanging the contents of two events breaks the chain at the first of them."""
    first, second = sorted(
        data.draw(st.lists(st.integers(0, len(log) - 1), min_size=2, max_size=2, unique=True))
    )
    swapped = list(log)
    swapped[first] = msgspec.structs.replace(log[second], position=first + 1)
    swapped[second] = msgspec.structs.replace(log[first], position=second + 1)
    found = verify(swapped)

    assert found is not None
    assert found.position == first + 1


@given(logs(min_size=2), st.data())
def test_a_lost_hash_is_found(log: list[Event], data: st.DataObject) -> None:
    """An event without hash among sealed ones is named; at the end of the log it only waits to be sealed."""
    index = data.draw(st.integers(0, len(log) - 2))
    bare = list(log)
    bare[index] = msgspec.structs.replace(log[index], hash=None)
    waiting = [*log[:-1], msgspec.structs.replace(log[-1], hash=None)]
    found = verify(bare)

    assert found is not None
    assert found.position == index + 1
    assert verify(waiting) is None


@given(logs(), st.integers(1, 7))
def test_sealing_in_parts_gives_the_same_chain(log: list[Event], cut: int) -> None:
    """Where a batch ends makes no difference to the hashes."""
    first = seal(GENESIS, log[:cut])
    second = seal(first[-1], log[cut:])

    assert [*first, *second] == [event.hash for event in log]


def test_the_hash_is_what_the_documentation_says() -> None:
    """The link is BLAKE3 over the previous hash and the canonical JSON, computed here by hand."""
    from blake3 import blake3

    event = Event(
        position=1,
        at=datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        actor="local",
        project=None,
        type="project.created",
        subject="project:energy",
        payload={"b": 1, "a": "ü"},
    )
    text = '[1,1893553445678901,"local",null,"project.created","project:energy",{"a":"ü","b":1}]'

    assert link(GENESIS, event) == blake3(("0" * 64 + text).encode()).hexdigest()


@pytest.mark.parametrize("n", [0, 3])
def test_the_walk_knows_how_far_it_came(n: int) -> None:
    """After n sealed events and one that waits, the walk tells both."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    bare = [
        Event(position=p, at=at, actor="a", project=None, type="t", subject="s", payload={})
        for p in range(1, n + 2)
    ]
    walk = Walk()
    for event, hash_ in zip(bare, [*seal(GENESIS, bare[:n]), None], strict=True):
        assert walk.step(msgspec.structs.replace(event, hash=hash_)) is None

    assert (walk.position, walk.n_sealed) == (n + 1, n)
