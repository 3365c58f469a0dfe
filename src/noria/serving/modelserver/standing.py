"""How a model server stands: what its parent tells the workers, and what a worker tells whoever asks."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.transfer import TransferStatus
from noria.serving.modelserver.workers import WorkerState


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent knows."""

    requests: TransferStatus = TransferStatus()
    labels: TransferStatus = TransferStatus()
    workers: list[WorkerState] = []


class QueueStatus(TransferStatus, frozen=True, kw_only=True):
    """How one kind of record stands.

    Attributes
    ----------
    n_dropped
        Records for which there was no room.
    disk_full
        Whether there is no room now.
    """

    n_dropped: int = 0
    disk_full: bool = False


class Shown(Protocol):
    """A part of what `/status` tells."""

    def status(self) -> Any:
        """Tell how it stands."""
        ...


class Queue:
    """One kind of record, as all workers keep it."""

    def __init__(self, board: Board, outbox: Outbox, kind: str, dropped: Word) -> None:
        self._board = board
        self._outbox = outbox
        self._kind = kind
        self._dropped = dropped

    def status(self) -> QueueStatus:
        """Tell how it stands: what was dropped up to this moment, the rest as the parent told last."""
        told: TransferStatus = getattr(read_standing(self._board), self._kind)
        return QueueStatus(
            waiting_bytes=told.waiting_bytes,
            disk_bytes=self._outbox.disk_bytes(),
            n_sent=told.n_sent,
            n_refused=told.n_refused,
            n_damaged=told.n_damaged,
            last_failure=told.last_failure,
            n_dropped=sum(int(page.words[self._dropped]) for page in self._board.of_processes),
            disk_full=any(page.words[Word.DISK_FULL] for page in self._board.of_processes),
        )


class ShadowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests that shadows were to predict.

    Attributes
    ----------
    n_dropped
        Requests for which there was no room.
    """

    n_predicted: int = 0
    n_dropped: int = 0


class Mirrored:
    """What shadows did."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def status(self) -> ShadowStatus:
        """Tell how many requests were predicted too."""
        pages = self._board.of_processes
        return ShadowStatus(
            n_predicted=sum(int(page.words[Word.N_SHADOWS]) for page in pages),
            n_dropped=sum(int(page.words[Word.N_SHADOWS_DROPPED]) for page in pages),
        )


class Crew:
    """All workers, as the parent told of them last."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def status(self) -> list[WorkerState]:
        """Tell how they are."""
        return read_standing(self._board).workers


def read_standing(board: Board) -> Standing:
    """Give what the parent told last."""
    note = board.pages[0].read_note()
    return Standing() if note is None else msgspec.json.decode(note, type=Standing)
