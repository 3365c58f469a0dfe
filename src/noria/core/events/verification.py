"""Check a whole event log: every link of its chain, and its head against the signed checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from noria.core.database.engine import Database
from noria.core.events.chain import Break, Walk
from noria.core.events.checkpoints import Checkpoint, CheckpointBroken, Checkpoints
from noria.core.events.log import Event, EventLog

_BATCH = 1000


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the check of a log found.

    Attributes
    ----------
    ok
        True when every link and every checkpoint holds.
    n_events, n_sealed
        Events in the log, and those that the chain covers; the rest wait for the control loop.
    n_checkpoints, checkpointed_to
        Signed notes, and the position up to which cutting off the end would be found.
    broken_at
        Position of the first broken link.
    reason
        One sentence that says what is wrong.
    """

    ok: bool
    n_events: int
    n_sealed: int
    n_checkpoints: int
    checkpointed_to: int
    broken_at: int | None = None
    reason: str | None = None


def verify_log(database: Database, folder: Path) -> AuditReport:
    """Read the whole log once, in pages, beside the checkpoints of the workspace folder."""
    check = _Check(Checkpoints(folder).read())
    found: Break | None = None
    try:
        found = check.run(_all_events(EventLog(database)))
    except CheckpointBroken as error:
        found = Break(position=check.checkpointed_to, reason=error.message)
    return AuditReport(
        ok=found is None,
        n_events=check.n_events,
        n_sealed=check.walk.n_sealed,
        n_checkpoints=check.n_checkpoints,
        checkpointed_to=check.checkpointed_to,
        broken_at=found.position if found else None,
        reason=found.reason if found else None,
    )


class _Check:
    def __init__(self, checkpoints: Iterator[Checkpoint]) -> None:
        self.walk = Walk()
        self.n_events = 0
        self.n_checkpoints = 0
        self.checkpointed_to = 0
        self._checkpoints = checkpoints

    def run(self, log: Iterator[Event]) -> Break | None:
        awaited = self._next_checkpoint()
        for event in log:
            self.n_events += 1
            found = self.walk.step(event)
            while found is None and awaited is not None and awaited.position <= event.position:
                found = self._compare(awaited, event)
                awaited = self._next_checkpoint()
            if found is not None:
                return found
        return _cut_off(self.walk.position + 1, awaited) if awaited is not None else None

    def _compare(self, checkpoint: Checkpoint, event: Event) -> Break | None:
        if checkpoint.position < event.position:
            return Break(position=checkpoint.position, reason="The checkpoints are not in order")
        if checkpoint.hash != event.hash:
            return Break(
                position=event.position,
                reason=f"The hash of event {event.position} is not the one that was signed at {_when(checkpoint)}",
            )
        self.checkpointed_to = checkpoint.position
        return None

    def _next_checkpoint(self) -> Checkpoint | None:
        found = next(self._checkpoints, None)
        self.n_checkpoints += found is not None
        return found


def _cut_off(position: int, awaited: Checkpoint) -> Break:
    return Break(
        position=position,
        reason=f"Events from {position} on are missing: event {awaited.position} was signed at {_when(awaited)}",
    )


def _when(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.at:%Y-%m-%d %H:%M:%S} UTC"


def _all_events(log: EventLog) -> Iterator[Event]:
    after = 0
    while page := log.read(after, limit=_BATCH):
        yield from page
        after = page[-1].position
