"""The hash chain over the event log: pure rules.

Each sealed event carries the BLAKE3 digest of the digest before it and of its own content, its position included. An
edit, a deletion, an insertion and a change of order each break a link. Cutting off the end does not; that is found
by the checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blake3 import blake3

from noria.core.database.schema import to_micros
from noria.core.events.log import Event
from noria.core.serialisation import to_canonical_json

GENESIS = "0" * 64
"""What stands before the first event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first link that does not hold.

    Attributes
    ----------
    position
        Of the event at fault, or that is missing.
    reason
        One sentence that says what was found there.
    """

    position: int
    reason: str


def link(previous: str, event: Event) -> str:
    """Compute the hash of an event: BLAKE3 of the hash before it and of the event in canonical JSON.

    Parameters
    ----------
    previous
        64 hex digits; `GENESIS` for the first event.

    Returns
    -------
    str
        64 hex digits.
    """
    content = to_canonical_json(
        [
            event.position,
            to_micros(event.at),
            event.actor,
            event.project,
            event.type,
            event.subject,
            event.payload,
        ]
    )
    return blake3(previous.encode("ascii") + content).hexdigest()


def seal(previous: str, events: Iterable[Event]) -> list[str]:
    """Compute the hashes of events that follow one another."""
    hashes: list[str] = []
    for event in events:
        previous = link(previous, event)
        hashes.append(previous)
    return hashes


class Walk:
    """Goes along the chain from its beginning, event by event.

    Attributes
    ----------
    position
        Of the last event seen, 0 at first.
    head
        Hash of the last sealed event seen.
    n_sealed
        How many sealed events were seen.
    """

    def __init__(self) -> None:
        self.position = 0
        self.head = GENESIS
        self.n_sealed = 0

    def step(self, event: Event) -> Break | None:
        """Check the next event; after a break the walk is over."""
        expected, self.position = self.position + 1, event.position
        if event.position != expected:
            return Break(
                position=expected,
                reason=f"Event {expected} is missing; the next one found is {event.position}",
            )
        if event.hash is None:
            return None
        if self.n_sealed != expected - 1:
            first = self.n_sealed + 1
            return Break(position=first, reason=f"Event {first} has no hash, though later ones have theirs")
        if link(self.head, event) != event.hash:
            return Break(
                position=expected,
                reason=f"The hash of event {expected} does not fit it and the hash before it: one of them was changed",
            )
        self.head = event.hash
        self.n_sealed += 1
        return None


def verify(events: Iterable[Event]) -> Break | None:
    """Give the first broken link of a whole log in order of position, or None."""
    walk = Walk()
    return next((found for event in events if (found := walk.step(event)) is not None), None)
