"""Workers that die, hang or grow are replaced, and the others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from noria.core.errors import Failed
from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.workers import Limits, Workers
from support.waiting import wait_until

N = 2

_PROGRAM = """
import signal, sys, time
from noria.serving.modelserver.board import Board, Word
fd, n_pages, number, mode = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
words = Board(fd, n_pages).pages[number].words
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
if mode == "dies":
    sys.exit(3)
held = bytearray(300 << 20) if mode == "grows" else b""
if mode == "takes long":
    words[Word.OLDEST_NS] = time.monotonic_ns()
while not leaving:
    words[Word.BEAT_NS] = time.monotonic_ns()
    words[Word.READY] = words[Word.LISTENS] = 1
    time.sleep(0.05)
"""


class Crew:
    """Workers whose processes only beat, unless the next one is told to misbehave."""

    def __init__(self, *, hung_after_s: float = 3600.0) -> None:
        self.board = Board.create(Workers.n_pages(N))
        self.modes: list[str] = []
        self.workers = Workers(
            n=N,
            board=self.board,
            spawn=self._spawn,
            limits=Limits.of(n_workers=N, hung_after_s=hung_after_s, memory_bytes=200 << 20),
        )

    def _spawn(self, page: int, _place: int) -> subprocess.Popen[bytes]:
        mode = self.modes.pop(0) if self.modes else "well"
        arguments = [str(self.board.fd), str(len(self.board.pages)), str(page), mode]
        return subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], pass_fds=[self.board.fd])

    def until(self, condition: Callable[[], bool]) -> None:
        """Look after the workers until it holds."""

        def look() -> bool:
            self.workers.look()
            return condition()

        wait_until(look, 60)

    @property
    def ready(self) -> list[int]:
        """Processes that answer."""
        return [state.pid for state in self.workers.states if state.ready]

    @property
    def n_replaced(self) -> int:
        """How many were replaced."""
        return int(self.board.pages[0].words[Word.N_REPLACED])


@pytest.fixture
def start() -> Iterator[Callable[..., Crew]]:
    """Give what starts workers, which end with the test."""
    made: list[Crew] = []

    def begin(*modes: str, hung_after_s: float = 3600.0) -> Crew:
        made.append(Crew(hung_after_s=hung_after_s))
        made[-1].modes = list(modes)
        return made[-1]

    yield begin
    for crew in made:
        crew.workers.stop(10)


def test_a_killed_worker_is_replaced_and_the_other_goes_on(start: Callable[..., Crew]) -> None:
    """Again and again; a replacement never takes the page of one that lives."""
    crew = start()
    crew.until(lambda: len(crew.ready) == N)
    (staying, first) = crew.ready
    killed = first
    for n in (1, 2, 3):
        os.kill(killed, signal.SIGKILL)
        crew.until(lambda n=n: crew.n_replaced == n and len(crew.ready) == N)  # type: ignore[misc]
        (killed,) = set(crew.ready) - {staying}

    assert staying in crew.ready
    assert first not in crew.ready


@pytest.mark.parametrize("mode", ["takes long", "grows"])
def test_a_worker_whose_model_hangs_or_leaks_is_replaced(start: Callable[..., Crew], mode: str) -> None:
    """By one that is well; it may finish what it has at hand."""
    crew = start("well", mode, hung_after_s=1.0 if mode == "takes long" else 3600.0)
    crew.until(lambda: crew.n_replaced >= 1 and len(crew.ready) == N)

    assert len(set(crew.ready)) == N


def test_a_worker_that_gives_no_sign_of_life_is_killed(start: Callable[..., Crew]) -> None:
    """Its loop is stuck, so asking it to end would change nothing."""
    crew = start(hung_after_s=10.0)
    crew.until(lambda: len(crew.ready) == N)
    stuck = crew.ready[0]
    os.kill(stuck, signal.SIGSTOP)
    page = next(p for p in crew.workers.pages if p.words[Word.BEAT_NS])
    page.words[Word.BEAT_NS] = max(1, time.monotonic_ns() - 3600 * 10**9)  # a machine may be younger

    crew.until(lambda: crew.n_replaced >= 1 and len(crew.ready) == N)

    assert stuck not in crew.ready


def test_workers_that_cannot_start_are_no_reason_to_try_for_ever(start: Callable[..., Crew]) -> None:
    """Before any answered, the end of one is the end of all; later ones are held back ever longer."""
    crew = start("dies", "dies")
    with pytest.raises(Failed, match="exit code 3"):
        crew.until(lambda: False)
