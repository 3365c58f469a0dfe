"""What all workers made of the plans, told to the control server as one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

import msgspec

from noria.core.clock import Clock
from noria.core.errors import NoriaError, Unavailable
from noria.serving.endpoints import Endpoints
from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.log_counts import newest_line
from noria.serving.modelserver.usage import Usage
from noria.serving.plans import AppliedPlan, ServerReport, ServerStanding

LOOK_S = 0.2
REPORT_EVERY_S = 4.0

_log = logging.getLogger("noria.serving.reporting")
_notes = msgspec.json.Decoder(list[AppliedPlan])


class Reporter:
    """Reports in a thread of its own, when something changed and every few seconds.

    Parameters
    ----------
    waiting_bytes
        Tells how much was not yet handed on.
    server
        Unique to this model server.
    url
        Where it answers.
    """

    def __init__(
        self,
        *,
        link: Link,
        board: Board,
        waiting_bytes: Callable[[], int],
        server: str,
        url: str,
        clock: Clock,
    ) -> None:
        self._link = link
        self._board = board
        self._waiting_bytes = waiting_bytes
        self._server = server
        self._url = url
        self._clock = clock
        self._usage = Usage(clock)
        self._told: list[AppliedPlan] | None = None
        self._told_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noria-reporter", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Say goodbye to the control server and end."""
        self._stopping.set()
        self._thread.join(timeout_s)
        try:
            self._link.service(Endpoints).report(self._report([], leaving=True))
        except NoriaError as error:
            _log.info("reporter.left_silently", extra={"reason": error.message})

    def step(self) -> None:
        """Report if there is a reason to."""
        applied = merged(self._notes())
        now = self._clock.monotonic()
        if applied is not None and (applied != self._told or now - self._told_at >= REPORT_EVERY_S):
            self._link.service(Endpoints).report(self._report(applied))
            self._told, self._told_at = applied, now

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.step()
            except Unavailable as error:
                _log.debug("reporter.waits", extra={"reason": error.message})
            except Exception as error:  # noqa: BLE001 - the next look may do better
                _log.error("reporter.failed", exc_info=error)

    def _notes(self) -> list[list[AppliedPlan]]:
        notes = [page.read_note() for page in self._board.of_processes[1:] if page.words[Word.READY]]
        return [_notes.decode(note) for note in notes if note is not None]

    def _report(self, applied: list[AppliedPlan], *, leaving: bool = False) -> ServerReport:
        pages = self._board.of_processes
        used = self._usage.read()
        standing = ServerStanding(
            n_workers=sum(bool(page.words[Word.READY]) for page in pages),
            n_replaced=int(pages[0].words[Word.N_REPLACED]),
            waiting_bytes=self._waiting_bytes(),
            disk_full=any(page.words[Word.DISK_FULL] for page in pages),
            memory_bytes=used.memory_bytes,
            cpu_s=used.cpu_s,
            n_processors=used.n_processors,
            n_log_warnings=sum(int(page.words[Word.N_LOG_WARNINGS]) for page in pages),
            n_log_errors=sum(int(page.words[Word.N_LOG_ERRORS]) for page in pages),
            log_line=newest_line(pages),
        )
        return ServerReport(
            server=self._server,
            url=self._url,
            endpoints=applied,
            n_dropped=sum(int(page.words[Word.N_CAPTURES_DROPPED]) for page in pages),
            leaving=leaving,
            standing=standing,
        )


def merged(told: Iterable[list[AppliedPlan]]) -> list[AppliedPlan] | None:
    """Give what all workers follow: the endpoints that each of them has, in the oldest revision, and every failure.

    Returns
    -------
    list of AppliedPlan or None
        None when no worker has told anything yet.
    """
    found: dict[tuple[str, str], list[AppliedPlan]] = {}
    n_told = 0
    for plans in told:
        n_told += 1
        for plan in plans:
            found.setdefault((plan.project, plan.endpoint), []).append(plan)
    if not n_told:
        return None
    return [
        AppliedPlan(
            project=project,
            endpoint=endpoint,
            revision=min(plan.revision for plan in plans),
            failed={version: why for plan in plans for version, why in plan.failed.items()},
        )
        for (project, endpoint), plans in sorted(found.items())
        if len(plans) == n_told
    ]
